# SPDX-License-Identifier: MIT
"""
Draining by a word in a file, for those who administer machines with files.

The words are HAProxy's.  ``maint``, ``drain``, ``stopped`` and ``down`` start
a drain, ``ready`` and ``up`` end it; a reason may follow after ``#``.  It is a
*change* of the file that does something.  No file, and an empty one, mean that
nobody says anything, which undoes nothing that was said before: a file system
that is not mounted is no reason to begin to work again.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG

from attrs import define, field, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from powercoord.stages import ILifecycle, Source

DRAINING = frozenset({"maint", "drain", "stopped", "down"})
SERVING = frozenset({"ready", "up"})
LONGEST = 512

# A drain is to be seen outside within a second.
INTERVAL = 0.5

_log = Logger()


@frozen
class Said:
    """
    What a file says: a word, and perhaps why.

    :param written: changes when the file is written again, be it with the same word.
    """

    word: str
    reason: str = ""
    written: tuple[int, int] = (0, 0)


def read_word(text: str, written: tuple[int, int] = (0, 0)) -> Said | None:
    """
    The word of a file, in lower case; None if it has none.

    No word begins with another, so that half a word is never mistaken for one.

    :raises ValueError: it says something else.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    word, _, reason = (part.strip() for part in lines[0].partition("#"))
    if len(lines) > 1 or word.lower() not in DRAINING | SERVING:
        raise ValueError(f"it should be one line, with one of {', '.join(sorted(DRAINING | SERVING))}")
    return Said(word.lower(), reason if reason.isprintable() else "", written)


def read_file(path: Path) -> Said | None:
    """
    What a small file says; None if there is no file, or nothing in it.

    :raises OSError: it cannot be read.
    :raises ValueError: it says something else.
    """
    try:
        # Opening a pipe or a device may wait, or do something.
        if not S_ISREG(path.stat().st_mode):
            raise ValueError("it is no regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content, found = os.read(descriptor, LONGEST + 1), os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if len(content) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} bytes")
    return read_word(content.decode("utf-8", "replace"), (found.st_ino, found.st_mtime_ns))


@define(eq=False)
class DrainFile:
    """
    Looks at a file from time to time, and does what it says.
    """

    _clock: IReactorTime
    _path: Path
    _lifecycle: ILifecycle
    _interval: float = INTERVAL
    _said: Said | None = field(default=None, init=False)
    _doubt: str | None = field(default=None, init=False)
    _told: str | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Look now, and then again and again.
        """
        if self._timer is None:
            self._look()

    def stop(self) -> None:
        """
        Look no more.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    @property
    def maintenance(self) -> bool:
        """
        Whether the file's last word is ``maint``, for HAProxy to be told so.
        """
        return self._said is not None and self._said.word == "maint"

    def _look(self) -> None:
        self._timer = self._clock.callLater(self._interval, self._look)
        try:
            said = read_file(self._path)
        except (OSError, ValueError) as error:
            self._wonder(str(error))
            return
        self._doubt = self._told = None
        if said is None or said == self._said:
            return
        self._said = said
        self._obey(said)

    def _obey(self, said: Said) -> None:
        by = f"file {self._path}"
        _log.info("{path} says {word}", path=self._path, word=said.word)
        if said.word in DRAINING:
            self._lifecycle.start_drain(said.reason or f"the drain file says {said.word}", by, Source.FILE)
        else:
            self._lifecycle.resume(by, Source.FILE)

    def _wonder(self, reason: str) -> None:
        """
        Complain once about what is still so at a second look; it may have been half a word.
        """
        if reason == self._doubt and reason != self._told:
            _log.warn("{path}: {reason}; nothing changes", path=self._path, reason=reason)
            self._told = reason
        self._doubt = reason
