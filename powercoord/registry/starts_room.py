# SPDX-License-Identifier: MIT
"""
What the starts of each group take, and whether there is room for one more.

# Note [The doorway]

Between the moment when a node may start and that of its command others have
the word: the journal, the endpoint, a login.  For two commands to be as far
apart as they must, whoever may start stands in the doorway until its command
has been answered, or lost, and only then does the interval begin.  Who must be
told again, because it was lost, comes before everybody who has not been told
at all, and waits for the interval like them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from math import inf

from attrs import define, field, frozen

from powercoord.model import Limit

Groups = tuple[str, ...]
FLEET = ""

# Timers of floating numbers ring a little early.
_EARLY = 1e-6


class Lack(Enum):
    """
    What there may be too little of.
    """

    PLACES = "places"
    TIME = "time"
    WATTS = "watts"


@define(eq=False)
class Room:
    """
    One group, or the fleet.

    :param at_door: how many may start and are not commanded on yet.
    :param again: how many must be told again, and may not yet.
    :param last: when the last one was commanded on.
    """

    limit: Limit
    starting: int = 0
    watts: int = 0
    at_door: int = 0
    again: int = 0
    last: float = -inf

    def lacks(self, watts: int, now: float) -> Lack | None:
        """
        What a start needs that is not there.

        One that alone needs more watts than there are starts alone; the
        configuration refuses such nodes, but a reload may have left one.
        """
        limit = self.limit
        if limit.max_starting is not None and self.starting >= limit.max_starting:
            return Lack.PLACES
        if self.again or not self.is_open(now):
            return Lack.TIME
        if limit.max_watts is not None and self.watts and self.watts + watts > limit.max_watts:
            return Lack.WATTS
        return None

    def is_open(self, now: float) -> bool:
        """
        Whether a node may be told to start now, as far as the time between two of them goes.
        """
        return self.limit.start_interval <= 0 or not (self.at_door or self.opens() - now > _EARLY)

    def opens(self) -> float:
        """
        When the interval after the last start is over.
        """
        return self.last + self.limit.start_interval

    def in_words(self, now: float) -> str:
        """
        How full it is.
        """
        lack, limit = self.lacks(0, now), self.limit
        if lack is Lack.PLACES:
            return f"{self.starting} of {limit.max_starting} starting"
        if lack is Lack.TIME:
            return f"a start every {limit.start_interval:g} s"
        if limit.max_watts is not None and self.watts:
            return f"{self.watts} of {limit.max_watts} W starting"
        return "others are before it"


@frozen
class Crowd:
    """
    How many start and wait in one group, or in the fleet (no name).
    """

    group: str
    starting: int
    limit: int | None
    waiting: int


@define(eq=False)
class Rooms:
    """
    All groups and the fleet, each inside of its parent.
    """

    _fleet: Limit
    _groups: Mapping[str, Limit]
    _rooms: dict[str, Room] = field(factory=dict, init=False)
    _chains: dict[Groups, Groups] = field(factory=dict, init=False)

    def __getitem__(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self._limit(name))
        return room

    def chain(self, groups: Groups) -> Groups:
        """
        All whose limits hold for a node of these groups, from the inside out.
        """
        if groups not in self._chains:
            self._chains[groups] = (*dict.fromkeys(self._upwards(groups)), FLEET)
        return self._chains[groups]

    def limited(self, groups: Groups) -> Groups:
        """
        Those of them that have a limit.
        """
        return tuple(name for name in self.chain(groups) if _limits_anything(self._limit(name)))

    def crowds(self, waiting: Mapping[str, int]) -> list[Crowd]:
        """
        All groups that limit anything, and the fleet.
        """
        names = [FLEET, *(name for name, limit in self._groups.items() if _limits_anything(limit))]
        return [
            Crowd(name, self[name].starting, self[name].limit.max_starting, waiting.get(name, 0))
            for name in names
        ]

    def follow(self, fleet: Limit, groups: Mapping[str, Limit], now: float) -> None:
        """
        Let other limits hold.  Nobody is in now; but it is known when somebody was.
        """
        self._fleet, self._groups = fleet, groups
        before, self._rooms, self._chains = self._rooms, {}, {}
        for name, room in before.items():
            self[name].last = room.last

    def _limit(self, name: str) -> Limit:
        return self._fleet if name == FLEET else self._groups.get(name, _NONE)

    def _upwards(self, groups: Groups) -> Iterator[str]:
        for group in groups:
            name: str | None = group
            passed = set()
            while name is not None and name not in passed:
                yield name
                passed.add(name)
                name = self._limit(name).parent


_NONE = Limit()


def _limits_anything(limit: Limit) -> bool:
    return limit.max_starting is not None or limit.max_watts is not None or limit.start_interval > 0
