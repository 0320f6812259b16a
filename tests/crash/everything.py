# SPDX-License-Identifier: MIT
"""
The long run: all that is shown, with figures.
"""

from __future__ import annotations

import json
import tempfile
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import asdict, define, field, frozen

from tests.crash.boundaries import Death, Enumeration, Plan, around, one_around, pooled
from tests.crash.failpoint import Failpoint, When
from tests.crash.life import Nurse
from tests.crash.moments import Chapter
from tests.crash.run import Verdict
from tests.crash.stories import STORIES
from tests.crash.system_calls import build

#: Stories that are also killed at every system call with which their journal is made, written and closed.
AT_SYSTEM_CALLS = ("cycle",)
KILLS_PER_CHAPTER = 10
PARTS = ("boundaries", "together", "second-deaths", "moments", "system-calls")
SECOND_DEATHS = 100


@frozen
class Figures:
    """
    One part of the long run.

    :param runs: how often a coordinator was started for the first time.
    :param kills: how many processes were ended by SIGKILL.
    :param unreached: runs in which a failpoint was not reached, because that run wrote less.
    :param requests: how many requests were accepted, and each judged.
    """

    what: str
    runs: int
    kills: int
    unreached: int
    requests: int
    seconds: float
    complaints: tuple[str, ...]

    def line(self) -> str:
        """
        As a row of a table in Markdown.
        """
        return (
            f"| {self.what} | {self.runs} | {self.kills} | {self.unreached} | {self.requests}"
            f" | {self.seconds:.0f} s | {len(self.complaints)} |"
        )


HEAD = (
    "| killed at | runs | kills | not reached | requests judged | time | complaints |\n"
    "|---|---|---|---|---|---|---|"
)


@define(eq=False)
class Long:
    """
    The parts of the long run, one after the other.
    """

    _reactor: Any
    _nurse: Nurse
    _deaths: Enumeration = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._deaths = Enumeration(self._reactor, self._nurse, STORIES)

    async def boundaries(self) -> Figures:
        """
        Every story by itself: every place around every append.
        """
        began = time.monotonic()
        counted = await pooled([lambda name=name: self._deaths.count([name]) for name in STORIES])
        plans: list[Plan] = [
            ([name], [failpoint])
            for name, verdict in zip(STORIES, counted, strict=True)
            for number in range(1, len(verdict.appends) + 1)
            for failpoint in around(number)
        ]
        appends = sum(len(each.appends) for each in counted)
        what = f"{appends} appends of {len(STORIES)} stories, seven places each"
        return self._figures(what, began, await self._deaths.each(plans))

    async def together(self) -> Figures:
        """
        All stories at once, on one coordinator.
        """
        began = time.monotonic()
        counted = await self._deaths.count(list(STORIES))
        numbers = range(1, len(counted.appends) + 1)
        plans: list[Plan] = [(list(STORIES), [one_around(number)]) for number in numbers]
        what = f"{len(numbers)} appends of all stories at once, one place each"
        return self._figures(what, began, await self._deaths.each(plans))

    async def second_deaths(self, seed: int) -> Figures:
        """
        Killed while it settles what an earlier death left.
        """
        began = time.monotonic()
        random = Random(f"{seed} second deaths")
        plans: list[Plan] = []
        for name in random.choices(list(STORIES), k=SECOND_DEATHS):
            first, second = (random.choice(list(around(random.randint(2, 7)))) for _ in range(2))
            plans.append(([name], [first, second]))
        return self._figures("two deaths, the second in recovery", began, await self._deaths.each(plans))

    async def system_calls(self) -> Figures:
        """
        Every system call with which a journal is made and written: before, in the middle, after.
        """
        began = time.monotonic()
        deaths: list[Death] = []
        for name in AT_SYSTEM_CALLS:
            for first in range(1, 10_000, 8):
                some = await self._deaths.each(
                    [
                        ([name], [Failpoint(when=When.SYSCALL, at=number, detail=detail)])
                        for number in range(first, first + 8)
                        for detail in (0, 1, 2)
                    ]
                )
                deaths += [death for death in some if death.reached or death.verdict.complaints]
                if not any(death.reached for death in some):
                    break
        return self._figures("every system call that writes the journal", began, deaths)

    def _figures(self, what: str, began: float, deaths: Sequence[Death]) -> Figures:
        return figures(
            what,
            began,
            [death.verdict for death in deaths],
            sum(not death.reached for death in deaths),
            tuple(complaint for death in deaths for complaint in death.complaints()),
        )


async def moments(reactor: Any, nurse: Nurse, kills: int, seed: int) -> Figures:
    """
    Random moments, under load, on `ipmi_sim`.
    """
    began = time.monotonic()
    chapters = [
        Chapter(reactor, nurse, number, KILLS_PER_CHAPTER, seed)
        for number in range(-(-kills // KILLS_PER_CHAPTER))
    ]
    verdicts = await pooled([chapter.judge for chapter in chapters], 2)
    wrong = tuple(
        f"[chapter {number}] {complaint}"
        for number, verdict in enumerate(verdicts)
        for complaint in verdict.complaints
    )
    return figures("random moments under load, `ipmi_sim`", began, verdicts, 0, wrong)


def figures(
    what: str, began: float, verdicts: Sequence[Verdict], unreached: int, complaints: tuple[str, ...]
) -> Figures:
    """
    Sum up.
    """
    return Figures(
        what,
        len(verdicts),
        sum(verdict.killed for verdict in verdicts),
        unreached,
        sum(len(verdict.evidence.outcomes) for verdict in verdicts),
        time.monotonic() - began,
        complaints,
    )


@asynccontextmanager
async def nursing(reactor: Any, preload: Path | None = None) -> Any:
    """
    A nursery as long as it is needed.
    """
    nurse = Nurse.spawn(reactor, preload)
    try:
        yield nurse
    finally:
        await nurse.close()


async def everything(reactor: Any, options: Namespace) -> int:
    """
    Do all parts, print and keep their figures; the status says whether any rule was broken.
    """
    parts: list[Figures] = []

    def tell(part: Figures) -> None:
        parts.append(part)
        print("\n".join([part.line(), *part.complaints]), flush=True)

    print(HEAD, flush=True)
    async with nursing(reactor) as nurse:
        long = Long(reactor, nurse)
        todo: dict[str, Callable[[], Awaitable[Figures]]] = {
            "boundaries": long.boundaries,
            "together": long.together,
            "second-deaths": lambda: long.second_deaths(options.seed),
            "moments": lambda: moments(reactor, nurse, options.moments, options.seed),
        }
        for name, part in todo.items():
            if name in options.parts:
                tell(await part())
    if "system-calls" in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            library = build(Path(folder))
            if library is None:
                print("no C compiler: nobody was killed in a system call")
            else:
                async with nursing(reactor, library) as nurse:
                    tell(await Long(reactor, nurse).system_calls())
    if options.result is not None:
        options.result.parent.mkdir(parents=True, exist_ok=True)
        options.result.write_text(json.dumps(list(_forms(parts)), indent=1))
    return int(any(part.complaints for part in parts))


def _forms(parts: Sequence[Figures]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield asdict(part)
