# SPDX-License-Identifier: MIT
"""
What several decisions have changed, and how to take it back.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from powercoord.entries import Entry
from powercoord.holds import Hold
from powercoord.model import Outcome
from powercoord.registry.action import PowerAction
from powercoord.registry.lane import Lane
from powercoord.registry.patience import Patience
from powercoord.registry.waiters import Waiter


@frozen(eq=False)
class Move:
    """
    A waiter joined an action: its first, or the superseder of its ``old`` one.

    :param patience: the new action's, before that.
    """

    waiter: Waiter
    old: PowerAction | None
    new: PowerAction
    patience: Patience


@frozen(eq=False)
class Orphan:
    """
    A waiter whose action has ended while it was with another one.
    """

    waiter: Waiter
    action: PowerAction
    outcome: Outcome


@frozen(eq=False)
class Before:
    """
    A lane as it was.
    """

    waiting: tuple[PowerAction, ...]
    last_sequence: int | None


@define(eq=False)
class Batch:
    """
    What several requests, decided one after the other, have changed.

    :param moves: who joined what, in that order.
    :param started: new actions.
    :param cancels: in play, to be cancelled once this is durable.
    :param ended: were waiting, with those they have left unanswered till now.
    :param holds: on each node that was held or released, those that there are then.
    """

    entries: list[Entry] = field(factory=list)
    started: list[PowerAction] = field(factory=list)
    cancels: list[PowerAction] = field(factory=list)
    moves: list[Move] = field(factory=list)
    ended: list[tuple[PowerAction, list[Waiter]]] = field(factory=list)
    before: dict[Lane, Before] = field(factory=dict)
    holds: dict[str, tuple[Hold, ...]] = field(factory=dict)

    def touches(self, lane: Lane) -> None:
        """
        Remember a lane before it is changed for the first time.
        """
        if lane not in self.before:
            self.before[lane] = Before(tuple(lane.waiting), lane.last_sequence)

    def accepted(self) -> list[Waiter]:
        """
        The waiters of the requests themselves.
        """
        return [move.waiter for move in self.moves if move.old is None]

    def answered(self) -> list[Waiter]:
        """
        All who are to be told once this is durable.
        """
        return [waiter for _, waiters in self.ended for waiter in waiters]

    def move(self, waiter: Waiter, old: PowerAction | None, new: PowerAction) -> None:
        """
        Let a waiter join an action.
        """
        self.moves.append(Move(waiter, old, new, new.patience))
        new.join(waiter)

    def undo(self) -> list[Orphan]:
        """
        Take everything back; returns those whose old action has ended meanwhile.

        Actions in play have gone on since, and stay as they are.
        """
        for action, waiters in self.ended:
            action.reopen(waiters)
        for action in self.cancels:
            action.halt.superseded = None
        orphans = [orphan for move in reversed(self.moves) for orphan in _move_back(move)]
        for lane, before in self.before.items():
            lane.restore(before.waiting)
            lane.last_sequence = before.last_sequence
        never_accepted = set(self.accepted())
        return [orphan for orphan in orphans if orphan.waiter not in never_accepted]


def _move_back(move: Move) -> Iterator[Orphan]:
    move.new.leave(move.waiter, move.patience)
    if move.old is None:
        return
    if move.old.outcome is None:
        move.old.join(move.waiter)
    else:
        yield Orphan(move.waiter, move.old, move.old.outcome)
