# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.fleet` on real sockets.
"""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from powercoord.drivers.ipmi.rmcp import Ping, Pong
from powercoord.sim.faults import Faults
from powercoord.sim.fleet import SimulatedFleet


class Pinger(DatagramProtocol):
    """
    Counts pongs by the address that they come from.
    """

    def __init__(self) -> None:
        self.pongs: dict[str, int] = {}
        self._waiting: Deferred[None] | None = None
        self._enough = 0

    def ping(self, *peers: tuple[str, int]) -> None:
        assert self.transport is not None
        for peer in peers:
            self.transport.write(Ping(1).encode(), peer)

    def wait_for(self, count: int) -> Deferred[None]:
        """
        Fires when so many pongs have come in all.
        """
        self._enough, self._waiting = count, Deferred()
        return self._waiting

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        Pong.decode(datagram)
        self.pongs[addr[0]] = self.pongs.get(addr[0], 0) + 1
        if self._waiting is not None and sum(self.pongs.values()) >= self._enough:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


class SocketContract:
    """
    What both kinds of sockets do.
    """

    timeout = 120
    each: bool
    base: str
    assertEqual: Any
    assertRaises: Any
    addCleanup: Any  # noqa: N815 - trial's name

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.fleet = self.make_fleet(40, 0)
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)

    def make_fleet(self, count: int, port: int) -> SimulatedFleet:
        return SimulatedFleet(self.reactor, count, base=self.base, port=port, each=self.each)

    def pinger(self) -> Pinger:
        pinger = Pinger()
        port = self.reactor.listenUDP(0, pinger, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return pinger

    async def test_each_answers_for_itself(self) -> None:
        """
        Every BMC answers, from its own address.
        """
        pinger = self.pinger()
        answered = pinger.wait_for(40)
        pinger.ping(*((bmc.address, self.fleet.port) for bmc in self.fleet.bmcs))
        await answered

        self.assertEqual({bmc.address: 1 for bmc in self.fleet.bmcs}, pinger.pongs)

    async def test_slow_answer(self) -> None:
        """
        A slow BMC delays nobody else.
        """
        first, second = (bmc.address for bmc in self.fleet.bmcs[:2])
        self.fleet.set_faults(0, Faults(reply_delay=0.2))
        pinger = self.pinger()
        answered = pinger.wait_for(1)
        pinger.ping((first, self.fleet.port), (second, self.fleet.port))
        await answered
        before = set(pinger.pongs)
        await pinger.wait_for(2)

        self.assertEqual(({second}, {first, second}), (before, set(pinger.pongs)))

    async def test_restart(self) -> None:
        """
        After stop nobody answers and the port is free; after a start at the same port all is as before.
        """
        pinger, peer = self.pinger(), (self.fleet.bmcs[0].address, self.fleet.port)
        await self.fleet.stopService()
        pinger.ping(peer)
        await deferLater(self.reactor, 0.05)
        self.assertEqual({}, pinger.pongs)
        self.fleet.startService()
        answered = pinger.wait_for(1)
        pinger.ping(peer)
        await answered

    async def test_stop_with_answers_under_way(self) -> None:
        """
        A fleet that is stopped forgets the answers that it still owed.
        """
        self.fleet.set_faults(0, Faults(reply_delay=0.02))
        pinger = self.pinger()
        pinger.ping((self.fleet.bmcs[0].address, self.fleet.port))
        await deferLater(self.reactor, 0.01)
        await self.fleet.stopService()
        await deferLater(self.reactor, 0.03)

        self.assertEqual({}, pinger.pongs)

    async def test_occupied_port(self) -> None:
        """
        A second fleet at the same place is refused, and leaves nothing open.
        """
        before = open_files()

        self.assertRaises(CannotListenError, self.make_fleet(3, self.fleet.port).startService)
        self.assertEqual(before, open_files())


class SharedSocketTests(SocketContract, TestCase):
    each = False
    base = "127.50.70.1"

    async def test_other_addresses(self) -> None:
        """
        An address that no BMC has is silent.
        """
        pinger = self.pinger()
        answered = pinger.wait_for(1)
        pinger.ping(("127.50.80.1", self.fleet.port), (self.fleet.bmcs[0].address, self.fleet.port))
        await answered

        self.assertEqual([self.fleet.bmcs[0].address], list(pinger.pongs))


class SocketEachTests(SocketContract, TestCase):
    each = True
    base = "127.50.71.1"

    async def test_closed(self) -> None:
        """
        A closed BMC refuses datagrams, and answers again when it is open again.
        """
        console = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(console.close)
        console.connect((self.fleet.bmcs[0].address, self.fleet.port))
        self.fleet.set_faults(0, Faults(closed=True))
        await deferLater(self.reactor, 0.02)
        console.send(Ping(1).encode())
        self.assertRaises(ConnectionRefusedError, console.recv, 100)

        self.fleet.set_faults(0)
        console.send(Ping(1).encode())
        await deferLater(self.reactor, 0.05)
        self.assertEqual(1, Pong.decode(console.recv(100)).tag)

    async def test_opened_at_once(self) -> None:
        """
        A BMC that is closed and opened in one moment listens.
        """
        self.fleet.set_faults(0, Faults(closed=True))
        self.fleet.set_faults(0)
        await deferLater(self.reactor, 0.02)
        pinger = self.pinger()
        answered = pinger.wait_for(1)
        pinger.ping((self.fleet.bmcs[0].address, self.fleet.port))
        await answered


class CommandLineTests(SynchronousTestCase):
    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "powercoord.sim", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_serves_until_told_to_stop(self) -> None:
        """
        The program says when it is ready and where, and ends with 0 on SIGTERM.
        """
        process = self.start("--bmcs", "3", "--base", "127.50.72.1", "--port", "0")
        self.addCleanup(process.kill)
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.terminate()
        _, err = process.communicate(timeout=10)

        self.assertRegex(ready, r"^ready 3 BMCs 127\.50\.72\.1 127\.50\.72\.3 port \d+\n$")
        self.assertEqual((0, ""), (process.returncode, err))

    def test_mistakes(self) -> None:
        """
        A mistake is one line that names it.
        """
        for words, text in (
            (("--bmcs", "0"), "at least one BMC, not 0"),
            (("--base", "10.0.0.1"), "100 addresses from 10.0.0.1 on are not all inside 127.0.0.0/8"),
        ):
            process = self.start(*words)
            _, err = process.communicate(timeout=10)

            self.assertIn(text, err)
            self.assertEqual((1, 1), (process.returncode, err.count("\n")))
