# SPDX-License-Identifier: MIT
"""
The queue before a start: how many nodes may be starting at once.

A slot is held from "commanded on" until the node is seen on and its groups
have settled.  Offs never come here.  Contract, section 6.

# Note [Who waits for whom]

All nodes of the same groups wait in one line, because what one of them waits
for, all do.  A line waits for the first of its groups that is full, or for the
fleet, and is looked at again only when that has room.  So a release costs the
same with two groups as with two thousand.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.model import Limit
from powercoord.registry.gates import Slot

Groups = tuple[str, ...]
_FLEET = ""


@frozen
class _Start:
    """
    One who waits; ``order`` says since when.
    """

    order: int
    granted: Deferred[Slot]


@define(eq=False)
class StartGate:
    """
    How many nodes may be starting at once, per group and for the fleet.

    A group that nobody limits is not looked at.
    """

    _clock: IReactorTime
    _fleet: Limit = field(factory=Limit)
    _groups: Mapping[str, Limit] = field(factory=dict)
    _starting: Counter[str] = field(factory=Counter, init=False)
    _lines: dict[Groups, deque[_Start]] = field(factory=dict, init=False)
    _blocked: dict[str, list[tuple[int, Groups]]] = field(factory=dict, init=False)
    _freed: set[str] = field(factory=set, init=False)
    _order: count[int] = field(factory=count, init=False)
    _settling: dict[IDelayedCall, Slot] = field(factory=dict, init=False)
    _admitting: bool = field(default=False, init=False)

    def acquire(self, groups: Groups) -> Deferred[Slot]:
        """
        Fires with a slot in each limited group; cancel it to leave the queue.
        """
        limited = tuple(dict.fromkeys(name for name in groups if self._most(name) is not None))
        granted: Deferred[Slot] = Deferred(lambda _: None)
        line = self._lines.get(limited)
        if line is not None:
            line.append(_Start(next(self._order), granted))
        elif (blocker := self._blocker(limited)) is not None:
            self._lines[limited] = deque([_Start(next(self._order), granted)])
            self._block(limited, blocker)
        else:
            self._grant(limited, granted)
        return granted

    def seen_on(self, slot: Slot, groups: Groups) -> None:
        """
        Release a slot once its groups, and the fleet, have settled.
        """
        settle = max([self._fleet.settle] + [self._groups[g].settle for g in groups if g in self._groups])
        if settle <= 0:
            slot.release()
            return

        def settled() -> None:
            self._settling.pop(timer).release()

        timer = self._clock.callLater(settle, settled)
        self._settling[timer] = slot

    def limit(self, fleet: Limit, groups: Mapping[str, Limit]) -> None:
        """
        Let other limits hold from now on, for those who wait, too.

        A group that had no limit when somebody came to wait is not looked at
        for them.
        """
        self._fleet, self._groups = fleet, groups
        self._freed.update(self._blocked)
        self._admit()

    def stop(self) -> None:
        """
        Settle no more: give back what is held for that.
        """
        settling, self._settling = self._settling, {}
        for timer, slot in settling.items():
            timer.cancel()
            slot.release()

    def starting(self) -> int:
        """
        How many nodes are starting now.
        """
        return self._starting[_FLEET]

    def waiting(self) -> int:
        """
        How many places there are in the lines (some may have been left).
        """
        return sum(map(len, self._lines.values()))

    def _most(self, name: str) -> int | None:
        limit = self._fleet if name == _FLEET else self._groups.get(name)
        return None if limit is None else limit.max_starting

    def _is_full(self, name: str) -> bool:
        most = self._most(name)
        return most is not None and self._starting[name] >= most

    def _blocker(self, groups: Groups) -> str | None:
        return next((name for name in (*groups, _FLEET) if self._is_full(name)), None)

    def _block(self, groups: Groups, blocker: str) -> None:
        heappush(self._blocked.setdefault(blocker, []), (self._lines[groups][0].order, groups))

    def _grant(self, groups: Groups, granted: Deferred[Slot]) -> None:
        taken = (*groups, _FLEET)
        self._starting.update(taken)
        granted.callback(Slot(self._releaser(taken)))

    def _releaser(self, taken: Groups) -> Callable[[], None]:
        def release() -> None:
            self._starting.subtract(taken)
            self._freed.update(taken)
            self._admit()

        return release

    def _admit(self) -> None:
        """
        Let in who may; see note [One at the door] in `powercoord.registry.gates`.
        """
        if not self._admitting:
            self._admitting = True
            while (name := self._with_room_for_the_oldest()) is not None:
                self._look_behind(name)
            self._admitting = False

    def _with_room_for_the_oldest(self) -> str | None:
        """
        Of what has room now, that for which somebody has waited longest.
        """
        self._freed = {name for name in self._freed if self._blocked.get(name) and not self._is_full(name)}
        return min(self._freed, key=lambda name: self._blocked[name][0], default=None)

    def _look_behind(self, name: str) -> None:
        """
        Let in the first of a line, or have it wait for something else.
        """
        since, groups = heappop(self._blocked[name])
        line = self._lines[groups]
        while line and line[0].granted.called:
            line.popleft()
        if not line:
            del self._lines[groups]
        elif (blocker := self._blocker(groups)) is not None or line[0].order != since:
            self._block(groups, name if blocker is None else blocker)
        else:
            first = line.popleft()
            if line:
                self._block(groups, name)
            else:
                del self._lines[groups]
            self._grant(groups, first.granted)
