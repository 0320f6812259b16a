# SPDX-License-Identifier: MIT
"""
A registry with a journal on disk, or without one, on machines in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, gatherResults

from benchmarks.cost import Stopwatch, percentile
from benchmarks.heart import registry_of
from benchmarks.prompt import PATIENT, PromptDriver
from benchmarks.worker import Order, obey
from powercoord.durable import IJournal
from powercoord.errors import OperationCancelled
from powercoord.interfaces import IOperation
from powercoord.journal import NullJournal, sqlite_journal
from powercoord.model import PowerState, Request, Target, Verb
from powercoord.registry import Registry


@define(eq=False)
class SilentDriver(PromptDriver):
    """
    BMCs that never answer: what is accepted stays in play, and costs nothing more.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        silence: Deferred[PowerState] = Deferred()
        operation.when_cancelled(lambda: silence.errback(OperationCancelled("asked to stop")))
        return await silence


@define(eq=False)
class SlowDisk:
    """
    A store whose commits take longer, as on a disk that is one.
    """

    _store: Any
    _delay: float

    def write(self, first: int, text: str) -> None:
        """
        Write, and then wait.
        """
        self._store.write(first, text)
        time.sleep(self._delay)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@define(eq=False)
class Durable:
    """
    Accepts and acts, with each kind of journal.
    """

    _reactor: Any
    _runs: count[int] = field(init=False, factory=count)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"accept": self.accept, "act": self.act, "submit": self.submit, "commit": self.commit}

    async def accept(self, kind: str, delay: float, in_flight: int, requests: int) -> dict[str, Any]:
        """
        Have requests accepted, so many asked for at once; nothing is done.
        """
        return await self._with(kind, delay, requests, SilentDriver, self._accepting(in_flight))

    async def act(self, kind: str, delay: float, in_flight: int, requests: int) -> dict[str, Any]:
        """
        From requests to nodes that are seen on, so many at once.
        """
        return await self._with(kind, delay, requests, PromptDriver, self._acting(in_flight))

    async def submit(self, kind: str, delay: float, batch: int, requests: int) -> dict[str, Any]:
        """
        Have requests accepted, so many with one call and the next call after that; nothing is done.
        """
        return await self._with(kind, delay, requests, SilentDriver, self._submitting(batch))

    async def commit(self, repetitions: int) -> dict[str, Any]:
        """
        How long the disk takes to make a few bytes durable.
        """
        taken = []
        with tempfile.TemporaryDirectory() as folder:
            descriptor = os.open(Path(folder) / "file", os.O_CREAT | os.O_WRONLY, 0o600)
            for _ in range(repetitions):
                began = time.perf_counter()
                os.write(descriptor, bytes(4096))
                os.fdatasync(descriptor)
                taken.append(time.perf_counter() - began)
            os.close(descriptor)
        return {"median": percentile(taken, 0.5)}

    async def _with(
        self,
        kind: str,
        delay: float,
        requests: int,
        driver_of: Callable[[Any], PromptDriver],
        work: Callable[[Registry, Sequence[Request]], Coroutine[Any, Any, list[float]]],
    ) -> dict[str, Any]:
        driver = driver_of(self._reactor)
        timing = evolve(PATIENT, poll=0.001)
        run = next(self._runs)
        wanted = [
            Request(node=f"n{index}", verb=Verb.ON, request_id=f"{run}-{index}") for index in range(requests)
        ]
        with tempfile.TemporaryDirectory() as folder:
            journal = self._journal(kind, delay, folder)
            nodes = driver.nodes(requests, timing=timing)
            registry = registry_of(self._reactor, nodes, {"fake": driver}, journal=journal)
            registry.recover(await journal.open())
            watch = Stopwatch()
            taken = await work(registry, wanted)
            cost = watch.cost()
            await registry.stop("the measurement is over")
            await journal.close()
        return {**cost.form(), "count": requests, "median": percentile(taken, 0.5)}

    def _journal(self, kind: str, delay: float, folder: str) -> IJournal:
        if kind == "none":
            return NullJournal()
        journal = sqlite_journal(self._reactor, folder)
        if delay:
            slow = SlowDisk(journal._store, delay)  # noqa: SLF001 - nobody but a benchmark wants a slow disk
            journal._store = slow  # type: ignore[assignment]  # noqa: SLF001 - the same
        return journal

    def _accepting(self, in_flight: int) -> Any:
        async def one(registry: Registry, request: Request) -> None:
            await registry.submit(request)

        return lambda registry, wanted: _in_flight(in_flight, registry, wanted, one)

    def _acting(self, in_flight: int) -> Any:
        async def one(registry: Registry, request: Request) -> None:
            await (await registry.submit(request)).wait()

        return lambda registry, wanted: _in_flight(in_flight, registry, wanted, one)

    def _submitting(self, batch: int) -> Any:
        async def submit(registry: Registry, wanted: Sequence[Request]) -> list[float]:
            taken = []
            for first in range(0, len(wanted), batch):
                began = time.perf_counter()
                await registry.submit_many(wanted[first : first + batch])
                taken.append(time.perf_counter() - began)
            return taken

        return submit


async def _in_flight(
    number: int,
    registry: Registry,
    wanted: Sequence[Request],
    one: Callable[[Registry, Request], Coroutine[Any, Any, None]],
) -> list[float]:
    """
    So many callers, each asking for the next when it has its answer.
    """
    waiting: Iterator[Request] = iter(wanted)
    taken: list[float] = []

    async def caller() -> None:
        for request in waiting:
            began = time.perf_counter()
            await one(registry, request)
            taken.append(time.perf_counter() - began)

    await gatherResults([Deferred.fromCoroutine(caller()) for _ in range(number)])
    return taken


if __name__ == "__main__":
    obey(lambda reactor: Durable(reactor).orders())
