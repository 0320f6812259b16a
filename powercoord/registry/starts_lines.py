# SPDX-License-Identifier: MIT
"""
The lines in which nodes wait to start, and who comes first of those that wait for the same.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred

from powercoord.registry.starts_room import FLEET, Groups
from powercoord.registry.starts_slot import StartSlot
from powercoord.registry.starts_turns import Turns

# In which round it is a caller's turn, and since when the first of its line has waited.
Rank = tuple[int, int]


@define(eq=False)
class Start:
    """
    One who waits; ``order`` says since when, ``sent_on`` how often it had room in one of its groups only.
    """

    order: int
    groups: Groups
    watts: int
    caller: str
    granted: Deferred[StartSlot] = field(repr=False)
    line: Line | None = None
    gone: bool = False
    sent_on: int = 0

    def names(self) -> Groups:
        """
        The groups with a limit for which it waits.
        """
        return () if self.line is None else self.line.names


@define(eq=False)
class Line:
    """
    Those who wait for the same groups, for one caller.

    :param at: that for which they wait.
    :param place: its valid entry there.
    """

    names: Groups
    caller: str
    starts: deque[Start] = field(factory=deque)
    at: str = FLEET
    place: _Place | None = None

    def first(self) -> Start | None:
        """
        The first who is still there.
        """
        while self.starts and self.starts[0].gone:
            self.starts.popleft()
        return self.starts[0] if self.starts else None


# What stands in the heaps; numbers are unique, so lines are never compared.
_Place = tuple[int, int, Line]
_Entry = tuple[int, int, int, str]


@define(eq=False)
class Waiting:
    """
    All lines that wait for one group, or for the fleet.

    A caller has one entry, with its oldest line's age; what has become wrong
    in it is put right when it comes to the top.  Turns and ages only grow, so
    it cannot have been there too late.
    """

    _turns: Turns
    _places: dict[str, list[_Place]] = field(factory=dict, init=False)
    _entries: list[_Entry] = field(factory=list, init=False)
    _valid: dict[str, _Entry] = field(factory=dict, init=False)
    _number: count[int] = field(factory=count, init=False)

    def add(self, line: Line, start: Start) -> None:
        """
        A line comes to wait here, with that one at its head.
        """
        line.place = (start.order, next(self._number), line)
        heappush(self._places.setdefault(line.caller, []), line.place)
        valid = self._valid.get(line.caller)
        if valid is None or start.order < valid[1]:
            self._enter(line.caller, start.order)

    def first(self) -> tuple[Rank, Line] | None:
        """
        The line whose turn it is, and its rank.
        """
        while self._entries:
            entry = self._entries[0]
            turn, order, _, caller = entry
            line = self._oldest(caller) if self._valid.get(caller) is entry else None
            if line is None:
                heappop(self._entries)
                if self._valid.get(caller) is entry:
                    del self._valid[caller]
                continue
            rank = (self._turns.of(caller), line.starts[0].order)
            if rank == (turn, order):
                return rank, line
            self._valid[caller] = (*rank, next(self._number), caller)
            heapreplace(self._entries, self._valid[caller])
        return None

    def _enter(self, caller: str, order: int) -> None:
        self._valid[caller] = (self._turns.of(caller), order, next(self._number), caller)
        heappush(self._entries, self._valid[caller])

    def _oldest(self, caller: str) -> Line | None:
        """
        The line of a caller that has waited longest.
        """
        places = self._places.get(caller, [])
        while places:
            order, _, line = places[0]
            start = line.first() if line.place is places[0] else None
            if start is None:
                heappop(places)
            elif start.order != order:
                line.place = (start.order, next(self._number), line)
                heapreplace(places, line.place)
            else:
                return line
        self._places.pop(caller, None)
        return None
