# SPDX-License-Identifier: MIT
"""
What need not be kept any longer goes, a little at a time.

Never an action that is not over with all that was written about it, nor a
request without its answer, nor what is wanted and was last seen of a node, nor
a hold that is not over, nor that an endpoint refused our password.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from math import inf

from attrs import frozen

SLICE = 500

_OLDEST_KEPT = "SELECT number FROM request ORDER BY number DESC LIMIT 1 OFFSET ?"
_REQUESTS = """
DELETE FROM request WHERE number <= ? AND answer IS NOT NULL AND action NOT IN (SELECT id FROM action)
RETURNING request_id
"""
_ENTRIES = """
DELETE FROM entry WHERE number <= ?
    AND NOT EXISTS (SELECT 1 FROM action WHERE id = entry.action)
    AND NOT EXISTS (SELECT 1 FROM request WHERE number = entry.number)
    AND NOT EXISTS (SELECT 1 FROM node WHERE name = entry.node AND entry.number IN (wanted, seen))
    AND NOT EXISTS (SELECT 1 FROM hold WHERE node = entry.node AND number = entry.number)
    AND NOT EXISTS (SELECT 1 FROM refused WHERE number = entry.number)
"""


@frozen
class Keep:
    """
    What is kept: what is younger than so many seconds, of the last so many requests.
    """

    seconds: float = 90 * 86400.0
    requests: int = 100_000


@frozen
class Pruned:
    """
    A slice that is gone.

    :param forgotten: hashes of the ids of its requests.
    :param more: whether there is another slice.
    """

    forgotten: Sequence[int] = ()
    more: bool = False


def prune(connection: sqlite3.Connection, keep: Keep, now: datetime) -> Pruned:
    """
    Take the next slice away, if it is old enough.
    """
    (done,) = connection.execute("SELECT number FROM pruned").fetchone()
    begin = _begin(connection, keep.requests)
    oldest = now - timedelta(seconds=keep.seconds)
    rows = connection.execute(
        "SELECT number, at FROM entry WHERE number > ? ORDER BY number LIMIT ?", (done, SLICE)
    ).fetchall()
    gone = [*takewhile(lambda row: row[0] < begin or datetime.fromisoformat(row[1]) < oldest, rows)]
    if not gone:
        return Pruned()
    return Pruned(_remove(connection, gone[-1][0]), more=len(gone) == SLICE)


def _begin(connection: sqlite3.Connection, requests: int) -> float:
    """
    The number of the oldest of the last so many requests.
    """
    if requests == 0:
        return inf
    oldest = connection.execute(_OLDEST_KEPT, (requests - 1,)).fetchone()
    return 0 if oldest is None else float(oldest[0])


def _remove(connection: sqlite3.Connection, upto: int) -> Sequence[int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        forgotten = [hash(request_id) for (request_id,) in connection.execute(_REQUESTS, (upto,)).fetchall()]
        connection.execute(_ENTRIES, (upto,))
        connection.execute("UPDATE pruned SET number = ?", (upto,))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return forgotten
