# SPDX-License-Identifier: MIT
"""
Real guests behind the registry: what the driver refuses is forced, and what the daemon tells is read at once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from powercoord.journal import NullJournal
from powercoord.model import Done, How, Node, Outcome, PowerState, Request, Timing, Verb
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster
from tests.functional.libvirt_guest import NEVER_OFF, OBEYING, Kind, slow
from tests.functional.libvirt_peer import MISSING, Guest
from tests.functional.virsh_driver_case import VirshDriverCase, reactor

skip = MISSING


class CoordinatedTests(VirshDriverCase):
    """
    A registry with our driver.
    """

    def registry(self, guests: list[Guest], **timing: Any) -> Registry:
        nodes = [Node(each.name, self.target(each.name), timing=Timing(**timing)) for each in guests]
        drivers = {self.driver.name: self.driver}
        numbers = count(1)
        return build_registry(
            clock=reactor,
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"a{next(numbers)}",
            jitter=lambda pause: pause,
            roster=Roster(nodes, drivers),
            drivers=drivers,
            journal=NullJournal(),
            limits=Limits(endpoints={"virsh": self.driver.capabilities.at_once}),
        )

    async def ask(self, registry: Registry, guest: Guest, verb: Verb) -> Outcome:
        """
        Ask for it, and how it ended.
        """
        ticket = await registry.submit(Request(node=guest.name, verb=verb, request_id=f"{guest.name}-{verb}"))
        outcome: Outcome = await ticket.wait()
        return outcome

    def running(self, name: str, kind: Kind) -> Guest:
        guest = self.host.define(name, kind)
        guest.start()
        return guest

    async def test_soft_off(self) -> None:
        """
        One that obeys ends by itself, one that does not and one that is paused are forced, all at once.
        """
        obeying, never = self.running("obeying", OBEYING), self.running("never", NEVER_OFF)
        paused = self.running("paused", NEVER_OFF)
        paused.pause()
        guests = [obeying, never, paused]
        registry = self.registry(guests, soft=3.0)

        ended = await gatherResults(
            [Deferred.fromCoroutine(self.ask(registry, each, Verb.SOFT_OFF)) for each in guests]
        )

        self.assertEqual([Done(How.GRACEFUL, PowerState.OFF), *[Done(How.FORCED, PowerState.OFF)] * 2], ended)
        self.assertEqual("shut off (shutdown)", obeying.reason())
        self.assertEqual(["shut off (destroyed)"] * 2, [never.reason(), paused.reason()])
        self.assertEqual([False] * 3, [each.runs() for each in guests])

    async def test_cycle_and_already(self) -> None:
        """
        A cycle ends a guest and starts it; an on of one that is on does nothing.
        """
        guest = self.running("cycled", NEVER_OFF)
        registry = self.registry([guest], minimum_off=0.1)

        cycled = await self.ask(registry, guest, Verb.CYCLE)
        on = await self.ask(registry, guest, Verb.ON)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), cycled)
        self.assertEqual(Done(How.ALREADY, PowerState.ON), on)
        guest.wait_started(1)
        self.assertEqual(1, guest.starts())

    async def test_told_at_once(self) -> None:
        """
        That a guest has ended is seen when the daemon tells it, not when the next poll would have been.
        """
        guest = self.running("told", slow(1.5))
        registry = self.registry([guest], poll=20.0, poll_longest=20.0)
        begun = reactor.seconds()

        self.assertEqual(Done(How.GRACEFUL, PowerState.OFF), await self.ask(registry, guest, Verb.SOFT_OFF))
        self.assertLess(reactor.seconds() - begun, 15.0)
