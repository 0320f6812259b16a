# SPDX-License-Identifier: MIT
"""
What SQLite and the disk say, in a line for an operator.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from powercoord.errors import JournalUnavailable

_DAMAGED = "stop, and start again: it will be set aside and a new one begun"
_HELPS = {
    sqlite3.SQLITE_FULL: "make room on its file system",
    sqlite3.SQLITE_READONLY: "make the file and its file system writable",
    sqlite3.SQLITE_CANTOPEN: "make its directory writable by powercoord",
    sqlite3.SQLITE_PERM: "make the file writable by powercoord",
    sqlite3.SQLITE_IOERR: "look at the disk and the kernel's log",
    sqlite3.SQLITE_BUSY: "end the other program that is writing to it",
    sqlite3.SQLITE_LOCKED: "end the other program that is writing to it",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


class DamagedError(Exception):
    """
    The file is not what was written; the text says what was found.
    """


def unavailable(path: Path, error: Exception) -> JournalUnavailable:
    """
    The same as an error of ours: which file, why, and what helps.
    """
    if isinstance(error, JournalUnavailable):
        return error
    if isinstance(error, DamagedError):
        return JournalUnavailable(f"{path}: is damaged ({error}); {_DAMAGED}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    helps = _HELPS.get(code(error), "look at the disk and the log")
    return JournalUnavailable(f"{path}: {reason}; {helps}")


def code(error: BaseException) -> int:
    """
    SQLite's primary result code, 0 without one.
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_full(error: BaseException) -> bool:
    """
    Whether there is just no room; then all else is as it was.
    """
    return code(error) == sqlite3.SQLITE_FULL


def is_damage(error: BaseException) -> bool:
    """
    Whether the file itself is at fault, and not the way to it.

    Tables that are missing count, and rows that make no sense to us.
    """
    if isinstance(error, sqlite3.Error):
        return code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, 0)
    return isinstance(error, DamagedError | ValueError | LookupError | TypeError | AssertionError)
