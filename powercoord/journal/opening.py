# SPDX-License-Identifier: MIT
"""
A connection that may be written through, to a file that was looked at first.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from powercoord.errors import JournalUnavailable
from powercoord.journal.faults import DamagedError
from powercoord.journal.migrating import migrate, steps

Connect = Callable[..., sqlite3.Connection]
_OLDEST = (3, 38)

# How long we wait for a stranger who is writing to our file.
_BUSY = 5.0


def connect(path: Path, open_file: Connect) -> sqlite3.Connection:
    """
    Open the database, made if it is missing, with the newest tables.

    :raises DamagedError: it is no database of ours, or no longer.
    :raises JournalUnavailable: it cannot be used as it is.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise JournalUnavailable(f"SQLite is {sqlite3.sqlite_version}; the journal needs 3.38 or newer")
    _check_pair(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = open_file(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def verify(connection: sqlite3.Connection) -> None:
    """
    Look at every page.

    :raises DamagedError: something is wrong with one.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(found.replace("\n", " "))


def unfinished_run(connection: sqlite3.Connection) -> str | None:
    """
    Who wrote to it last and did not close it.
    """
    last = connection.execute("SELECT pid, started, ended FROM run ORDER BY id DESC LIMIT 1").fetchone()
    return None if last is None or last[2] is not None else f"process {last[0]}, since {last[1]}"


def end_run(connection: sqlite3.Connection, run: int, now: datetime) -> None:
    """
    Note that this run ended in order, and how long the file is.
    """
    connection.execute("UPDATE run SET ended = ?, pages = 0 WHERE id = ?", (now.isoformat(), run))
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute("UPDATE run SET pages = ? WHERE id = ?", (pages, run))


def as_long_as_it_was(connection: sqlite3.Connection, path: Path) -> bool:
    """
    Whether the file has the length it had when it was closed in order.
    """
    last = connection.execute("SELECT pages FROM run ORDER BY id DESC LIMIT 1").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return last is None or path.stat().st_size == (last[0] or 0) * size


def _check_pair(path: Path) -> None:
    """
    SQLite takes an empty database for a new one, and throws away the log that belongs to it.
    """
    log = path.with_name(f"{path.name}-wal")
    if _size(log) > 0 and _size(path) == 0:
        raise DamagedError(f"it is empty, and its log {log.name} is not")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalUnavailable(f"{path}: its file system cannot hold a write-ahead log; use a local one")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    migrate(connection, path, steps())
