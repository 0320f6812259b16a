# SPDX-License-Identifier: MIT
"""
The scenario with a person in the place of a device: what can be shown of it, and why the rest cannot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

from powercoord.drivers.manual import ManualSettings, driver
from powercoord.interfaces import IPowerDriver
from powercoord.model import Cancelled, CancelResult, Failed, Superseded, Unknown, Verb
from powercoord.testing.conformance import Bench, Device
from tests.functional.scenario import Asked, Scenario

_TOLD = re.compile(r"a person must turn (on|off) what is at rack 4")


class Attended(Device):
    """
    A machine in a rack, and all that a person was told to do with it.
    """

    def __init__(self) -> None:
        self.settings = ManualSettings(place="rack 4, unit 12")
        self.told: list[str] = []
        self._on = False

    def power(self) -> bool:
        return self._on

    def set_power(self, on: bool) -> None:
        self._on = on

    def commands(self) -> Sequence[str]:
        return self.told


class ManualBench(Bench):
    """
    Listens to the log, as the person does.
    """

    step = 0.01
    context = {"place": "rack 4, unit 12"}

    def __init__(self) -> None:
        self.clock = Clock()
        self.device: Attended = Attended()
        globalLogPublisher.addObserver(self._hear)

    def make_driver(self) -> IPowerDriver:
        return driver(self.clock)

    async def stop(self) -> None:
        globalLogPublisher.removeObserver(self._hear)

    def _hear(self, event: LogEvent) -> None:
        found = _TOLD.search(eventAsText(event))
        if found:
            self.device.told.append(found[1])


class ManualScenario(Scenario):
    """
    Nobody but a person can see what came of it, so a person ends each action, and it is never ``done``.
    """

    absent = {
        "ignores_soft": "there is no soft stop, and nobody sees what came of it",
        "refused": "there is no password",
        "unreachable": "there is no endpoint: the log always takes a line",
        "mute": "there is no endpoint: a person who does nothing lets the action's time pass",
    }

    async def rule_on(self) -> None:
        """
        A person is told once; that it was done is not claimed, but told by the person.
        """
        asked = self.ask(Verb.ON)
        await self.told("on")
        await self.resolve(asked)
        self.assertEqual(["on"], self.commands())
        self.tell("on", asked, "resolved by a person")

    async def rule_on_again(self) -> None:
        """
        Nobody can read that it is on, so a person is told again.
        """
        self.bench.device.set_power(True)
        asked = self.ask(Verb.ON)
        await self.told("on")
        await self.resolve(asked)
        self.tell("on again", asked, "resolved by a person")

    async def rule_off_during_on(self) -> None:
        """
        An off takes the place of an on that the person was told of.
        """
        on = self.ask(Verb.ON)
        await self.told("on")
        off = self.ask(Verb.OFF)
        await self.told("off")
        await self.resolve(off)
        self.assertIsInstance(on.outcome, Superseded)
        self.assertEqual(["on", "off"], self.commands())
        self.tell("off during on", off, "the on: superseded; resolved by a person")

    async def rule_cycle(self) -> None:
        """
        A cycle has to see the off, so it is refused and nobody is told.
        """
        asked = await self.do(Verb.CYCLE)
        self.hold(asked, Failed)
        self.assertEqual([], self.commands())
        self.tell("cycle", asked)

    async def rule_cancel_at_each_step(self) -> None:
        """
        Before the person was told nothing was started; afterwards it cannot be taken back.
        """
        early = self.ask(Verb.ON)
        said = [await self.soon(self.registry.cancel(early.ticket.action, "the scenario"))]
        self.assertEqual([CancelResult.NOT_STARTED], said)
        self.assertEqual([], self.commands())
        self.assertIsInstance(early.outcome, Cancelled)
        late = self.ask(Verb.ON)
        await self.told("on")
        said.append(await self.soon(self.registry.cancel(late.ticket.action, "the scenario")))
        self.assertIsInstance(late.outcome, Cancelled | Unknown)
        self.assertEqual(["on"], self.commands())
        self.assertIsNot(CancelResult.NOT_STARTED, said[1])
        words = ", ".join(f"{result.value} 1" for result in said)
        self.write("cancel at each step", words, self.commands()[:0], 0.0)

    async def told(self, command: str) -> None:
        """
        Wait until the person has heard of it.
        """
        heard = await self.until(lambda: self.commands()[-1:] == [command], self.patience)
        self.assertTrue(heard, f"nobody was told to turn it {command}")

    async def resolve(self, asked: Asked) -> None:
        """
        The person says that it is done.
        """
        await self.soon(self.registry.resolve(asked.ticket.action, "a person", "done"))
        await self.until(lambda: asked.outcome is not None, self.patience)
        self.hold(asked, Unknown)
