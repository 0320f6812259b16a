# SPDX-License-Identifier: MIT
"""
A start that has been sent from one group to the next too often, and now takes its places one by one.

# Note [Groups that cross]

A start takes a place in all of its groups at once.  Where groups cross, one
that needs a place in two might never find both free at the same moment: while
it waits for the one, others take the other.  So who has found room where it
waited, and none elsewhere, a few times over is the elder: it keeps each place
that comes free for it until it has them all.  There is one elder at a time,
the one that has waited longest, and nobody else keeps anything: so two can
never wait for each other.  Meanwhile a group lacks one place at most.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import define, field

from powercoord.registry.starts_lines import Line, Start
from powercoord.registry.starts_room import Lack, Rooms

PATIENCE = 4
"""
How often a start is sent on before it keeps its places.
"""


@define(eq=False)
class Elder:
    """
    One start, and the places that it keeps.
    """

    line: Line
    start: Start
    _rooms: Rooms
    _kept: set[str] = field(factory=set, init=False)

    def comes_first(self, name: str) -> bool:
        """
        Whether it comes before everybody else: where it has no place, and, once it has all, everywhere.
        """
        return name in self.line.names and (name not in self._kept or len(self._kept) == len(self.line.names))

    def keep(self, now: float) -> None:
        """
        Take the places that are free.
        """
        for name in self.line.names:
            room = self._rooms[name]
            if name not in self._kept and room.lacks(self.start.watts, now) in (None, Lack.TIME):
                self._kept.add(name)
                room.starting += 1
                room.watts += self.start.watts

    def obstacle(self, now: float) -> str | None:
        """
        The first group in which it has no place, or may not start yet.
        """
        for name in self.line.names:
            room = self._rooms[name]
            if name not in self._kept or room.again or not room.is_open(now):
                return name
        return None

    def lack(self, name: str, now: float) -> Lack | None:
        """
        What it lacks in a group; a place that it keeps is not in its own way.
        """
        if name not in self._kept:
            return self._rooms[name].lacks(self.start.watts, now)
        return Lack.TIME

    def give_back(self) -> None:
        """
        Let go of its places.
        """
        for name in self._kept:
            self._rooms[name].starting -= 1
            self._rooms[name].watts -= self.start.watts
        self._kept.clear()


@define(eq=False)
class Elders:
    """
    The elder, if there is one, and who may be the next.
    """

    _rooms: Rooms
    _elder: Elder | None = field(default=None, init=False)
    _patient: dict[Start, Line] = field(factory=dict, init=False)

    def forget(self) -> None:
        """
        Others are counted from now on, and all who wait begin anew.
        """
        self._elder, self._patient = None, {}

    def first_at(self, name: str) -> Line | None:
        """
        The elder's line, if nobody comes before it at a group.
        """
        elder = self._elder
        return elder.line if elder is not None and elder.comes_first(name) else None

    def of(self, start: Start) -> Elder | None:
        """
        What it keeps, if it is the elder.
        """
        return self._elder if self._elder is not None and self._elder.start is start else None

    def keep(self, now: float) -> None:
        """
        Let the elder take what is free for it.
        """
        if self._elder is not None:
            self._elder.keep(now)

    def sent_on(self, start: Start, line: Line) -> Collection[str]:
        """
        It had room where it waited, and has none elsewhere; gives the groups to be looked at again.
        """
        start.sent_on += 1
        if start.sent_on >= PATIENCE:
            self._patient[start] = line
        return self._choose()

    def gone(self, start: Start) -> Collection[str]:
        """
        It waits no longer: gives the groups to be looked at again.
        """
        self._patient.pop(start, None)
        elder = self.of(start)
        if elder is None:
            return ()
        elder.give_back()
        self._elder = None
        return {*elder.line.names, *self._choose()}

    def _choose(self) -> Collection[str]:
        if self._elder is not None or not self._patient:
            return ()
        start = min(self._patient, key=lambda each: each.order)
        self._elder = Elder(self._patient[start], start, self._rooms)
        return self._elder.line.names
