# SPDX-License-Identifier: MIT
"""
The database, as the thread that writes to it sees it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from attrs import define, field

from powercoord.errors import JournalUnavailable
from powercoord.journal.faults import unavailable
from powercoord.journal.loading import Loaded, load, newest
from powercoord.journal.mending import owed
from powercoord.journal.migrating import migrate, steps
from powercoord.journal.place import Place
from powercoord.journal.rows import WRITE, body, document

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@define(eq=False)
class Store:
    """
    Everything here may take a disk's time, and is called from one thread.

    :param now: the time of day.
    :param instance: the id of this start of the service.
    """

    _place: Place
    _now: Callable[[], datetime]
    _instance: str
    _connection: sqlite3.Connection | None = field(default=None, init=False)
    _run: int = field(default=0, init=False)
    _notes: list[str] = field(factory=list, init=False)

    def open(self) -> Loaded:
        """
        Take possession, and read what there is.

        :raises JournalUnavailable: it cannot be used.
        """
        self._place.take()
        try:
            self._connection = connection = self._connect()
            self._begin(connection)
            self._mend(connection)
            return load(connection, self._notes)
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            raise unavailable(self._place.database, error) from error
        except BaseException:
            self._let_go()
            raise

    def write(self, first: int, document: str) -> None:
        """
        Make entries durable, all or none.

        :param document: a JSON array of them, numbered from ``first``.
        :raises JournalUnavailable: they are not.
        """
        assert self._connection is not None  # noqa: S101 - open() came before
        try:
            self._connection.execute(WRITE, (first, self._run, document))
        except sqlite3.Error as error:
            raise unavailable(self._place.database, error) from error

    def close(self) -> None:
        """
        Note that this was in order, and let go of the files.
        """
        try:
            if self._connection is not None:
                ended = (self._now().isoformat(), self._run)
                self._connection.execute("UPDATE run SET ended = ? WHERE id = ?", ended)
        except sqlite3.Error as error:
            raise unavailable(self._place.database, error) from error
        finally:
            self._let_go()

    def _connect(self) -> sqlite3.Connection:
        path = self._place.database
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise JournalUnavailable(
                    f"{path}: its file system cannot hold a write-ahead log; use a local one"
                )
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection, path, steps())
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        cursor = connection.execute(
            "INSERT INTO run (instance, boot, pid, started) VALUES (?, ?, ?, ?)",
            (self._instance, boot, os.getpid(), self._now().isoformat()),
        )
        self._run = cursor.lastrowid or 0

    def _mend(self, connection: sqlite3.Connection) -> None:
        answers = owed(connection, self._now())
        text = document(body(each) for each in answers)
        connection.execute(WRITE, (newest(connection) + 1, self._run, text))

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._place.leave()
