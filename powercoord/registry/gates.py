# SPDX-License-Identifier: MIT
"""
The queues that an action passes before anything is sent.

Two kinds of slot: an endpoint's, held for one operation on the wire, and a
start's, held from "commanded on" until the node is seen on and its group has
settled.  Contract, section 6.

# Note [One at the door]

Who is let in may be through at once, and release the slot before the one who
let it in is done.  That must not let in the next from within: ten thousand
would be as many frames of the stack.  So whoever is letting in goes on, and a
release meanwhile only makes room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.model import Limit, Target


class Priority(IntEnum):
    """
    Who goes first at an endpoint; equals go in the order they came.
    """

    OFF = 0
    CHANGE = 1
    QUERY = 2


@define(eq=False)
class Slot:
    """
    A place that somebody holds, until it is released; once is enough.
    """

    _release: Callable[[], None]
    _held: bool = field(default=True, init=False)

    def release(self) -> None:
        """
        Give the place to the next in line.
        """
        if self._held:
            self._held = False
            self._release()


@define(eq=False)
class _AtEndpoint:
    """
    One who waits for an operation at an endpoint, and whom it concerns.
    """

    selector: str
    granted: Deferred[Slot]


@define(eq=False)
class _Endpoint:
    """
    One endpoint: which of its nodes are being talked to, and who waits.
    """

    limit: int
    admitting: bool = False
    talking: set[str] = field(factory=set)
    waiting: list[tuple[int, int, _AtEndpoint]] = field(factory=list)


def _first_free(endpoint: _Endpoint) -> _AtEndpoint | None:
    """
    Take out the first who still waits, and whose node nobody is talking to.
    """
    held_back = []
    found: _AtEndpoint | None = None
    while endpoint.waiting and found is None:
        place = heappop(endpoint.waiting)
        waiting = place[2]
        if waiting.granted.called:
            continue
        if waiting.selector in endpoint.talking:
            held_back.append(place)
        else:
            found = waiting
    for place in held_back:
        heappush(endpoint.waiting, place)
    return found


@define(eq=False)
class EndpointGate:
    """
    At most ``limit`` operations at once per endpoint, one per node.

    :param limits: by driver name; 1 for a driver that is not there.
    """

    _limits: Mapping[str, int] = field(factory=dict)
    _endpoints: dict[str, _Endpoint] = field(factory=dict, init=False)
    _order: count[int] = field(factory=count, init=False)

    def acquire(self, target: Target, priority: Priority) -> Deferred[Slot]:
        """
        Fires with a slot; cancel it to leave the queue.
        """
        endpoint = self._endpoints.get(target.endpoint)
        if endpoint is None:
            endpoint = _Endpoint(self._limits.get(target.driver, 1))
            self._endpoints[target.endpoint] = endpoint
        granted: Deferred[Slot] = Deferred(lambda _: None)
        heappush(endpoint.waiting, (priority, next(self._order), _AtEndpoint(target.selector, granted)))
        self._admit(target.endpoint, endpoint)
        return granted

    def _admit(self, name: str, endpoint: _Endpoint) -> None:
        """
        Let in who may; see note [One at the door].
        """
        if endpoint.admitting:
            return
        endpoint.admitting = True
        while len(endpoint.talking) < endpoint.limit and (next_one := _first_free(endpoint)) is not None:
            endpoint.talking.add(next_one.selector)
            next_one.granted.callback(Slot(self._releaser(name, endpoint, next_one.selector)))
        endpoint.admitting = False
        if not endpoint.waiting and not endpoint.talking:
            self._endpoints.pop(name, None)

    def _releaser(self, name: str, endpoint: _Endpoint, selector: str) -> Callable[[], None]:
        def release() -> None:
            endpoint.talking.discard(selector)
            self._admit(name, endpoint)

        return release


@frozen
class _Start:
    """
    One who waits to start a node of these groups.
    """

    order: int
    groups: tuple[str, ...]
    granted: Deferred[Slot]


@define(eq=False)
class StartGate:
    """
    How many nodes may be starting at once, per group and for the fleet.

    Offs never come here.  Those who wait are kept by their groups, because all
    who share these share what they wait for: a release looks at one of each.
    """

    _clock: IReactorTime
    _fleet: Limit = field(factory=Limit)
    _groups: Mapping[str, Limit] = field(factory=dict)
    _starting: dict[str, int] = field(factory=dict, init=False)
    _starting_fleet: int = field(default=0, init=False)
    _waiting: dict[tuple[str, ...], deque[_Start]] = field(factory=dict, init=False)
    _order: count[int] = field(factory=count, init=False)
    _settling: dict[IDelayedCall, Slot] = field(factory=dict, init=False)
    _admitting: bool = field(default=False, init=False)

    def acquire(self, groups: tuple[str, ...]) -> Deferred[Slot]:
        """
        Fires with a slot in each limited group; cancel it to leave the queue.
        """
        limited = tuple(name for name in dict.fromkeys(groups) if self._is_limited(name))
        granted: Deferred[Slot] = Deferred(lambda _: None)
        start = _Start(next(self._order), limited, granted)
        if not self._waiting.get(limited) and self._has_room(limited):
            self._grant(start)
        else:
            self._waiting.setdefault(limited, deque()).append(start)
        return granted

    def seen_on(self, slot: Slot, groups: tuple[str, ...]) -> None:
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
        return self._starting_fleet

    def _is_limited(self, group: str) -> bool:
        limit = self._groups.get(group)
        return limit is not None and limit.max_starting is not None

    def _has_room(self, groups: tuple[str, ...]) -> bool:
        most = self._fleet.max_starting
        if most is not None and self._starting_fleet >= most:
            return False
        return all(self._starting.get(group, 0) < (self._groups[group].max_starting or 0) for group in groups)

    def _grant(self, start: _Start) -> None:
        self._starting_fleet += 1
        for group in start.groups:
            self._starting[group] = self._starting.get(group, 0) + 1

        def release() -> None:
            self._starting_fleet -= 1
            for group in start.groups:
                self._starting[group] -= 1
            self._admit()

        start.granted.callback(Slot(release))

    def _admit(self) -> None:
        """
        Let in who may; see note [One at the door].
        """
        if not self._admitting:
            self._admitting = True
            while (oldest := self._oldest_with_room()) is not None:
                self._grant(oldest)
            self._admitting = False

    def _oldest_with_room(self) -> _Start | None:
        best: deque[_Start] | None = None
        for groups, queue in list(self._waiting.items()):
            while queue and queue[0].granted.called:
                queue.popleft()
            if not queue:
                del self._waiting[groups]
            elif (best is None or queue[0].order < best[0].order) and self._has_room(groups):
                best = queue
        return best.popleft() if best else None
