# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.line`.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.rmcp import Ping, Pong
from powercoord.sim.bmc import Bmc
from powercoord.sim.faults import Faults
from powercoord.sim.line import IN_FLIGHT, Line, Peer
from tests.sim_console import make_bmc

PEER = ("127.0.0.1", 4000)


class LineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.bmc: Bmc = make_bmc(self.clock)
        self.sent: list[tuple[int, Peer]] = []
        self.line = self.make_line("seed")

    def make_line(self, seed: str) -> Line:
        return Line(self.clock, self.bmc, self.record, seed)

    def record(self, datagram: bytes, peer: Peer) -> None:
        self.sent.append((Pong.decode(datagram).tag, peer))

    def ping(self, *tags: int) -> list[int]:
        """
        Send pings; the tags of all pongs so far.
        """
        for tag in tags:
            self.line.datagramReceived(Ping(tag).encode(), PEER)
        return [tag for tag, _ in self.sent]

    def test_prompt(self) -> None:
        """
        Without faults an answer goes at once, to whoever asked.
        """
        self.ping(1)

        self.assertEqual([(1, PEER)], self.sent)

    def test_delay(self) -> None:
        """
        A slow answer comes after its delay, and not before.
        """
        self.bmc.faults = Faults(reply_delay=2.0)
        self.ping(1)
        self.clock.advance(1.9)
        before = list(self.sent)
        self.clock.advance(0.1)

        self.assertEqual(([], [(1, PEER)]), (before, self.sent))

    def test_copies(self) -> None:
        """
        An answer comes as often as the fault says.
        """
        self.bmc.faults = Faults(copies=3)

        self.assertEqual([1, 1, 1], self.ping(1))

    def test_all_lost(self) -> None:
        """
        With a probability of 1 nothing arrives, in either direction.
        """
        for faults in (Faults(loss_in=1.0), Faults(loss_out=1.0)):
            self.bmc.faults = faults
            self.assertEqual([], self.ping(1))

    def test_some_lost(self) -> None:
        """
        About as much is lost as was asked for, and the same again with the same seed.
        """
        self.bmc.faults = Faults(loss_out=0.25)
        first = self.ping(*range(200))
        self.sent.clear()
        self.line = self.make_line("seed")
        again = self.ping(*range(200))
        self.sent.clear()
        self.line = self.make_line("another")
        other = self.ping(*range(200))

        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertIn(len(first), range(125, 175))

    def test_stop(self) -> None:
        """
        After stop nothing is under way any more.
        """
        self.bmc.faults = Faults(reply_delay=2.0)
        self.ping(1, 2)
        self.line.stop()
        self.line.stop()

        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop_afterwards(self) -> None:
        """
        Answers that have arrived are not under way any more.
        """
        self.bmc.faults = Faults(reply_delay=2.0)
        self.ping(1)
        self.clock.advance(2.0)
        self.line.stop()

        self.assertEqual([(1, PEER)], self.sent)

    def test_bound(self) -> None:
        """
        Only so many answers are under way; more are lost.
        """
        self.bmc.faults = Faults(reply_delay=2.0)
        for _ in range(IN_FLIGHT + 10):
            self.ping(1)
        self.clock.advance(2.0)

        self.assertEqual(IN_FLIGHT, len(self.sent))
