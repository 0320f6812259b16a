# SPDX-License-Identifier: MIT
"""
The nodes that are read in the background, in the order in which they are due.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from attrs import define, field

from powercoord.model import Node, PowerState
from powercoord.registry.sweep_pace import Pace

_SLACK = 50


@define(eq=False)
class Place:
    """
    One node's place.

    :param since: when it became known.
    :param tie: orders those that are due at the same time.
    :param slow: the longest pause of a node that is well.
    :param pause: the present one.
    :param seen: when it was last seen, as far as was considered here.
    :param state: what was seen then.
    :param power: the last power that was seen.
    :param due: when it is due; None: it is being read.
    """

    node: Node
    since: float
    tie: float
    slow: float
    pause: float
    seen: float | None = None
    state: PowerState = PowerState.NEVER_CHECKED
    power: PowerState | None = None
    due: float | None = None


@define(eq=False)
class Places:
    """
    All places.  A time that was changed stays in the heap until it passes, but never many do.
    """

    pace: Pace = field(factory=Pace, init=False)
    _places: dict[str, Place] = field(factory=dict, init=False)
    _heap: list[tuple[float, float, str]] = field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    @property
    def remembered(self) -> int:
        """
        How many times are in the heap, with those that do not hold any more.
        """
        return len(self._heap)

    def get(self, name: str) -> Place | None:
        """
        The place of a node, if it has one.
        """
        return self._places.get(name)

    def add(self, place: Place) -> None:
        """
        One more; it is not due before it is `put`.
        """
        self._places[place.node.name] = place
        self.pace.add(place.pause, place.slow)

    def drop(self, name: str) -> None:
        """
        A node is not read any more.
        """
        place = self._places.pop(name, None)
        if place is not None:
            self.pace.remove(place.pause, place.slow)
        if not self._places:
            # Sums of what was added and taken away again are not quite what they were.
            self.pace = Pace()
            self._heap.clear()

    def retime(self, place: Place, pause: float, slow: float) -> None:
        """
        Give it other pauses.
        """
        self.pace.remove(place.pause, place.slow)
        place.pause, place.slow = pause, slow
        self.pace.add(pause, slow)

    def put(self, place: Place, due: float) -> None:
        """
        It is due at that time, instead of any other.
        """
        place.due = due
        heappush(self._heap, (due, place.tie, place.node.name))
        if len(self._heap) > 2 * len(self._places) + _SLACK:
            self._heap = [
                (each.due, each.tie, name) for name, each in self._places.items() if each.due is not None
            ]
            heapify(self._heap)

    def first(self) -> Place | None:
        """
        Who is due first; stays there.
        """
        while self._heap:
            due, _, name = self._heap[0]
            place = self._places.get(name)
            if place is not None and place.due == due:
                return place
            heappop(self._heap)
        return None

    def take_first(self) -> Place | None:
        """
        Who is due first; not due any more until it is `put` again.
        """
        place = self.first()
        if place is not None:
            heappop(self._heap)
            place.due = None
        return place
