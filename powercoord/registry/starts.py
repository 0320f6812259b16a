# SPDX-License-Identifier: MIT
"""
The queue before a start: how many nodes, and watts, may be starting at once.

A slot is held from "commanded on" until the node is seen on and its groups
have settled.  Offs never come here.  Contract, section 6.

# Note [Who waits for whom]

All nodes of the same groups for which the same caller asked wait in one line,
because what the first of them waits for, all do.  A line waits for the first
of its groups that has no room, from the inside out, and is looked at again only
when that has.  So a release costs the same with two groups as with two
thousand.

Nobody overtakes within a group whoever is the next one there.  A node that
needs many watts waits until there are as many, and those behind it do not take
them away one by one: its group is reserved for it.  For groups that cross see `Elder`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.model import Limit
from powercoord.registry.starts_elder import Elders
from powercoord.registry.starts_lines import Line, Rank, Start, Waiting
from powercoord.registry.starts_openings import Openings
from powercoord.registry.starts_room import Crowd, Groups, Lack, Rooms
from powercoord.registry.starts_settling import Settling
from powercoord.registry.starts_slot import StartSlot
from powercoord.registry.starts_turns import Turns

_ELDER: Rank = (-2, 0)
_RESERVED: Rank = (-1, 0)


@define(eq=False)
class StartGate:
    """
    How many nodes may be starting at once, per group and for the fleet.

    A group that nobody limits is not looked at.
    """

    _clock: IReactorTime
    _fleet: Limit = field(factory=Limit)
    _groups: Mapping[str, Limit] = field(factory=dict)
    _turns: Turns = field(factory=Turns)
    _rooms: Rooms = field(init=False)
    _inside: set[StartSlot] = field(factory=set, init=False)
    _lines: dict[tuple[Groups, str], Line] = field(factory=dict, init=False)
    _waiting: dict[str, Waiting] = field(factory=dict, init=False)
    _reserved: dict[str, Line] = field(factory=dict, init=False)
    _asked: dict[Deferred[StartSlot], Start] = field(factory=dict, init=False)
    _freed: set[str] = field(factory=set, init=False)
    _order: count[int] = field(factory=count, init=False)
    _settling: Settling = field(init=False)
    _opening: Openings = field(init=False)
    _admitting: bool = field(default=False, init=False)
    _elders: Elders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rooms = Rooms(self._fleet, self._groups)
        self._elders = Elders(self._rooms)
        self._settling = Settling(self._clock)
        self._opening = Openings(self._clock, self._make_room)

    def acquire(
        self, groups: Groups, watts: int = 0, caller: str = "", *, begun: bool = False
    ) -> Deferred[StartSlot]:
        """
        Fires with a slot in each group and those around it; cancel it to leave the queue.

        :param begun: it may be starting already: it is counted, and does not wait.
        """
        granted: Deferred[StartSlot] = Deferred(self._leave)
        start = Start(next(self._order), groups, watts, caller, granted)
        if begun:
            granted.callback(self._take(start, at_door=False))
            return granted
        self._asked[granted] = start
        self._queue(start)
        self._admit()
        return granted

    def seen_on(self, slot: StartSlot) -> None:
        """
        Release a slot once its groups, and the fleet, have settled.
        """
        self.release_in(slot, max(self._rooms[name].limit.settle for name in slot.inside))

    def release_in(self, slot: StartSlot, seconds: float) -> None:
        """
        Release a slot a while from now.
        """
        self._settling.release_in(slot, seconds)

    def limit(self, fleet: Limit, groups: Mapping[str, Limit], turns: Turns | None = None) -> None:
        """
        Let other limits hold from now on, for those who wait, too.

        Whoever is inside stays there, and counts in what is around its groups now.
        """
        self._rooms.follow(fleet, groups, self._clock.seconds())
        for slot in self._inside:
            slot.inside = self._rooms.chain(slot.groups)
            self._count(slot, 1)
        waiting = sorted(self._asked.values(), key=lambda start: start.order)
        self._lines, self._waiting, self._reserved, self._turns = {}, {}, {}, turns or Turns()
        self._elders.forget()
        self._opening.forget()
        for start in waiting:
            self._queue(start)
        self._admit()

    def stop(self) -> None:
        """
        Settle no more: give back what is held for that.
        """
        self._settling.stop()
        self._opening.forget()

    def starting(self) -> int:
        """
        How many nodes are starting now.
        """
        return len(self._inside)

    def waiting(self) -> int:
        """
        How many wait in the lines.
        """
        return len(self._asked)

    def crowds(self) -> Sequence[Crowd]:
        """
        How it is in each group that limits anything, and in the fleet.
        """
        return self._rooms.crowds(Counter(name for start in self._asked.values() for name in start.names()))

    def obstacle(self, granted: Deferred[StartSlot]) -> str:
        """
        What somebody waits for, in words.
        """
        start = self._asked.get(granted)
        if start is None or start.line is None:
            return ""
        name = start.line.at
        return f"{name or 'fleet'}: {self._rooms[name].in_words(self._clock.seconds())}"

    def _queue(self, start: Start) -> None:
        """
        Go to the end of a line; it is looked at if it is a new one.
        """
        key = (self._rooms.limited(start.groups), start.caller)
        line = self._lines.get(key)
        if line is not None:
            start.line = line
            line.starts.append(start)
            return
        line = start.line = self._lines[key] = Line(*key)
        line.starts.append(start)
        self._turns.join(start.caller)
        self._look(line)

    def _leave(self, granted: Deferred[StartSlot]) -> None:
        """
        Somebody does not want to start any more.
        """
        start = self._asked.pop(granted)
        start.gone = True
        line = start.line
        self._freed.update(self._elders.gone(start))
        if line is not None and line.starts[0] is start:
            if line.first() is None:
                self._wait(line, line.at)
            self._freed.add(line.at)
            self._admit()

    def _admit(self) -> None:
        """
        Let in who may; see note [One at the door] in `powercoord.registry.gates`.
        """
        if not self._admitting:
            self._admitting = True
            while (line := self._first_with_room()) is not None:
                at, start = line.at, line.starts[0]
                self._look(line)
                if start.granted in self._asked and line.at != at:
                    self._freed.update(self._elders.sent_on(start, line))
            self._admitting = False

    def _first_with_room(self) -> Line | None:
        """
        Of those who wait for what may have room now, the one whose turn it is.
        """
        found: tuple[Rank, Line] | None = None
        self._elders.keep(self._clock.seconds())
        for name in tuple(self._freed):
            first = self._first_at(name)
            if first is None or self._lacks(name, first[1]):
                self._freed.discard(name)
            elif found is None or first[0] < found[0]:
                found = first
        return None if found is None else found[1]

    def _lacks(self, name: str, line: Line) -> bool:
        """
        Whether the next one at a group lacks something there; if so, see to it that it gets that.
        """
        now, elder = self._clock.seconds(), self._elders.of(line.starts[0])
        obstacle = name if elder is None else elder.obstacle(now)
        if obstacle is None:
            return False
        name, room = obstacle, self._rooms[obstacle]
        lack = room.lacks(line.starts[0].watts, now) if elder is None else elder.lack(name, now)
        if lack is Lack.WATTS and elder is None:
            self._reserved[name] = line
        if lack is Lack.TIME:
            self._opening.wait(name, room.opens() - now)
        return lack is not None

    def _look(self, line: Line) -> None:
        """
        Let in the first of a line, or have it wait for what is in the way.
        """
        at, line.place = line.at, None
        start = line.starts[0]
        obstacle = self._in_the_way(line, start)
        if obstacle is not None:
            self._freed.add(obstacle)
            self._wait(line, obstacle)
            return
        self._freed.update(self._elders.gone(start))
        line.starts.popleft()
        self._turns.served(line.caller)
        self._wait(line, at)
        del self._asked[start.granted]
        start.granted.callback(self._take(start, at_door=True))

    def _in_the_way(self, line: Line, start: Start) -> str | None:
        """
        The first of a line's groups where there is no room, or where another comes first.
        """
        now, rank = self._clock.seconds(), (self._turns.of(line.caller), start.order)
        elder = self._elders.of(start)
        if elder is not None:
            return elder.obstacle(now)
        for name in line.names:
            if self._rooms[name].lacks(start.watts, now) is not None:
                return name
            first = None if self._reserved.get(name) is line else self._first_at(name)
            if first is not None and first[0] < rank:
                return name
        return None

    def _wait(self, line: Line, name: str) -> None:
        """
        Take a place among those who wait for a group, if there is anybody in the line.
        """
        start = line.first()
        if self._reserved.get(line.at) is line and (start is None or line.at != name):
            del self._reserved[line.at]
        if start is None:
            self._dissolve(line)
            return
        line.at = name
        self._waiting.setdefault(name, Waiting(self._turns)).add(line, start)

    def _dissolve(self, line: Line) -> None:
        """
        Nobody is in it any more.
        """
        line.place = None
        del self._lines[line.names, line.caller]
        self._turns.leave(line.caller)

    def _first_at(self, name: str) -> tuple[Rank, Line] | None:
        """
        Who comes next at a group: the one it is reserved for, or whose turn it is.
        """
        elder = self._elders.first_at(name)
        if elder is not None:
            return _ELDER, elder
        reserved = self._reserved.get(name)
        if reserved is not None and reserved.place is not None:
            return _RESERVED, reserved
        waiting = self._waiting.get(name)
        first = None if waiting is None else waiting.first()
        if first is None:
            self._waiting.pop(name, None)
        return first

    def _take(self, start: Start, *, at_door: bool) -> StartSlot:
        inside = self._rooms.chain(start.groups)
        slot = StartSlot(
            start.groups, start.watts, inside, at_door, self._may_be_told, self._left, self._commanded
        )
        self._inside.add(slot)
        self._count(slot, 1)
        return slot

    def _left(self, slot: StartSlot) -> None:
        self._inside.discard(slot)
        self._count(slot, -1)
        self._make_room(slot.inside)

    def _may_be_told(self, slot: StartSlot) -> bool:
        is_open = all(self._rooms[name].is_open(self._clock.seconds()) for name in slot.inside)
        self._put(slot, at_door=is_open, again=not is_open)
        return is_open

    def _put(self, slot: StartSlot, *, at_door: bool, again: bool) -> None:
        self._count(slot, -1)
        slot.at_door, slot.again = at_door, again
        self._count(slot, 1)

    def _commanded(self, slot: StartSlot) -> None:
        self._put(slot, at_door=False, again=False)
        for name in slot.inside:
            self._rooms[name].last = self._clock.seconds()
        self._make_room(slot.inside)

    def _count(self, slot: StartSlot, sign: int) -> None:
        for name in slot.inside:
            room = self._rooms[name]
            room.starting += sign
            room.watts += sign * slot.watts
            room.at_door += sign * slot.at_door
            room.again += sign * slot.again

    def _make_room(self, names: Groups) -> None:
        self._freed.update(names)
        self._admit()
