# SPDX-License-Identifier: MIT
"""
What SQLite and the disk say, in a line for an operator.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from powercoord.errors import JournalUnavailable

_HELPS = {
    sqlite3.SQLITE_FULL: "make room on its file system",
    sqlite3.SQLITE_READONLY: "make the file and its file system writable",
    sqlite3.SQLITE_CANTOPEN: "make its directory writable by powercoord",
    sqlite3.SQLITE_PERM: "make the file writable by powercoord",
    sqlite3.SQLITE_IOERR: "look at the disk and the kernel's log",
    sqlite3.SQLITE_BUSY: "end the other program that is writing to it",
    sqlite3.SQLITE_LOCKED: "end the other program that is writing to it",
    sqlite3.SQLITE_CORRUPT: "start again: it will be set aside and a new one begun",
    sqlite3.SQLITE_NOTADB: "start again: it will be set aside and a new one begun",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def unavailable(path: Path, error: sqlite3.Error | OSError) -> JournalUnavailable:
    """
    The same as an error of ours: which file, why, and what helps.
    """
    reason = error.strerror if isinstance(error, OSError) else str(error)
    helps = _HELPS.get(primary(error), "look at the disk and the log")
    return JournalUnavailable(f"{path}: {reason}; {helps}")


def primary(error: BaseException) -> int:
    """
    SQLite's primary result code, 0 without one.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def damaged(error: BaseException) -> bool:
    """
    Whether the file itself is at fault.
    """
    return primary(error) in _DAMAGED
