# SPDX-License-Identifier: MIT
"""
How far an action had come, from the entries about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from attrs import evolve

from powercoord.durable import Left, Pending
from powercoord.entries import Accepted, Entered, Entry
from powercoord.model import Phase, Verb


def left(
    entries: Sequence[Entry], pending: Sequence[Pending], superseded_by: tuple[str, Verb] | None
) -> Left:
    """
    An action that is not over.

    :param entries: those about it, in order, from the one that began it.
    """
    first = entries[0]
    assert isinstance(first, Accepted)  # noqa: S101 - what the tables point at
    begun = Left(
        action=first.action,
        node=first.request.node,
        verb=first.request.verb,
        boot=first.request.boot,
        since=first.at,
        phase=Phase.QUEUED,
        half="",
        at=first.at,
        superseded_by=superseded_by,
        pending=tuple(pending),
    )
    return reduce(_enter, (each for each in entries if isinstance(each, Entered)), begun)


def _enter(before: Left, entry: Entered) -> Left:
    if entry.phase is Phase.INTERRUPTED:
        return before
    after = evolve(before, phase=entry.phase, half=entry.half, at=entry.at)
    match entry.phase:
        case Phase.ADMITTED if before.turn is None or before.half != entry.half:
            return evolve(after, turn=entry.at)
        case Phase.SENT if entry.half not in before.sent:
            return evolve(after, sent=(*before.sent, entry.half))
        case Phase.CANCELLING if before.superseded_by is None:
            return evolve(after, cancelled_by=entry.text)
        case _:
            return after
