# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.fleet` and its command line, without sockets (those are in ``tests.functional``).
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.chassis import Control
from powercoord.drivers.ipmi.rmcp import Ping
from powercoord.sim.faults import Faults
from powercoord.sim.fleet import SimulatedFleet, addresses
from powercoord.sim.machine import Latency
from powercoord.sim.sockets import OwnPort
from powercoord.sim.starting import arguments, ipmi
from tests.sim_console import Console


class AddressTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """
        BMCs have consecutive addresses, also across a byte.
        """
        self.assertEqual(["127.50.0.255", "127.50.1.0"], addresses("127.50.0.255", 2))

    def test_outside(self) -> None:
        """
        A fleet never leaves the loopback network, and is never empty.
        """
        for base, count in (
            ("10.0.0.1", 1),
            ("127.255.255.250", 6),
            ("126.255.255.255", 2),
            ("127.0.0.2", 0),
        ):
            self.assertRaises(ValueError, addresses, base, count)


class FleetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_own_machines(self) -> None:
        """
        Each BMC has its own machine.
        """
        fleet = SimulatedFleet(self.clock, 3)
        Console(fleet.bmcs[1].bmc).log_in().control(Control.ON)

        self.assertEqual([False, True, False], [fleet.power(index) for index in range(3)])

    def test_latency(self) -> None:
        """
        The fleet's latency is every machine's, and one machine's can be changed.
        """
        fleet = SimulatedFleet(self.clock, 2, latency=Latency(on=3.0))
        fleet.bmcs[1].machine.latency = Latency(on=60.0)
        for bmc in fleet.bmcs:
            bmc.machine.perform("on")
        self.clock.advance(3.0)

        self.assertEqual([True, False], [fleet.power(0), fleet.power(1)])

    def test_faults(self) -> None:
        """
        Faults are one BMC's, and gone when they are set to none.
        """
        fleet = SimulatedFleet(self.clock, 2)
        fleet.set_faults(1, Faults(dead=True))
        before = [bmc.faults.dead for bmc in fleet.bmcs]
        fleet.set_faults(1)

        self.assertEqual([False, True], before)
        self.assertFalse(fleet.bmcs[1].faults.dead)

    def test_closed_needs_a_socket(self) -> None:
        """
        On a shared socket no single BMC can refuse; saying so changes nothing.
        """
        fleet = SimulatedFleet(self.clock, 2)

        error = self.assertRaises(ValueError, fleet.set_faults, 1, Faults(closed=True))
        self.assertIn("each=True", str(error))
        self.assertFalse(fleet.bmcs[1].faults.closed)

    def test_identities(self) -> None:
        """
        No two BMCs have the same GUID.
        """
        fleet = SimulatedFleet(self.clock, 300)

        self.assertEqual(300, len({bmc.bmc.guid for bmc in fleet.bmcs}))

    def test_secrets(self) -> None:
        """
        A BMC's representation shows no password, also while somebody is logged in.
        """
        fleet = SimulatedFleet(self.clock, 1)
        fleet.set_faults(0, Faults(password=b"changed"))
        Console(fleet.bmcs[0].bmc, password=b"changed").log_in()

        shown = repr(fleet.bmcs[0]) + repr(fleet.bmcs[0].bmc)
        self.assertNotIn("secret", shown)
        self.assertNotIn("changed", shown)

    def test_stop(self) -> None:
        """
        A fleet that stops leaves no timer.
        """
        fleet = SimulatedFleet(self.clock, 2)
        fleet.set_faults(1, Faults(reply_delay=3.0))
        fleet.bmcs[1].receive(Ping(1).encode(), ("127.0.0.1", 4000))
        owed = len(self.clock.getDelayedCalls())
        self.successResultOf(fleet.stopService())

        self.assertEqual((1, []), (owed, self.clock.getDelayedCalls()))

    def test_brief(self) -> None:
        """
        A BMC's representation is of itself, not of the fleet: Twisted logs it for each port it opens.
        """
        fleet = SimulatedFleet(self.clock, 300, each=True)
        shown = repr(OwnPort(fleet.bmcs[0].receive)) + repr(fleet.bmcs[0])

        self.assertNotIn(fleet.bmcs[1].address, shown)
        self.assertLess(len(shown), 2_000)

    def test_command_line(self) -> None:
        """
        The command line's words become the fleet's latency, state and addresses.
        """
        words = "--bmcs 2 --base 127.9.0.1 --on-latency 3 --soft-latency -1 --powered"
        fleet = ipmi(arguments(["ipmi", *words.split()]), self.clock)

        self.assertEqual(["127.9.0.1", "127.9.0.2"], [bmc.address for bmc in fleet.bmcs])
        self.assertEqual(Latency(on=3.0, soft=None), fleet.bmcs[0].machine.latency)
        self.assertTrue(fleet.power(1))
