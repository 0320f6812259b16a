# SPDX-License-Identifier: MIT
"""
What was written, to be read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from powercoord.durable import IHistory, Numbered, Record
from powercoord.errors import BadRequest, JournalUnavailable, NoSuchAction
from powercoord.journal.faults import unavailable
from powercoord.journal.interfaces import IWorker
from powercoord.journal.rows import numbered, record

T = TypeVar("T")

_RECORDS = """
SELECT request.number, request.action, accepted.body, answered.body FROM request
JOIN entry AS accepted ON accepted.number = request.number
LEFT JOIN entry AS answered ON answered.number = request.answer
"""
_ANSWERED = " WHERE request.request_id IN (SELECT value FROM json_each(?)) AND answer IS NOT NULL"
_OF_NODES = """
    WHERE request.number IN (
        SELECT number FROM request WHERE node IN (SELECT value FROM json_each(?)) AND number < ?
        ORDER BY number DESC LIMIT ?)
    ORDER BY request.number DESC
"""
_OF_ALL = " WHERE request.number < ? ORDER BY request.number DESC LIMIT ?"
_ACTION = """
WITH answered (number, request_id) AS (
    SELECT number, request_id FROM request
    WHERE action = ?1 AND request_id IN (SELECT request_id FROM entry WHERE action = ?1))
SELECT number, body FROM entry WHERE action = ?1
UNION SELECT number, body FROM entry WHERE number IN (SELECT number FROM answered)
UNION SELECT number, body FROM entry
    WHERE kind = 'followed' AND request_id IN (SELECT request_id FROM answered)
ORDER BY number
"""
_HOLDS = """
SELECT number, body FROM entry INDEXED BY entry_hold
WHERE kind IN ('held', 'released') AND {which} AND number < ? ORDER BY number DESC LIMIT ?
"""
HOLDS_OF_NODES = _HOLDS.format(which="node IN (SELECT value FROM json_each(?))")
ALL_HOLDS = _HOLDS.format(which="true")
_BEFORE_ALL = 1 << 62


@implementer(IHistory)
@define(eq=False)
class History:
    """
    A second connection, in a thread of its own.
    """

    _worker: IWorker
    _path: Path
    _connection: sqlite3.Connection | None = field(default=None, init=False)

    def answered(self, request_ids: Sequence[str]) -> Deferred[Sequence[Record]]:
        """
        The records of those of these requests that were answered.
        """
        return self._read(partial(_records, _RECORDS + _ANSWERED, (json.dumps(list(request_ids)),)))

    def requests(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Record]]:
        """
        What was asked of these nodes, newest first.
        """
        below = _BEFORE_ALL if before is None else before
        if nodes is None:
            return self._read(partial(_records, _RECORDS + _OF_ALL, (below, limit)))
        return self._read(partial(_records, _RECORDS + _OF_NODES, (json.dumps(list(nodes)), below, limit)))

    def holds(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Numbered]]:
        """
        The entries about holds on these nodes, newest first.
        """
        below = _BEFORE_ALL if before is None else before
        if nodes is None:
            return self._read(partial(_holds, ALL_HOLDS, (below, limit)))
        return self._read(partial(_holds, HOLDS_OF_NODES, (json.dumps(list(nodes)), below, limit)))

    def action(self, action: str) -> Deferred[Sequence[Numbered]]:
        """
        Every entry about an action, and of the requests it answered.
        """
        return self._read(partial(_action, action))

    def entries(self, after: int, limit: int) -> Deferred[Sequence[Numbered]]:
        """
        The entries with higher numbers.
        """
        return self._read(partial(_entries, after, limit))

    async def close(self) -> None:
        """
        Let go of the file, when what was asked is read.
        """
        try:
            await self._worker.do(self._close)
        finally:
            await self._worker.stop()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        done: Deferred[T] = self._worker.do(partial(self._ask, query))
        return done

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _connect(self._path)
            return query(self._connection)
        except sqlite3.Error as error:
            self._close()
            raise unavailable(self._path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise JournalUnavailable(f"{path}: there is no journal (yet)")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _records(query: str, values: tuple[str | int, ...], connection: sqlite3.Connection) -> Sequence[Record]:
    return [record(*row) for row in connection.execute(query, values).fetchall()]


def _action(action: str, connection: sqlite3.Connection) -> Sequence[Numbered]:
    found = [numbered(*row) for row in connection.execute(_ACTION, (action,)).fetchall()]
    if not found:
        raise NoSuchAction(f"nothing is known of action {action} (any more)")
    return found


def _holds(query: str, values: tuple[str | int, ...], connection: sqlite3.Connection) -> Sequence[Numbered]:
    return [numbered(*row) for row in connection.execute(query, values).fetchall()]


def _entries(after: int, limit: int, connection: sqlite3.Connection) -> Sequence[Numbered]:
    rows = connection.execute(
        "SELECT number, body FROM entry WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
    ).fetchall()
    (pruned,) = connection.execute("SELECT number FROM pruned").fetchone()
    if after < pruned:
        raise BadRequest(
            f"entries after {after} have been pruned; there are all from {pruned + 1} on: ask after {pruned}"
        )
    return [numbered(*row) for row in rows]
