# SPDX-License-Identifier: MIT
"""
Deaths at random moments, under load, on BMCs that we did not write.

In a chapter a coordinator is killed several times, also while it recovers from the last time; then all comes
to its end, and is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from random import Random
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, gatherResults

from powercoord.model import Policy, Verb
from powercoord.testing.chassis_script import Behaviour
from powercoord.testing.ipmi_sim import IpmiSimFleet
from tests.crash.caller import Caller
from tests.crash.coordinator import Coordinator, configure
from tests.crash.life import Nurse
from tests.crash.machines import Foreign
from tests.crash.run import Verdict, play, temporary_folder

INSTANCES, BMCS = 3, 8
LIMIT = 180.0

#: Slow in starting, in stopping, in all, and deaf to the button; the others obey at once.
BEHAVIOURS = (
    Behaviour(),
    Behaviour(on_after=0.8),
    Behaviour(off_after=0.5, shutdown_after=0.8),
    Behaviour(on_after=1.5, off_after=0.3, shutdown_after=None),
)
VERBS = (Verb.ON, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE, Verb.CYCLE, Verb.RESET)


@define(eq=False)
class Chapter:
    """
    One coordinator, its load and its deaths.

    :param number: chooses addresses and, with the seed, all that is random.
    :param kills: how often it is killed.
    """

    _reactor: Any
    _nurse: Nurse
    number: int
    kills: int
    seed: int = 0
    _over: bool = False

    async def judge(self) -> Verdict:
        """
        Play it to its end.
        """
        with ExitStack() as stack:
            bases = [f"127.89.{self.number * INSTANCES + instance}.1" for instance in range(INSTANCES)]
            fleets = [stack.enter_context(IpmiSimFleet(count=BMCS, base=base)) for base in bases]
            folder = stack.enter_context(temporary_folder())
            bmcs = [bmc for fleet in fleets for bmc in fleet.bmcs]
            names = [f"n{index:02}" for index in range(len(bmcs))]
            for index, bmc in enumerate(bmcs):
                bmc.machine.behave(BEHAVIOURS[index % len(BEHAVIOURS)])
            addresses = {n: f"{bmc.address}:{bmc.port}" for n, bmc in zip(names, bmcs, strict=True)}
            configure(folder, addresses, timeout=3.0, poll=0.1, settle=2.0)
            coordinator = Coordinator(self._nurse, folder)

            async def tell(caller: Caller) -> None:
                await self._tell(caller, coordinator, names)

            machines = Foreign(fleets, dict.fromkeys(names, False))
            return await play(self._reactor, coordinator, machines, tell, limit=LIMIT)

    async def _tell(self, caller: Caller, coordinator: Coordinator, names: Sequence[str]) -> None:
        talking = [Deferred.fromCoroutine(self._talk(caller, name)) for name in names]
        killing = Deferred.fromCoroutine(self._kill(caller, coordinator))
        await gatherResults([killing, *talking], consumeErrors=True)

    async def _kill(self, caller: Caller, coordinator: Coordinator) -> None:
        random = Random(f"{self.seed} {self.number} kills")
        for _ in range(self.kills):
            await caller.pause(random.choice((random.uniform(0.0, 0.15), random.uniform(0.15, 2.0))))
            while not coordinator.kill():
                await caller.pause(0.01)
        self._over = True

    async def _talk(self, caller: Caller, name: str) -> None:
        random = Random(f"{self.seed} {self.number} {name}")
        while not self._over:
            verb = random.choice(VERBS)
            options: dict[str, Any] = {"policy": random.choice((Policy.SUPERSEDE, Policy.QUEUE))}
            if verb is Verb.SOFT_OFF:
                options["deadline"] = random.choice((0.3, 1.0))
            accepted = await caller.ask(name, verb, **options)
            if accepted is None:
                await caller.pause(0.1)
                continue
            match random.randrange(4):
                case 0 | 1:
                    await caller.end_of(accepted)
                case 2:
                    await caller.pause(random.uniform(0.0, 0.8))
                case 3:
                    await caller.pause(random.uniform(0.0, 0.5))
                    await caller.cancel(accepted.action)
