# SPDX-License-Identifier: MIT
"""
One run: a fleet, a coordinator that is killed and started again, a caller who goes on asking, and a verdict.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.python.failure import Failure

from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.profile import Profile
from tests.crash.caller import Caller
from tests.crash.coordinator import Coordinator, configure
from tests.crash.failpoint import Failpoint
from tests.crash.judge import Evidence, complaints
from tests.crash.life import Nurse
from tests.crash.machines import Machines, Simulated
from tests.crash.reading import read_journal
from tests.crash.stories import Story

#: Seconds; no run takes as long, so one that does hangs.
LIMIT = 60.0

_networks = count()


@frozen
class Verdict:
    """
    What came of a run.

    :param statuses: how each life ended.
    :param appends: what all lives appended.
    """

    complaints: Sequence[str]
    statuses: Sequence[int]
    appends: Sequence[str]
    evidence: Evidence

    @property
    def killed(self) -> int:
        """
        How many lives were ended by SIGKILL.
        """
        return sum(status == -signal.SIGKILL for status in self.statuses)


@define(eq=False)
class Run:
    """
    One run of some stories, on our own simulated fleet.
    """

    _reactor: Any
    _nurse: Nurse
    _stories: Mapping[str, Story]
    _failpoints: Sequence[Failpoint | None] = ()

    async def judge(self) -> Verdict:
        """
        Play the stories to their ends, through all deaths, and judge.
        """
        fleet = self._fleet()
        fleet.startService()
        try:
            with temporary_folder() as folder:
                names = list(self._stories)
                configure(
                    folder, {n: f"{b.address}:{fleet.port}" for n, b in zip(names, fleet.bmcs, strict=True)}
                )
                coordinator = Coordinator(self._nurse, folder, self._failpoints)
                machines = Simulated(fleet, {name: story.began for name, story in self._stories.items()})
                return await play(self._reactor, coordinator, machines, self._tell)
        finally:
            await fleet.stopService()

    def _fleet(self) -> SimulatedFleet:
        network = next(_networks) % 250
        fleet = SimulatedFleet(
            self._reactor, len(self._stories), base=f"127.88.{network}.1", port=0, each=True
        )
        for bmc, story in zip(fleet.bmcs, self._stories.values(), strict=True):
            bmc.bmc.restart(Profile(slots=story.slots))
            bmc.machine.latency = story.latency
            bmc.machine.press_button(story.began)
            bmc.set_faults(story.faults)
        return fleet

    async def _tell(self, caller: Caller) -> None:
        async def tell(name: str, story: Story) -> None:
            await story.tell(caller, name)

        telling = [Deferred.fromCoroutine(tell(name, story)) for name, story in self._stories.items()]
        await gatherResults(telling, consumeErrors=True)


async def play(
    reactor: Any,
    coordinator: Coordinator,
    machines: Machines,
    tell: Callable[[Caller], Awaitable[None]],
    *,
    limit: float = LIMIT,
) -> Verdict:
    """
    Let a caller tell its stories to a coordinator, wait until all is over, and judge.

    :param limit: seconds within which it is over, or hangs.
    """
    living = Deferred.fromCoroutine(coordinator.live())
    caller = Caller.at(reactor, f"unix:{coordinator.folder}/amp.sock")
    ending = Deferred.fromCoroutine(_to_the_end(caller, tell)).addTimeout(limit, reactor)
    living.addCallback(lambda _: ending.cancel())  # who ended by himself is not waited for
    try:
        found = await ending
    except (TimeoutError, CancelledError):
        found = [f"ended by itself, or not over after {limit:g} s: {coordinator.output()[-2000:]}"]
    except Exception:  # noqa: BLE001 - whatever it is, it is the run's verdict, and the run is tidied up
        found = [f"the caller failed: {Failure().getTraceback(elideFrameworkCode=True)}"]
    coordinator.stop()
    await caller.client.close()
    await living
    journal = await read_journal(reactor, coordinator.folder / "state")
    evidence = Evidence(
        entries=journal.entries,
        recovered=journal.recovered,
        witnesses=machines.witnesses(),
        heard={name: answer.action for name, answer in caller.heard.items()},
        outcomes=caller.outcomes,
        blur=machines.blur,
    )
    found += [*caller.refusals, *complaints(evidence), *journal.integrity, *_about_lives(coordinator)]
    return Verdict(found, coordinator.statuses, coordinator.appends(), evidence)


async def _to_the_end(caller: Caller, tell: Callable[[Caller], Awaitable[None]]) -> list[str]:
    await tell(caller)
    await caller.hear_all()
    await caller.idle()
    return await caller.ask_all_again()


def _about_lives(coordinator: Coordinator) -> Iterator[str]:
    # The last life is stopped in order, unless its failpoint is in that.
    if (last := coordinator.statuses[-1]) not in (0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL):
        yield f"a life ended by itself, with {last}"
    if "Traceback" in (output := coordinator.output()):
        yield f"a fault was logged: {output[output.index('Traceback') - 500 :][:3000]}"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """
    A folder whose name is short enough for a UNIX socket in it.
    """
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
