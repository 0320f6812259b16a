# SPDX-License-Identifier: MIT
"""
The configuration file: strict TOML in, frozen values or every mistake out.
"""

from powercoord.config.changes import Changes, compare
from powercoord.config.load import DEFAULT, examine, load, load_server
from powercoord.config.mistakes import ConfigMistakes, Mistake
from powercoord.config.parse import Parsed, parse, parse_server
from powercoord.config.secrets import SecretFile, Surroundings
from powercoord.config.shape import Configuration, Defaults, DrainTimeoutAction, Journal, Region, Server

__all__ = [
    "DEFAULT",
    "Changes",
    "ConfigMistakes",
    "Configuration",
    "Defaults",
    "DrainTimeoutAction",
    "Journal",
    "Mistake",
    "Parsed",
    "Region",
    "SecretFile",
    "Server",
    "Surroundings",
    "compare",
    "examine",
    "load",
    "load_server",
    "parse",
    "parse_server",
]
