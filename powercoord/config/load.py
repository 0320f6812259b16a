# SPDX-License-Identifier: MIT
"""
The configuration file as it lies on the disk, with the files it refers to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from powercoord.config.mistakes import ConfigMistakes, Mistake
from powercoord.config.parse import Parsed, parse, parse_server
from powercoord.config.secrets import SecretFile, Surroundings
from powercoord.config.shape import Configuration, Server
from powercoord.interfaces import IPowerDriver

DEFAULT = "/etc/powercoord/powercoord.toml"

NONE: Mapping[str, str] = MappingProxyType({})

_LONGEST = 64 * 1024 * 1024
_LONGEST_SECRET = 64 * 1024


def load(
    file: str,
    drivers: Mapping[str, IPowerDriver],
    broken: Mapping[str, str] = NONE,
    environment: Mapping[str, str] = os.environ,
) -> Configuration:
    """
    Read a configuration file.

    :param drivers: those that work (see `powercoord.installed`).
    :param broken: why others that are installed do not.
    :raises ConfigMistakes: one line for each mistake, with file, line and key.
    """
    return examine(file, drivers, broken, environment).value()


def examine(
    file: str,
    drivers: Mapping[str, IPowerDriver],
    broken: Mapping[str, str] = NONE,
    environment: Mapping[str, str] = os.environ,
) -> Parsed:
    """
    Read a configuration file and tell all that is wrong with it.
    """
    try:
        text = _text(file)
    except ConfigMistakes as error:
        return Parsed(None, error.mistakes)
    return parse(text, file, drivers, _around(file, environment), broken)


def load_server(file: str, environment: Mapping[str, str] = os.environ) -> Server:
    """
    Read the table ``server`` of a configuration file alone, which needs no drivers.

    :raises ConfigMistakes: it cannot be read, or that table is wrong.
    """
    return parse_server(_text(file), file, _around(file, environment))


def _text(file: str) -> str:
    try:
        content = _read(Path(file), _LONGEST)
    except OSError as error:
        raise ConfigMistakes((Mistake(file, 1, "", f"cannot read it: {error.strerror or error}"),)) from None
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigMistakes((Mistake(file, line, "", "not TOML: not UTF-8 text", column),)) from None


def _around(file: str, environment: Mapping[str, str]) -> Surroundings:
    return Surroundings(lambda name: _read_secret(Path(file).parent / name), environment)


def _read(path: Path, longest: int) -> bytes:
    # Asked before it is opened, because opening a pipe waits for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")
    with path.open("rb") as stream:
        content = stream.read(longest + 1)
    if len(content) > longest:
        raise OSError(f"longer than {longest // 1024} KiB")
    return content


def _read_secret(path: Path) -> SecretFile:
    text = _read(path, _LONGEST_SECRET).decode("utf-8")
    return SecretFile(text, bool(path.stat().st_mode & stat.S_IROTH))
