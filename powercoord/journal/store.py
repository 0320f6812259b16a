# SPDX-License-Identifier: MIT
"""
The database, as the thread that writes to it sees it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from powercoord.errors import JournalUnavailable
from powercoord.journal.aside import set_aside
from powercoord.journal.disowning import settle
from powercoord.journal.faults import DamagedError, is_damage, is_full, unavailable
from powercoord.journal.loading import Loaded, load, newest
from powercoord.journal.mending import owed
from powercoord.journal.opening import Connect, as_long_as_it_was, connect, end_run, unfinished_run, verify
from powercoord.journal.place import Place
from powercoord.journal.pruning import Keep, Pruned, prune
from powercoord.journal.rows import WRITE, body, document

T = TypeVar("T")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# So much must be free before a disk that was full is trusted again.
_ROOM = 1 << 20


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
    _keep: Keep = field(factory=Keep)
    _open_file: Connect = sqlite3.connect
    _connection: sqlite3.Connection | None = field(default=None, init=False)
    _run: int = field(default=0, init=False)
    _doubt: int | None = field(default=None, init=False)

    def open(self) -> Loaded:
        """
        Take possession, and read what there is; what is damaged is set aside.

        :raises JournalUnavailable: it cannot be used.
        """
        self._place.take()
        try:
            return self._begin_or_set_aside()
        except (sqlite3.Error, OSError, DamagedError) as error:
            self._let_go()
            raise unavailable(self._place.database, error) from error
        except BaseException:
            self._let_go()
            raise

    def write(self, first: int, text: str) -> None:
        """
        Make entries durable, all or none.

        :param text: a JSON array of them, numbered from ``first``.
        :raises JournalUnavailable: they are not (note [Doubt]).
        """
        try:
            self._use(lambda connection: connection.execute(WRITE, (first, self._run, text)))
        except JournalUnavailable:
            if self._connection is None and self._doubt is None:
                self._doubt = first
            raise

    def probe(self) -> None:
        """
        See whether it can be written, by writing what changes nothing.

        :raises JournalUnavailable: it cannot.
        """
        path = self._place.database
        room = os.statvfs(self._place.directory)
        if room.f_bavail * room.f_frsize < _ROOM:
            raise JournalUnavailable(f"{path}: the disk is full; make room on its file system")
        self._use(lambda connection: connection.execute("UPDATE pruned SET number = number"))

    def prune(self) -> Pruned:
        """
        Take a slice of what is old away.
        """
        return self._use(lambda connection: prune(connection, self._keep, self._now()))

    def copy_log(self) -> None:
        """
        Copy the write-ahead log into the database, so that it can begin anew.
        """
        self._use(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())

    def close(self) -> None:
        """
        Note that this was in order, and let go of the files.
        """
        try:
            if self._connection is not None:
                end_run(self._connection, self._run, self._now())
        except sqlite3.Error as error:
            raise unavailable(self._place.database, error) from error
        finally:
            self._let_go()

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Work on a connection that is whole; one that may not be is replaced with the next work.
        """
        try:
            if self._connection is None:
                self._connection = self._reconnect()
            return work(self._connection)
        except (sqlite3.Error, OSError, DamagedError) as error:
            if not is_full(error):
                self._drop()
            raise unavailable(self._place.database, error) from error

    def _reconnect(self) -> sqlite3.Connection:
        path = self._place.database
        if not self._run:
            raise JournalUnavailable(f"{path}: is not open")
        if not path.exists():
            raise JournalUnavailable(f"{path}: has gone; stop, put it back, and start again")
        connection = connect(path, self._open_file)
        try:
            self._recognise(connection)
            settle(connection, self._doubt)
            verify(connection)
        except BaseException:
            connection.close()
            raise
        self._doubt = None
        return connection

    def _recognise(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT instance FROM run WHERE id = ?", (self._run,)).fetchone()
        if row != (self._instance,):
            raise JournalUnavailable(
                f"{self._place.database}: is not the file that was opened; stop, and start again"
            )

    def _begin_or_set_aside(self) -> Loaded:
        try:
            return self._begin(())
        except Exception as error:
            if not is_damage(error):
                raise
            self._drop()
            path = self._place.database
            aside = set_aside(path, self._now())
            note = f"{path}: was damaged ({error}) and is set aside as {aside.name}; a new journal is begun"
            return self._begin([f"{note}, which knows nothing of what was accepted before"], anew=True)

    def _begin(self, notes: Sequence[str], *, anew: bool = False) -> Loaded:
        path = self._place.database
        was_empty = path.exists() and path.stat().st_size == 0
        self._connection = connection = connect(path, self._open_file)
        last = unfinished_run(connection)
        if last is not None or not as_long_as_it_was(connection, path):
            verify(connection)
        if last is not None:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            notes = [*notes, f"{path}: the last run ({last}) did not end in order"]
        if was_empty:
            notes = [*notes, f"{path}: was empty; a new journal is begun"]
        if was_empty or anew:
            connection.execute("UPDATE pruned SET number = ?", (_above_all(self._now()),))
        self._run = self._new_run(connection)
        answers = document(body(each) for each in owed(connection, self._now()))
        connection.execute(WRITE, (newest(connection) + 1, self._run, answers))
        key, note = self._place.key()
        return load(connection, [*notes, note] if note else notes, key)

    def _new_run(self, connection: sqlite3.Connection) -> int:
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        cursor = connection.execute(
            "INSERT INTO run (instance, boot, pid, started) VALUES (?, ?, ?, ?)",
            (self._instance, boot, os.getpid(), self._now().isoformat()),
        )
        return cursor.lastrowid or 0

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _let_go(self) -> None:
        self._drop()
        self._run = 0
        self._place.leave()


def _above_all(now: datetime) -> int:
    """
    A number above all that a journal before this one can have given, as numbers never come back.

    It has not written a thousand entries a second, ever since 1970.
    """
    return int(now.timestamp()) * 1000
