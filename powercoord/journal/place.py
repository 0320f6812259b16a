# SPDX-License-Identifier: MIT
"""
The directory that the journal's files are in, and whose it is.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from attrs import define, field

from powercoord.errors import JournalUnavailable


@define(eq=False)
class Place:
    """
    A state directory; one process at a time has it.
    """

    directory: Path
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


def _write_pid(lock: int) -> None:
    """
    Say who has it; a disk that is full does not keep us from having it.
    """
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return
