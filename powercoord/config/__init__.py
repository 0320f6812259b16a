# SPDX-License-Identifier: MIT
"""
The configuration file: strict TOML in, frozen values or every mistake out.
"""

from powercoord.config.load import DEFAULT, examine, load, load_server
from powercoord.config.mistakes import ConfigMistakes, Mistake
from powercoord.config.parse import Parsed, parse, parse_server
from powercoord.config.secrets import SecretFile, Surroundings
from powercoord.config.shape import Configuration, Defaults, Region, Server

__all__ = [
    "DEFAULT",
    "ConfigMistakes",
    "Configuration",
    "Defaults",
    "Mistake",
    "Parsed",
    "Region",
    "SecretFile",
    "Server",
    "Surroundings",
    "examine",
    "load",
    "load_server",
    "parse",
    "parse_server",
]
