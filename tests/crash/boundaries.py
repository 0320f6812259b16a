# SPDX-License-Identifier: MIT
"""
Every place at which a coordinator can die while it writes: found by a run in which it does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from tests.crash.failpoint import Failpoint, When
from tests.crash.life import Nurse
from tests.crash.run import Run, Verdict
from tests.crash.stories import Story

T = TypeVar("T")

#: The stories of one run, and the failpoints of its lives.
Plan = tuple[Sequence[str], Sequence[Failpoint]]

#: How many runs go on at once; most of the time each of them waits.
WIDTH = 8

#: The moments after the beginning of a write at which to kill, in microseconds.
MOMENTS = (0, 20, 50, 100, 200, 400, 800, 1600)

#: Where around one append to die, but for the moments while it is written, of which each append gets one.
PLACES = (
    (When.BEFORE, 0),
    (When.HELD, 30),
    (When.STATEMENT, 1),
    (When.STATEMENT, 3),
    (When.DURABLE, 0),
    (When.ANSWERED, 0),
)


@frozen
class Death:
    """
    One run with its failpoints, and what came of it.
    """

    stories: Sequence[str]
    failpoints: Sequence[Failpoint]
    verdict: Verdict

    @property
    def reached(self) -> bool:
        """
        Whether every failpoint was.
        """
        return self.verdict.killed == len(self.failpoints)

    def complaints(self) -> list[str]:
        """
        What did not hold, with where it died.
        """
        where = ", then ".join(map(str, self.failpoints))
        return [f"[{' '.join(self.stories)}: {where}] {each}" for each in self.verdict.complaints]


def around(number: int) -> Iterator[Failpoint]:
    """
    All places around one append.
    """
    for when, detail in PLACES:
        yield Failpoint(when=when, at=number, detail=detail)
    yield Failpoint(when=When.WRITING, at=number, detail=MOMENTS[number % len(MOMENTS)])


def one_around(number: int, turn: int = 0) -> Failpoint:
    """
    One place around an append, another one for the next append and for the next turn.
    """
    places = list(around(number))
    return places[(number + turn) % len(places)]


@frozen(eq=False)
class Enumeration:
    """
    Runs of stories, many at once.
    """

    _reactor: Any
    _nurse: Nurse
    _all: Mapping[str, Story]

    async def count(self, names: Sequence[str]) -> Verdict:
        """
        A run of these stories in which nobody dies: how many appends there are.
        """
        return await Run(self._reactor, self._nurse, self._chosen(names)).judge()

    async def die(self, names: Sequence[str], failpoints: Sequence[Failpoint]) -> Death:
        """
        A run of these stories with these failpoints, a life each.
        """
        verdict = await Run(self._reactor, self._nurse, self._chosen(names), failpoints).judge()
        return Death(names, failpoints, verdict)

    async def each(self, plans: Sequence[Plan]) -> list[Death]:
        """
        Many runs.
        """
        return await pooled([lambda plan=plan: self.die(*plan) for plan in plans])

    def _chosen(self, names: Sequence[str]) -> dict[str, Story]:
        return {name: self._all[name] for name in names}


async def pooled(jobs: Sequence[Callable[[], Awaitable[T]]], width: int = WIDTH) -> list[T]:
    """
    Do jobs, so many at a time; the results in their order.
    """
    places = DeferredSemaphore(width)

    async def do(job: Callable[[], Awaitable[T]]) -> T:
        return await job()

    return await gatherResults(
        [places.run(lambda job=job: Deferred.fromCoroutine(do(job))) for job in jobs], consumeErrors=True
    )
