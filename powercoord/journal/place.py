# SPDX-License-Identifier: MIT
"""
The directory that the journal's files are in, and whose it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes

from attrs import define, field

from powercoord.errors import JournalUnavailable
from powercoord.marks import KEY_BYTES


@define(eq=False)
class Place:
    """
    A state directory; one process at a time has it.
    """

    directory: Path
    _random: Callable[[int], bytes] = token_bytes
    _lock: int | None = field(default=None, init=False)

    @property
    def database(self) -> Path:
        """
        The file with all that was written.
        """
        return self.directory / "journal.db"

    def take(self) -> None:
        """
        Take possession, until this process ends or `leave` is called.

        :raises JournalUnavailable: another process has it, or it cannot be.
        """
        path = self.directory / "lock"
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalUnavailable(
                f"{path}: {error.strerror}; the state directory must be writable by powercoord"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise JournalUnavailable(_refusal(path, owner, error)) from error
        self._lock = lock
        _write_pid(lock)

    def key(self) -> tuple[bytes, str]:
        """
        What makes marks of settings, made at the first start; empty, and why, if it cannot be kept.
        """
        path = self.directory / "marks.key"
        with suppress(OSError):
            found = path.read_bytes()
            if len(found) == KEY_BYTES:
                return found, ""
        made = self._random(KEY_BYTES)
        try:
            _replace(path, made)
        except OSError as error:
            return b"", f"{path}: {error.strerror}; a refused password is tried once more at each start"
        return made, ""

    def leave(self) -> None:
        """
        Let another process have it.
        """
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _refusal(path: Path, owner: str, error: OSError) -> str:
    if not isinstance(error, BlockingIOError):
        return f"{path}: cannot be locked: {error.strerror}; put state_dir on a file system that can"
    who = f"process {owner}" if owner else "another process"
    return f"{path}: {who} uses this state directory; stop it, or give this one another state_dir"


def _replace(path: Path, content: bytes) -> None:
    """
    Have all of it in a file for its owner alone, or nothing.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(number, content)
        os.fsync(number)
    finally:
        os.close(number)
    new.replace(path)


def _write_pid(lock: int) -> None:
    """
    Say who has it; a disk that is full does not keep us from having it.
    """
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return
