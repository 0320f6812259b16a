# SPDX-License-Identifier: MIT
"""
Starts on real sockets, by the simulated machines' own record.

``POWERCOORD_LONG=1`` tries a hundred machines that take three seconds each, and five hundred after a restart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from powercoord.drivers.ipmi import IpmiDriver, IpmiSettings, driver
from powercoord.durable import Left, Pending, Recovered
from powercoord.journal import NullJournal
from powercoord.model import Done, Limit, Node, Phase, Request, Timing, Verb
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.machine import Latency

reactor: Any = global_reactor
LONG = bool(os.environ.get("POWERCOORD_LONG"))
MOST = 4


class StartingTests(TestCase):
    """
    Simulated BMCs, the native driver, and a registry with limits.
    """

    timeout = 900

    def setUp(self) -> None:
        self.driver: IpmiDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def fleet(self, size: int, takes: float, base: str) -> SimulatedFleet:
        fleet = SimulatedFleet(reactor, size, base=base, port=0, latency=Latency(on=takes))
        fleet.startService()
        self.addCleanup(fleet.stopService)
        return fleet

    def registry(self, fleet: SimulatedFleet, limits: Limits) -> Registry:
        ids = count(1)
        timing = Timing(poll=0.1, poll_longest=0.2)
        nodes = [
            Node(f"n{index}", self.driver.target(self.settings(bmc.address, fleet.port)), ("rack",), timing)
            for index, bmc in enumerate(fleet.bmcs)
        ]
        registry = build_registry(
            clock=reactor,
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"a{next(ids)}",
            jitter=lambda pause: pause,
            roster=Roster(nodes, {"ipmi": self.driver}),
            drivers={"ipmi": self.driver},
            journal=NullJournal(),
            limits=limits,
        )
        self.addCleanup(registry.stop, "the test is over")
        return registry

    def settings(self, address: str, port: int) -> IpmiSettings:
        return IpmiSettings(address=f"{address}:{port}", username="admin", password="secret")

    def starts(self, fleet: SimulatedFleet, takes: float) -> list[tuple[float, float]]:
        """
        When each machine was told to start, and when it was on: its own record.
        """
        found = []
        for bmc in fleet.bmcs:
            self.assertTrue(bmc.machine.power())
            (told,) = [each.at for each in bmc.machine.commands if each.verb == "on"]
            found.append((told, told + takes))
        return found

    def most(self, starts: Sequence[tuple[float, float]]) -> int:
        moments = sorted([(begin, 1) for begin, _ in starts] + [(end, -1) for _, end in starts])
        now = most = 0
        for _, change in moments:
            now += change
            most = max(most, now)
        return most

    async def test_limit(self) -> None:
        """
        Never are more machines commanded on and not yet on than may be.
        """
        size, takes = (100, 3.0) if LONG else (24, 0.4)
        fleet = self.fleet(size, takes, "127.61.0.1")
        registry = self.registry(fleet, Limits(groups={"rack": Limit(MOST)}))
        requests = [Request(node=f"n{n}", verb=Verb.ON, request_id=f"r{n}") for n in range(size)]
        outcomes = await gatherResults(
            [ticket.wait() for ticket in await registry.submit_many(requests)], consumeErrors=True
        )

        self.assertEqual({Done}, {type(outcome) for outcome in outcomes})
        self.assertEqual(MOST, self.most(self.starts(fleet, takes)))

    async def test_interval(self) -> None:
        """
        Machines are told to start as far apart as they must be, and not by much more.
        """
        size, apart = 12, 0.15
        fleet = self.fleet(size, 0.0, "127.61.2.1")
        registry = self.registry(fleet, Limits(groups={"rack": Limit(start_interval=apart)}))
        requests = [Request(node=f"n{n}", verb=Verb.ON, request_id=f"r{n}") for n in range(size)]
        await gatherResults([ticket.wait() for ticket in await registry.submit_many(requests)])

        told = sorted(begin for begin, _ in self.starts(fleet, 0.0))
        self.assertGreaterEqual(min(after - before for before, after in pairwise(told)), apart - 0.01)

    async def test_after_a_power_cut(self) -> None:
        """
        What was left to be done before a restart is done under the same limit.
        """
        size, takes = (500, 0.5) if LONG else (30, 0.3)
        fleet = self.fleet(size, takes, "127.61.4.1")
        registry = self.registry(fleet, Limits(fleet=Limit(MOST)))
        now = datetime.now(UTC)
        registry.recover(Recovered(left=[_left(number, now) for number in range(size)]))
        await registry.idle()

        self.assertEqual(MOST, self.most(self.starts(fleet, takes)))


def _left(number: int, at: datetime) -> Left:
    request = Request(node=f"n{number}", verb=Verb.ON, request_id=f"r{number}")
    return Left(
        action=f"x{number}",
        node=request.node,
        verb=Verb.ON,
        boot=None,
        since=at,
        phase=Phase.QUEUED,
        half="",
        at=at,
        turn=None,
        sent=(),
        pending=(Pending(request, at),),
    )
