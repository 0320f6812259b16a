# SPDX-License-Identifier: MIT
"""
What is to be run, and how it ended.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from attrs import field, frozen

#: Where programs are looked for when the environment does not say.
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: All that a child gets of our own environment; the rest of it, secrets perhaps, is none of its business.
_PASSED_ON = ("PATH", "HOME", "TZ")

_SHORT = 4


@frozen(kw_only=True)
class Program:
    """
    A program with its arguments, which anybody on the machine can see; secrets go in by the other two.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default=MappingProxyType({}), repr=False)
    stdin: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """
        What messages call it.
        """
        return Path(self.argv[0]).name


class Halt(Enum):
    """
    Why a child was ended from outside.

    ``DEADLINE``: its time was over.  ``CANCELLED``: it was no longer wanted.
    """

    DEADLINE = "deadline"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class Ended:
    """
    How a child ended.

    :param code: its exit status; None if a signal ended it, or nothing could.
    :param dropped: bytes of its output beyond what is kept.
    :param held: whether something that it left behind still held its pipes.
    """

    code: int | None = None
    signal: int | None = None
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    dropped: int = 0
    halt: Halt | None = None
    held: bool = False

    def words(self) -> str:
        """
        The end in words, without anything that the child said.
        """
        if self.code is not None:
            return f"exit status {self.code}"
        if self.signal is not None:
            return f"ended by {_signal_name(self.signal)}"
        return "not ended even by SIGKILL"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def surroundings(environ: Mapping[str, str], **more: str) -> Mapping[str, str]:
    """
    The environment of a child: what every program needs, English messages, and ``more``.
    """
    kept = {name: environ[name] for name in _PASSED_ON if name in environ}
    return MappingProxyType({"PATH": USUAL_PATH, **kept, "LC_ALL": "C.UTF-8", **more})


def find_program(name: str, path: str) -> str | None:
    """
    Where the first executable file of this name is; an absolute name is looked at as it is.
    """
    folders = [""] if name.startswith("/") else [folder for folder in path.split(os.pathsep) if folder]
    for folder in folders:
        found = os.path.join(folder, name)  # noqa: PTH118 - a Path would cost more than the look
        if os.path.isfile(found) and os.access(found, os.X_OK):  # noqa: PTH113
            return found
    return None


def hide(text: str, secrets: Iterable[str]) -> str:
    """
    A text without the secrets; longer ones first, because they may have others in them.

    A very short one is only hidden where it stands by itself: it would be in every other word.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        edge = r"\b" if len(secret) < _SHORT and secret.isalnum() else ""
        if secret:
            text = re.sub(f"{edge}{re.escape(secret)}{edge}", "…", text)
    return text
