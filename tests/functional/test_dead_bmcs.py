# SPDX-License-Identifier: MIT
"""
A fleet in which some BMCs are dead, on real sockets.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from powercoord.drivers.ipmi import driver
from powercoord.drivers.ipmi.settings import IpmiSettings
from powercoord.journal import NullJournal
from powercoord.model import Node, PowerState
from powercoord.parking import ParkingRules
from powercoord.registry import Limits, build_registry
from powercoord.roster import Roster
from powercoord.sim.fleet import SimulatedFleet, addresses
from powercoord.strict import Moment

LIVING, DEAD = 40, 4
TIMEOUT = Moment(0.6)
PARKING = ParkingRules(after=2, pause=60.0)


class Silent(DatagramProtocol):
    """
    Counts what it is asked, and does not answer.
    """

    def __init__(self) -> None:
        self.received = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received += 1


class DeadBmcTests(TestCase):
    """
    Dead BMCs behind the registry and the native driver.
    """

    timeout = 120

    def setUp(self) -> None:
        self.fleet = SimulatedFleet(reactor, LIVING, base="127.50.90.1", port=0, each=True)
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        self.silent = []
        self.dead = addresses("127.50.91.1", DEAD)
        for address in self.dead:
            silent = Silent()
            port: Any = reactor.listenUDP(self.fleet.port, silent, interface=address)  # type: ignore[attr-defined]
            self.addCleanup(port.stopListening)
            self.silent.append(silent)
        self.driver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))
        living = [bmc.address for bmc in self.fleet.bmcs]
        self.names = {address: f"n{number}" for number, address in enumerate(self.dead + living)}
        self.registry = self.build()
        self.addCleanup(lambda: self.registry.stop("test"))

    def build(self) -> Any:
        nodes = [
            Node(
                name,
                self.driver.target(
                    IpmiSettings(
                        address=f"{address}:{self.fleet.port}",
                        username="admin",
                        password="secret",
                        cipher_suites=(17,),
                        timeout=TIMEOUT,
                    )
                ),
            )
            for address, name in self.names.items()
        ]
        ids = count(1)
        return build_registry(
            clock=reactor,  # type: ignore[arg-type]
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"a{next(ids)}",
            jitter=lambda pause: pause,
            roster=Roster(nodes, {"ipmi": self.driver}),
            drivers={"ipmi": self.driver},
            journal=NullJournal(),
            limits=Limits(parking=PARKING),
        )

    async def sweep(self) -> dict[str, PowerState]:
        """
        Read all nodes at once; the states by address.
        """
        seen = await gatherResults([self.registry.query(name) for name in self.names.values()])
        return {address: one.state for address, one in zip(self.names, seen, strict=True)}

    @staticmethod
    def note(_: object, address: str, order: list[str]) -> None:
        order.append(address)

    def asked(self) -> int:
        return sum(silent.received for silent in self.silent)

    async def test_second_sweep(self) -> None:
        """
        Once they are known to be dead no sweep sends them anything, and all others are read as ever.
        """
        await self.sweep()
        self.assertGreaterEqual(self.asked(), DEAD)
        await self.sweep()
        self.assertTrue(all(self.registry.view(self.names[each]).parked for each in self.dead))
        before = self.asked()
        states = await self.sweep()

        self.assertEqual(0, self.asked() - before)
        self.assertEqual({PowerState.UNKNOWN}, {states[address] for address in self.dead})
        living = {states[bmc.address] for bmc in self.fleet.bmcs}
        self.assertEqual({PowerState.OFF}, living)

    async def test_not_waited_for(self) -> None:
        """
        All living ones are read before the first dead one is given up, also in the first sweep.
        """
        order: list[str] = []
        reading = []
        for address, name in self.names.items():
            reading.append(self.registry.query(name).addCallback(self.note, address, order))
        await gatherResults(reading)

        self.assertEqual(set(self.dead), set(order[-DEAD:]))
