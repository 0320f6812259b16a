# SPDX-License-Identifier: MIT
"""
Our native driver, alone and behind the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from benchmarks.cost import Stopwatch, spent
from benchmarks.heart import registry_of
from benchmarks.worker import Order, obey
from powercoord.drivers.ipmi import IpmiDriver, IpmiSettings, driver
from powercoord.errors import PowercoordError
from powercoord.interfaces import IOperation
from powercoord.model import Node, PowerState, Target
from powercoord.registry import Registry
from powercoord.strict import Moment

_TIMEOUT = Moment(20.0)


@implementer(IOperation)
@define(eq=False)
class Undisturbed:
    """
    An operation that nobody cancels.
    """

    deadline: float
    cancelled: bool = False

    def sending(self) -> None:
        """
        Nobody wants to know.
        """

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        """
        It never is.
        """


@define(eq=False)
class Sweeper:
    """
    Reads a fleet, and says what that cost.
    """

    _reactor: Any
    _driver: IpmiDriver = field(init=False)
    _targets: Sequence[Target] = field(init=False, default=())
    _registry: Registry = field(init=False)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"open": self.open, "sweep": self.sweep, "query": self.query, "close": self.close}

    async def open(self, addresses: list[str], username: str, password: str) -> dict[str, Any]:
        """
        A driver without any session, and a registry in front of it.
        """
        self._driver = driver(self._reactor)
        self._targets = [
            self._driver.target(
                IpmiSettings(
                    address=address,
                    username=username,
                    password=password,
                    cipher_suites=(3,),
                    timeout=_TIMEOUT,
                )
            )
            for address in addresses
        ]
        nodes = [Node(f"n{index}", target) for index, target in enumerate(self._targets)]
        self._registry = registry_of(self._reactor, nodes, {"ipmi": self._driver})
        return {"spent": spent().form()}

    async def sweep(self, window: int) -> dict[str, Any]:
        """
        Read every node by the driver alone, so many at once.
        """
        return await self._timed(lambda: self._sweep(window))

    async def query(self) -> dict[str, Any]:
        """
        Have the registry read every node.
        """
        return await self._timed(self._query)

    async def close(self) -> dict[str, Any]:
        """
        End all sessions.
        """
        await self._driver.close()
        return {}

    async def _timed(self, read: Callable[[], Coroutine[Any, Any, int]]) -> dict[str, Any]:
        before = self._driver.counters
        sent, received, again = before.sent, before.received, before.retransmitted
        watch = Stopwatch()
        count = await read()
        cost, after = watch.cost(), self._driver.counters
        return {
            **cost.form(),
            "read": count,
            "packets": after.sent - sent + after.received - received,
            "retransmitted": after.retransmitted - again,
            "sessions": after.sessions,
        }

    async def _sweep(self, window: int) -> int:
        waiting = iter(self._targets)
        read = 0

        async def some() -> None:
            nonlocal read
            for target in waiting:
                operation = Undisturbed(self._reactor.seconds() + _TIMEOUT)
                try:
                    state = await self._driver.read(target, operation)
                except PowercoordError:
                    continue
                read += state in (PowerState.ON, PowerState.OFF)

        await gatherResults([Deferred.fromCoroutine(some()) for _ in range(window)])
        return read

    async def _query(self) -> int:
        names = self._registry.roster.names()
        seen = await gatherResults([self._registry.query(name) for name in names])
        return sum(each.state in (PowerState.ON, PowerState.OFF) for each in seen)


if __name__ == "__main__":
    obey(lambda reactor: Sweeper(reactor).orders())
