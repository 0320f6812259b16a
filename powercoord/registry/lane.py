# SPDX-License-Identifier: MIT
"""
A node's place in the registry: one action in play, and those waiting behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from powercoord.model import Node
from powercoord.registry.action import PowerAction
from powercoord.registry.latechange import LateChanges
from powercoord.registry.lattice import LaneSeats


@define(eq=False)
class Lane:
    """
    The actions of one node, in the order in which they will be done.
    """

    node: Node
    in_play: PowerAction | None = field(default=None, init=False)
    _closing: bool = field(default=False, init=False)
    waiting: list[PowerAction] = field(factory=list, init=False)
    last_sequence: int | None = field(default=None, init=False)
    late: LateChanges = field(default=LateChanges(), init=False)

    @property
    def empty(self) -> bool:
        """
        Whether nothing is to be done.
        """
        return self.in_play is None and not self.waiting

    @property
    def at_rest(self) -> bool:
        """
        Whether nothing is to be done, and the end of the last one is written.
        """
        return self.empty and not self._closing

    def seats(self) -> LaneSeats:
        """
        The lane as the rules see it.
        """
        in_play = self.in_play.seat() if self.in_play is not None else None
        return LaneSeats(in_play, tuple(action.seat() for action in self.waiting))

    def action(self, identity: str) -> PowerAction:
        """
        The action of that id; it must be here.
        """
        return next(action for action in self.all() if action.id == identity)

    def all(self) -> Iterable[PowerAction]:
        """
        All of them, in order.
        """
        if self.in_play is not None:
            yield self.in_play
        yield from self.waiting

    def take_next(self) -> PowerAction | None:
        """
        Put the next durable action into play, if the lane is free for it.
        """
        if self.in_play is not None or self._closing or not self.waiting or not self.waiting[0].durable:
            return None
        self.in_play = self.waiting.pop(0)
        self.in_play.late = self.late
        return self.in_play

    def restore(self, waiting: Iterable[PowerAction]) -> None:
        """
        Those are waiting again, but for those that have had their turn since.
        """
        self.waiting = [action for action in waiting if action.outcome is None and action is not self.in_play]

    def finished(self, action: PowerAction) -> None:
        """
        The action in play is over; remember what it may still cause.

        Nobody joins it any more, and the next one waits until `opened`: how
        this one ended must be durable first.
        """
        if self.in_play is not action:
            raise AssertionError(f"{action.id} ended and was not in play on {self.node.name}")
        self.in_play = None
        self._closing = True
        self.late = action.left_behind()

    def opened(self) -> None:
        """
        The end of the last one is durable: the next may have its turn.
        """
        self._closing = False
