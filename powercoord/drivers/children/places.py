# SPDX-License-Identifier: MIT
"""
How many children there may be at once, and who comes next.

A process costs a thousand times what a datagram does: a sweep over a thousand
nodes must not start a thousand interpreters.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred


class Rank(IntEnum):
    """
    Who goes first: offs pass every queue before ons, and reads come after all changes.
    """

    OFF = 0
    CHANGE = 1
    READ = 2


@define(eq=False)
class Places:
    """
    So many at once; the others wait, by rank and then by their turn.
    """

    _size: int
    _taken: int = field(default=0, init=False)
    _waiting: list[tuple[int, int, Deferred[None]]] = field(factory=list, init=False)
    _order: count[int] = field(factory=count, init=False)

    @property
    def size(self) -> int:
        """
        How many there are.
        """
        return self._size

    def take(self, rank: Rank) -> Deferred[None]:
        """
        Fires with a place, at once if there is one; cancel it to leave the queue.
        """
        granted: Deferred[None] = Deferred()
        heappush(self._waiting, (rank, next(self._order), granted))
        self._admit()
        return granted

    def give_back(self) -> None:
        """
        One more for the next.
        """
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._taken < self._size and self._waiting:
            _, _, granted = heappop(self._waiting)
            if not granted.called:
                self._taken += 1
                granted.callback(None)
