# SPDX-License-Identifier: MIT
"""
Our driver of libvirt, and libvirt's own library in threads, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from benchmarks.cost import Stopwatch
from benchmarks.ipmi_worker import Undisturbed
from benchmarks.worker import Order, obey
from powercoord.drivers.virsh import VirshDriver, VirshSettings, driver
from powercoord.model import PowerState, Target

THREADS = 10

#: VIR_CONNECT_GET_ALL_DOMAINS_STATS' word for states.
_STATS_STATE = 1


@define(eq=False)
class Reader:
    """
    Reads the guests of one hypervisor, in several ways, and says what that cost.
    """

    _reactor: Any
    _driver: VirshDriver = field(init=False)
    _targets: Sequence[Target] = field(init=False, default=())
    _pool: ThreadPool = field(init=False)
    _connection: Any = field(init=False, default=None)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {
            "open": self.open,
            "together": self.together,
            "one_by_one": self.one_by_one,
            "close": self.close,
            "open_library": self.open_library,
            "threads": self.threads,
            "library_all": self.library_all,
            "close_library": self.close_library,
        }

    async def open(self, socket: str, guests: list[str], through_virsh: bool) -> dict[str, Any]:
        """
        A driver with a connection that has read every guest once.
        """
        self._driver = driver(self._reactor)
        self._targets = [
            self._driver.target(
                VirshSettings(domain=guest, instance="session", socket=socket, through_virsh=through_virsh)
            )
            for guest in guests
        ]
        return await self.together(1)

    async def together(self, rounds: int) -> dict[str, Any]:
        """
        All guests at once.
        """

        async def read() -> int:
            states = await gatherResults([Deferred.fromCoroutine(self._read(each)) for each in self._targets])
            return _known(states)

        return await _timed(rounds, read)

    async def one_by_one(self, rounds: int) -> dict[str, Any]:
        """
        One guest after the other.
        """

        async def read() -> int:
            return _known([await self._read(target) for target in self._targets])

        return await _timed(rounds, read)

    async def close(self) -> dict[str, Any]:
        """
        Hang up.
        """
        await self._driver.close()
        return {}

    async def open_library(self, uri: str) -> dict[str, Any]:
        """
        libvirt-python, if it is there, with a connection.
        """
        try:
            library = import_module("libvirt")
        except ImportError:
            return {"there": False}
        self._pool = ThreadPool(THREADS, THREADS)
        self._pool.start()
        self._connection = await self._in_thread(library.open, uri)
        return {"there": True}

    async def threads(self, rounds: int, guests: list[str]) -> dict[str, Any]:
        """
        A thread for each read, as somebody would who has a blocking library.
        """

        def state(guest: str) -> int:
            found: int = self._connection.lookupByUUIDString(guest).state()[0]
            return found

        async def read() -> int:
            return len(await gatherResults([self._in_thread(state, guest) for guest in guests]))

        return await _timed(rounds, read)

    async def library_all(self, rounds: int) -> dict[str, Any]:
        """
        One call for all, in one thread.
        """

        async def read() -> int:
            return len(await self._in_thread(self._connection.getAllDomainStats, _STATS_STATE))

        return await _timed(rounds, read)

    async def close_library(self) -> dict[str, Any]:
        """
        Hang up.
        """
        await self._in_thread(self._connection.close)
        self._pool.stop()
        return {}

    def _read(self, target: Target) -> Coroutine[Any, Any, PowerState]:
        return self._driver.read(target, Undisturbed(self._reactor.seconds() + 60))

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = deferToThreadPool(self._reactor, self._pool, call, *arguments)
        return done


def _known(states: Sequence[PowerState]) -> int:
    return sum(state in (PowerState.ON, PowerState.OFF) for state in states)


async def _timed(rounds: int, read: Callable[[], Coroutine[Any, Any, int]]) -> dict[str, Any]:
    watch = Stopwatch()
    counts = [await read() for _ in range(rounds)]
    cost = watch.cost()
    return {**cost.form(), "read": min(counts), "rounds": rounds}


if __name__ == "__main__":
    obey(lambda reactor: Reader(reactor).orders())
