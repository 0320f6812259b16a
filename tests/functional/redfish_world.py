# SPDX-License-Identifier: MIT
"""
A Redfish driver and simulated services for it, on real sockets with TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from powercoord.drivers.redfish import RedfishDriver, RedfishSettings, driver
from powercoord.journal import NullJournal
from powercoord.model import Boot, Command, Done, Node, PowerState, Request, Target, Timing, Verb
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster
from powercoord.sim.machine import Latency
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.redfish.profile import Profile
from powercoord.strict import Moment

reactor: Any = global_reactor


@define(eq=False)
class Errand:
    """
    An operation that ends within seconds.
    """

    deadline: float = field(factory=lambda: reactor.seconds() + 10.0)
    cancelled: bool = False
    announced: int = 0
    callbacks: list[Callable[[], None]] = field(factory=list)

    def sending(self) -> None:
        self.announced += 1

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def stop(self) -> None:
        self.cancelled = True
        for callback in self.callbacks:
            callback()


class RedfishCase(TestCase):
    """
    One service, one driver.
    """

    timeout = 60
    base = "127.61.62.1"

    def setUp(self) -> None:
        self.driver: RedfishDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def serve(self, profile: Profile | None = None, **more: Any) -> None:
        self.fleet = RedfishFleet(
            reactor, 1, base=self.base, port=0, profile=profile or Profile(), **{"latency": Latency(), **more}
        )
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        self.bmc = self.fleet.bmcs[0]

    def target(self, **more: Any) -> Target:
        certificate = self.fleet.certificate
        settings = RedfishSettings(
            **{
                "address": self.bmc.url,
                "username": "admin",
                "password": "secret",
                "pin": certificate.fingerprint if certificate else "",
                "timeout": Moment(5.0),
                **more,
            }
        )
        return self.driver.target(settings)

    async def read(self, **more: Any) -> PowerState:
        return await self.driver.read(self.target(**more), Errand())

    async def command(self, command: Command, **more: Any) -> None:
        await self.driver.command(self.target(**more), command, Errand())

    async def set_boot(self, boot: Boot, **more: Any) -> None:
        await self.driver.set_boot(self.target(**more), boot, Errand())


def registry(made: RedfishDriver, target: Target, case: TestCase, timing: Timing) -> Registry:
    """
    A registry with one node called "n".
    """
    ids = count(1)
    found = build_registry(
        clock=reactor,
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"a{next(ids)}",
        jitter=lambda pause: pause,
        roster=Roster([Node("n", target, (), timing)], {"redfish": made}),
        drivers={"redfish": made},
        journal=NullJournal(),
        limits=Limits(),
    )
    case.addCleanup(found.stop, "the test is over")
    return found


async def ask(coordinator: Registry, verb: Verb, request_id: str) -> Done:
    """
    Have a verb done, and seen.
    """
    ticket = await coordinator.submit(Request(node="n", verb=verb, request_id=request_id))
    outcome = await ticket.wait()
    assert isinstance(outcome, Done), outcome
    return outcome
