# SPDX-License-Identifier: MIT
"""
One scenario for every driver, through the whole coordinator: the registry above, the device below.

It takes the benches of `powercoord.testing.conformance`, and tells what was seen: with
``POWERCOORD_SCENARIO`` set to a folder, each step leaves a line there, and ``scripts/scenario_reference.py``
makes a page of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from powercoord.interfaces import ITicket
from powercoord.model import (
    Cancelled,
    CancelResult,
    Done,
    Failed,
    How,
    Node,
    Outcome,
    PowerState,
    Request,
    Superseded,
    Timing,
    Unknown,
    Verb,
)
from powercoord.registry import Limits, Registry, build_registry
from powercoord.testing.conformance.bench import ABILITIES
from powercoord.testing.conformance.cancelling import spread
from powercoord.testing.conformance.case import ConformanceCase, needs
from tests.registry.world import FixedRoster, ListJournal

VARIABLE = "POWERCOORD_SCENARIO"
QUICK = Timing(
    action=20.0,
    soft=1.0,
    force=10.0,
    poll=0.05,
    poll_longest=0.2,
    settle=0.2,
    minimum_off=0.1,
    cancel=5.0,
    retries=1,
    retry_pause=0.1,
)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

#: The steps that need something of a bench; where it is declared absent, the page has the reason.
NEEDED = {
    "ignores_soft": "soft-off, ignored",
    "refused": "wrong password",
    "unreachable": "endpoint dead",
    "mute": "endpoint dying half-way",
}


@define(eq=False)
class Asked:
    """
    A request that was accepted, and how it ended.
    """

    ticket: ITicket
    outcome: Outcome | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.ticket.wait().addCallback(self._ended)

    def _ended(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Scenario(ConformanceCase):
    """
    The steps.  A coordinator of one node each.

    :cvar patience: how long any step may take, in seconds.
    :cvar cancels: at how many moments of an on it is cancelled.
    """

    patience = 30.0
    cancels = 12
    timing = QUICK
    registry: Registry

    async def rule_absences(self) -> None:
        """
        What cannot be shown is said, with the reason.
        """
        self.assertEqual(set(), set(self.absent) - set(ABILITIES))
        for ability, step in NEEDED.items():
            if ability in self.absent:
                self.leave({"step": step, "absent": self.absent[ability]})

    async def rule_on(self) -> None:
        """
        An on is sent once, and done when the machine is seen on.
        """
        asked = await self.do(Verb.ON)
        self.hold(asked, Done, how=How.COMMANDED)
        self.assertEqual(["on"], self.commands())
        self.assertTrue(self.bench.device.power())
        self.tell("on", asked)

    async def rule_on_again(self) -> None:
        """
        An on of a machine that is on sends no command.
        """
        self.bench.device.set_power(True)
        asked = await self.do(Verb.ON)
        self.hold(asked, Done, how=How.ALREADY)
        self.assertEqual([], self.commands())
        self.tell("on again", asked)

    async def rule_off_during_on(self) -> None:
        """
        An off during an on takes its place, and the machine ends off.
        """
        on = self.ask(Verb.ON)
        await self.until(lambda: bool(self.commands()) or on.outcome is not None, self.patience)
        off = await self.do(Verb.OFF)
        await self.until(lambda: on.outcome is not None, self.patience)
        self.hold(off, Done)
        self.assertIsInstance(on.outcome, Superseded | Done)
        self.assertFalse(self.bench.device.power())
        self.assertEqual("off", self.commands()[-1])
        self.tell("off during on", off, f"the on: {words_of(on.outcome)}")

    @needs("ignores_soft")
    async def rule_soft_off_escalating(self) -> None:
        """
        A soft-off that is ignored becomes an off; one that a driver has not got is an off at once.
        """
        self.bench.ignores_soft()
        self.bench.device.set_power(True)
        asked = await self.do(Verb.SOFT_OFF, deadline=0.6)
        self.hold(asked, Done, how=How.FORCED)
        self.assertEqual("off", self.commands()[-1])
        self.assertLessEqual(self.commands().count("soft"), 1)
        self.tell("soft-off, ignored", asked)

    async def rule_cycle(self) -> None:
        """
        A cycle is an off and an on, each once.
        """
        self.bench.device.set_power(True)
        asked = await self.do(Verb.CYCLE)
        self.hold(asked, Done)
        self.assertEqual(["off", "on"], self.commands())
        self.tell("cycle", asked)

    @needs("refused")
    async def rule_wrong_password(self) -> None:
        """
        A wrong password is tried once, whatever the retries.
        """
        await self.furnish_again(self.bench.refused())
        before = self.bench.logins()
        asked = await self.do(Verb.ON)
        self.hold(asked, Failed, code="PowerAuthError")
        self.assertEqual(1, self.bench.logins() - before)
        self.assertEqual([], self.commands())
        self.tell("wrong password", asked, "one attempt")

    @needs("unreachable")
    async def rule_endpoint_dead(self) -> None:
        """
        A dead endpoint fails the request, and nothing is sent.
        """
        await self.furnish_again(self.bench.unreachable())
        asked = await self.do(Verb.ON)
        self.hold(asked, Failed, code="PowerConnError")
        self.assertEqual([], self.commands())
        self.tell("endpoint dead", asked)

    @needs("mute")
    async def rule_endpoint_dying(self) -> None:
        """
        An endpoint that dies when it has heard the command leaves no lie: not done, and a read knows later.
        """
        asked = self.ask(Verb.ON, deadline=3.0)
        await self.until(lambda: bool(self.commands()) or asked.outcome is not None, self.patience)
        self.bench.mute()
        await self.until(lambda: asked.outcome is not None, self.patience)
        if isinstance(asked.outcome, Done):
            self.assertTrue(self.bench.device.power(), "it is done, and the machine is off")
        else:
            # What arrived may have worked: who says that it failed knows more than anybody can.
            self.assertIsInstance(asked.outcome, Unknown if self.commands() else Failed | Unknown)
        self.bench.unmute()
        self.registry.unpark("n1", "the scenario")
        seen = await self.soon(self.registry.query("n1"))
        on = self.bench.device.power()
        self.assertIs(PowerState.ON if on else PowerState.OFF, seen.state)
        self.tell("endpoint dying half-way", asked, f"later read as {seen.state.value}")

    async def rule_cancel_at_each_step(self) -> None:
        """
        Whenever an on is cancelled, what the cancel says is true, and nothing reaches the device afterwards.
        """
        said: dict[CancelResult, int] = {}
        for moment in spread(await self.turns_of_an_on(), self.cancels):
            self.bench.device.set_power(False)
            before = len(self.commands())
            asked = self.ask(Verb.ON)
            for _ in range(moment):
                await self.bench.turn()
            if asked.outcome is not None:
                continue
            result = await self.soon(self.registry.cancel(asked.ticket.action, "the scenario"))
            arrived = self.commands()[before:]
            await self.bench.pause(self.bench.quiet)
            self.assertEqual(arrived, self.commands()[before:], "it was quiet, and something arrived")
            if result is CancelResult.NOT_STARTED:
                self.assertEqual([], arrived, "it says that nothing was started")
            self.assertIsInstance(asked.outcome, Cancelled | Unknown)
            said[result] = said.get(result, 0) + 1
            seen = await self.soon(self.registry.query("n1"))
            on = self.bench.device.power()
            self.assertIs(PowerState.ON if on else PowerState.OFF, seen.state)
        self.assertTrue(said, "it was over before it could be cancelled")
        words = ", ".join(f"{result.value} {number}" for result, number in said.items())
        self.write("cancel at each step", words, self.commands()[:0], 0.0)

    async def turns_of_an_on(self) -> int:
        """
        How many turns there are to cancel an on at.
        """
        asked, turns = self.ask(Verb.ON), 0
        while asked.outcome is None:
            await self.bench.turn()
            turns += 1
        self.hold(asked, Done)
        return turns

    async def try_rule(self, rule: Callable[[Any], Any]) -> None:
        async def furnished(case: Any) -> None:
            self.furnish()
            try:
                await rule(case)
            finally:
                await self.soon(self.registry.stop("the scenario is over"))

        await super().try_rule(furnished)

    def furnish(self, settings: Any = None) -> None:
        """
        A coordinator of one node, n1: the good device, or what other settings name.
        """
        clock, ids = self.bench.clock, count(1)
        self._asked_at, self._requests = 0.0, count(1)
        target = self.target(settings)
        node = Node("n1", target, (), self.timing)
        self.registry = build_registry(
            clock=clock,
            now=lambda: _EPOCH + timedelta(seconds=clock.seconds()),
            new_id=lambda: f"a{next(ids)}",
            jitter=float,
            roster=FixedRoster({"n1": node}),
            drivers={target.driver: self.driver},
            journal=ListJournal(),
            limits=Limits(endpoints={target.driver: self.driver.capabilities.at_once}),
        )

    async def furnish_again(self, settings: Any) -> None:
        """
        Another coordinator in the place of the first.
        """
        await self.soon(self.registry.stop("another one begins"))
        self.furnish(settings)

    def ask(self, verb: Verb, **options: Any) -> Asked:
        """
        A request that is accepted at once.
        """
        self._asked_at = self.bench.clock.seconds()
        tickets: list[ITicket] = []
        request = Request(node="n1", verb=verb, request_id=f"r{next(self._requests)}", **options)
        self.registry.submit(request).addCallback(tickets.append)
        (ticket,) = tickets
        return Asked(ticket)

    async def do(self, verb: Verb, **options: Any) -> Asked:
        """
        Ask and wait for the end.
        """
        asked = self.ask(verb, **options)
        ended = await self.until(lambda: asked.outcome is not None, self.patience)
        self.assertTrue(ended, f"{verb.value} has not ended after {self.patience:g} s")
        return asked

    async def soon(self, result: Deferred[Any]) -> Any:
        """
        Let time pass until it fires.
        """
        fired: list[Any] = []
        result.addBoth(fired.append)
        self.assertTrue(await self.until(lambda: bool(fired), self.patience), "no answer")
        return fired[0]

    def commands(self) -> list[str]:
        """
        What reached the device.
        """
        return list(self.bench.device.commands())

    def hold(self, asked: Asked, kind: type[Any], **values: Any) -> None:
        """
        It ended so.
        """
        self.assertIsInstance(asked.outcome, kind, f"it ended so: {asked.outcome}")
        for name, value in values.items():
            self.assertEqual(value, getattr(asked.outcome, name), f"it ended so: {asked.outcome}")

    def tell(self, step: str, asked: Asked, more: str = "") -> None:
        """
        Leave a line about a step that has ended.
        """
        text = "; ".join(part for part in (words_of(asked.outcome), more) if part)
        self.write(step, text, self.commands(), self.bench.clock.seconds() - self._asked_at)

    def write(self, step: str, seen: str, commands: list[str], seconds: float) -> None:
        self.leave({"step": step, "seen": seen, "commands": commands, "seconds": round(seconds, 2)})

    def leave(self, row: Mapping[str, Any]) -> None:
        """
        Leave a line for the page, if one is made.
        """
        folder = os.environ.get(VARIABLE)
        if folder:
            with Path(folder, f"{self.driver.name}.jsonl").open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")

    _asked_at: float
    _requests: Any


def words_of(outcome: Outcome | None) -> str:
    """
    An outcome in a word or two.
    """
    match outcome:
        case Done():
            return f"done, {outcome.how.value}"
        case Failed():
            return f"failed, {outcome.code}"
        case None:
            return "nothing"
    return type(outcome).__name__.lower()
