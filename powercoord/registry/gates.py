# SPDX-License-Identifier: MIT
"""
The queue before an endpoint, which each operation on the wire passes.

A slot is held for one operation.  Contract, section 6.

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

from attrs import define, field
from twisted.internet.defer import Deferred

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

    driver: str
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

    def limit(self, limits: Mapping[str, int]) -> None:
        """
        Let other limits hold from now on.
        """
        self._limits = limits
        for name, endpoint in list(self._endpoints.items()):
            endpoint.limit = limits.get(endpoint.driver, 1)
            self._admit(name, endpoint)

    def acquire(self, target: Target, priority: Priority) -> Deferred[Slot]:
        """
        Fires with a slot; cancel it to leave the queue.
        """
        endpoint = self._endpoints.get(target.endpoint)
        if endpoint is None:
            endpoint = _Endpoint(target.driver, self._limits.get(target.driver, 1))
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
