# SPDX-License-Identifier: MIT
"""
The queue before an endpoint, which each operation on the wire passes.

A slot is held for one operation.  Contract, section 6.

# Note [A gap between two]

Some BMCs fall over when they are asked again at once.  So an operation begins
no sooner than the gap after the last one has begun, or has ended, whichever is
later; reads and changes share it.  Offs keep it, too: they are let in first
when it is over, so it holds one up for no longer than the gap.

# Note [One at the door]

Who is let in may be through at once, and release the slot before the one who
let it in is done.  That must not let in the next from within: ten thousand
would be as many frames of the stack.  So whoever is letting in goes on, and a
release meanwhile only makes room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count
from math import inf

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.model import Target


class Priority(IntEnum):
    """
    Who goes first at an endpoint; equals go in the order they came.
    """

    OFF = 0
    CHANGE = 1
    QUERY = 2
    SWEEP = 3


@define(eq=False)
class Slot:
    """
    A place that somebody holds, until it is released; once is enough.
    """

    _release: Callable[[], None]
    idle: bool = field(default=False, init=False)
    _held: bool = field(default=True, init=False)

    def unused(self) -> None:
        """
        Nothing was done in this place, nor will be.
        """
        self.idle = True
        self.release()

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

    :param rests: until when nothing begins, on the clock.
    """

    driver: str
    limit: int
    gap: float
    rests: float
    timer: IDelayedCall | None = None
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
    At most ``limit`` operations at once per endpoint, one per node, with a gap between them.

    :param limits: by driver name; 1 for a driver that is not there.
    :param gaps: by driver name, in seconds; none for a driver that is not there.
    """

    _clock: IReactorTime
    _limits: Mapping[str, int] = field(factory=dict)
    _gaps: Mapping[str, float] = field(factory=dict)
    _endpoints: dict[str, _Endpoint] = field(factory=dict, init=False)
    _order: count[int] = field(factory=count, init=False)

    def limit(self, limits: Mapping[str, int], gaps: Mapping[str, float]) -> None:
        """
        Let other limits and gaps hold from now on.
        """
        self._limits, self._gaps = limits, gaps
        for name, endpoint in list(self._endpoints.items()):
            endpoint.limit = limits.get(endpoint.driver, 1)
            gap = gaps.get(endpoint.driver, 0.0)
            endpoint.rests = endpoint.rests - max(0.0, endpoint.gap - gap) if gap else -inf
            endpoint.gap = gap
            self._admit(name, endpoint)

    def acquire(self, target: Target, priority: Priority) -> Deferred[Slot]:
        """
        Fires with a slot; cancel it to leave the queue.
        """
        endpoint = self._endpoints.get(target.endpoint)
        if endpoint is None:
            endpoint = self._endpoints[target.endpoint] = self._new(target.driver)
        granted: Deferred[Slot] = Deferred(lambda _: None)
        heappush(endpoint.waiting, (priority, next(self._order), _AtEndpoint(target.selector, granted)))
        self._admit(target.endpoint, endpoint)
        return granted

    def stop(self) -> None:
        """
        Wake up no more; nobody waits any longer.
        """
        for endpoint in self._endpoints.values():
            _wake_no_more(endpoint)

    def _new(self, driver: str) -> _Endpoint:
        return _Endpoint(driver, self._limits.get(driver, 1), self._gaps.get(driver, 0.0), -inf)

    def _admit(self, name: str, endpoint: _Endpoint) -> None:
        """
        Let in who may; see note [One at the door].
        """
        if endpoint.admitting:
            return
        endpoint.admitting = True
        while (
            len(endpoint.talking) < endpoint.limit
            and endpoint.rests <= self._clock.seconds()
            and (next_one := _first_free(endpoint)) is not None
        ):
            next_one.granted.callback(self._slot(name, endpoint, next_one.selector))
        endpoint.admitting = False
        self._sleep(name, endpoint)

    def _slot(self, name: str, endpoint: _Endpoint, selector: str) -> Slot:
        """
        A place, from which the gap counts when it is taken and when it is left.
        """
        rested = endpoint.rests
        endpoint.talking.add(selector)
        self._begin_gap(endpoint)
        begun = endpoint.rests

        def release() -> None:
            endpoint.talking.discard(selector)
            if not slot.idle:
                self._begin_gap(endpoint)
            elif endpoint.rests == begun:
                endpoint.rests = rested
            self._admit(name, endpoint)

        slot = Slot(release)
        return slot

    def _begin_gap(self, endpoint: _Endpoint) -> None:
        if endpoint.gap:
            endpoint.rests = self._clock.seconds() + endpoint.gap

    def _sleep(self, name: str, endpoint: _Endpoint) -> None:
        """
        Look again when the gap is over; what nobody uses, and has rested, is forgotten.
        """
        _wake_no_more(endpoint)
        remaining = endpoint.rests - self._clock.seconds()
        if remaining > 0 and (endpoint.waiting or not endpoint.talking):
            endpoint.timer = self._clock.callLater(remaining, self._wake, name, endpoint)
        elif not endpoint.waiting and not endpoint.talking and self._endpoints.get(name) is endpoint:
            del self._endpoints[name]

    def _wake(self, name: str, endpoint: _Endpoint) -> None:
        endpoint.timer, endpoint.rests = None, -inf
        self._admit(name, endpoint)


def _wake_no_more(endpoint: _Endpoint) -> None:
    if endpoint.timer is not None:
        endpoint.timer.cancel()
        endpoint.timer = None
