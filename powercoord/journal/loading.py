# SPDX-License-Identifier: MIT
"""
What the tables know, for whoever begins with it.

Only what is unfinished is read in full, and the requests that were answered
last; so it takes no longer the longer the history is.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from powercoord.durable import Left, Pending, Record, Recovered
from powercoord.entries import Entry, Parked
from powercoord.holds import Hold
from powercoord.journal.rows import accepted, hold, numbered, parked, record, seen, wanted
from powercoord.journal.unfinished import left
from powercoord.model import Verb

ANSWERED = 10_000


@frozen
class Loaded:
    """
    What was found, and the hashes of the ids of all requests that were answered.
    """

    recovered: Recovered
    known: frozenset[int]


def load(connection: sqlite3.Connection, notes: Sequence[str], key: bytes = b"") -> Loaded:
    """
    Read what a registry begins with.

    :param key: what makes marks of settings.
    """
    nodes = connection.execute(
        "SELECT name, sequence, wanted.body, wanted_action, seen.body FROM node"
        " LEFT JOIN entry AS wanted ON wanted.number = node.wanted"
        " LEFT JOIN entry AS seen ON seen.number = node.seen"
    ).fetchall()
    recovered = Recovered(
        left=tuple(_left(connection)),
        wanted={name: wanted(body, action) for name, _, body, action, _ in nodes if body is not None},
        sequences={name: sequence for name, sequence, *_ in nodes if sequence is not None},
        seen={name: seen(body) for name, *_, body in nodes if body is not None},
        answered=tuple(_answered(connection)),
        holds=_holds(connection),
        refused=tuple(_refused(connection)),
        key=key,
        newest=newest(connection),
        notes=tuple(notes),
    )
    ids = connection.execute("SELECT request_id FROM request WHERE answer IS NOT NULL")
    return Loaded(recovered, frozenset(hash(request_id) for (request_id,) in ids))


def _holds(connection: sqlite3.Connection) -> Mapping[str, tuple[Hold, ...]]:
    holds: dict[str, tuple[Hold, ...]] = {}
    for node, body in connection.execute(
        "SELECT hold.node, entry.body FROM hold JOIN entry ON entry.number = hold.number ORDER BY hold.number"
    ):
        holds[node] = (*holds.get(node, ()), hold(body))
    return holds


def _refused(connection: sqlite3.Connection) -> Iterable[Parked]:
    for (body,) in connection.execute(
        "SELECT entry.body FROM refused JOIN entry ON entry.number = refused.number ORDER BY refused.number"
    ):
        yield parked(body)


def newest(connection: sqlite3.Connection) -> int:
    """
    The highest number that was ever given to an entry which became durable.
    """
    (number,) = connection.execute(
        "SELECT max(coalesce((SELECT max(number) FROM entry), 0), number) FROM pruned"
    ).fetchone()
    return int(number)


def _answered(connection: sqlite3.Connection) -> Iterable[Record]:
    rows = connection.execute(
        "SELECT request.number, request.action, accepted.body, answered.body FROM request"
        " JOIN entry AS accepted ON accepted.number = request.number"
        " JOIN entry AS answered ON answered.number = request.answer"
        " WHERE request.answer IS NOT NULL ORDER BY request.answer DESC LIMIT ?",
        (ANSWERED,),
    )
    return reversed([record(*row) for row in rows])


def _left(connection: sqlite3.Connection) -> Iterable[Left]:
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for action, number, body in connection.execute(
        "SELECT action.id, entry.number, entry.body FROM action JOIN entry ON entry.action = action.id"
        " WHERE entry.number >= action.number ORDER BY entry.number"
    ):
        entries[action].append(numbered(number, body).entry)
    pending = _pending(connection)
    for action, by, verb in connection.execute(
        "SELECT id, superseded_by, superseded_verb FROM action ORDER BY number"
    ):
        yield left(entries[action], pending[action], None if by is None else (by, Verb(verb)))


def _pending(connection: sqlite3.Connection) -> defaultdict[str, list[Pending]]:
    pending: defaultdict[str, list[Pending]] = defaultdict(list)
    for action, body in connection.execute(
        "SELECT request.action, entry.body FROM request JOIN entry ON entry.number = request.number"
        " WHERE request.answer IS NULL ORDER BY request.number"
    ):
        entry = accepted(body)
        pending[action].append(Pending(entry.request, entry.at))
    return pending
