# SPDX-License-Identifier: MIT
"""
The IPMI driver's socket, really, on a virtual clock: what the reactor would do, the test does.
"""

from __future__ import annotations

import socket
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.drivers.ipmi.datagrams import REST, Datagrams


class Watcher(Clock):
    """
    A reactor that notes what it watches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watched: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.watched.add(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        self.watched.discard(reader)


@define(eq=False)
class Heard:
    """
    What came in.
    """

    datagrams: list[bytes] = field(factory=list)
    refused: list[tuple[Any, int | None]] = field(factory=list)
    crowded: bool = False
    faulty: bool = False

    def received(self, datagram: bytes, peer: Any) -> None:
        if self.faulty:
            raise ZeroDivisionError
        self.datagrams.append(datagram)

    def unreachable(self, peer: Any, error: OSError) -> None:
        if self.faulty:
            raise ZeroDivisionError
        self.refused.append((peer, error.errno))


class DatagramsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.heard = Watcher(), Heard()
        self.reactor.advance(100)
        self.datagrams = Datagrams(
            self.reactor, self.heard.received, self.heard.unreachable, lambda: self.heard.crowded
        )
        self.datagrams.open("127.0.0.1")
        self.addCleanup(self.close)
        self.here = self.datagrams._socket.getsockname()  # noqa: SLF001
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))

    def close(self) -> None:
        """
        Once.
        """
        if self.datagrams is not None:
            self.datagrams.close()
        self.datagrams = None  # type: ignore[assignment]

    def say(self, count: int = 1) -> None:
        """
        The peer sends.
        """
        for number in range(count):
            self.peer.sendto(b"%d" % number, self.here)

    def watched(self) -> bool:
        """
        Whether the reactor watches the socket.
        """
        return self.datagrams in self.reactor.watched

    def test_interface(self) -> None:
        """
        It is what a reactor reads from.
        """
        self.assertTrue(verifyObject(IReadDescriptor, self.datagrams))
        self.assertEqual("ipmi", self.datagrams.logPrefix())
        self.assertTrue(self.watched())

    def test_both_ways(self) -> None:
        """
        Datagrams go out and come in.
        """
        self.assertTrue(self.datagrams.send(b"ping", self.peer.getsockname()))
        self.assertEqual(b"ping", self.peer.recv(100))
        self.say(3)
        self.datagrams.doRead()
        self.assertEqual([b"0", b"1", b"2"], self.heard.datagrams)

    def test_batches(self) -> None:
        """
        A flood is read a batch at a time, so that others have their turn.
        """
        for _ in range(3):
            self.say(100)
        self.datagrams.doRead()
        self.assertEqual(256, len(self.heard.datagrams))
        self.datagrams.doRead()
        self.assertEqual(300, len(self.heard.datagrams))

    def test_faulty_receiver(self) -> None:
        """
        A fault of whoever receives is logged, and the next datagram is read.
        """
        self.heard.faulty = True
        self.say(2)
        self.datagrams.doRead()
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def closed_port(self) -> Any:
        """
        Where nobody listens.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            return closed.getsockname()

    def test_refusal(self) -> None:
        """
        A refusal names the peer that it came from.
        """
        where = self.closed_port()
        self.datagrams.send(b"x", where)
        self.datagrams.doRead()
        self.assertEqual([(where, 111)], self.heard.refused)

    def test_refusal_heard_by_the_next(self) -> None:
        """
        A refusal that the kernel tells to the next who sends is told later, and that one's datagram leaves.
        """
        where = self.closed_port()
        self.datagrams.send(b"x", where)
        self.assertTrue(self.datagrams.send(b"ping", self.peer.getsockname()))
        self.assertEqual([], self.heard.refused)
        self.assertEqual(b"ping", self.peer.recv(100))
        self.reactor.advance(0)
        self.assertEqual([(where, 111)], self.heard.refused)

    def test_fault_about_a_refusal(self) -> None:
        """
        A fault of whoever is told of a refusal is logged.
        """
        self.heard.faulty = True
        self.datagrams.send(b"x", self.closed_port())
        self.datagrams.doRead()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_impossible(self) -> None:
        """
        What the kernel will not send is an error at once.
        """
        with self.assertRaises(OSError):
            self.datagrams.send(bytes(70_000), self.peer.getsockname())

    def test_few_answers(self) -> None:
        """
        While few answers are expected the socket is watched all the time.
        """
        for _ in range(3):
            self.say()
            self.datagrams.doRead()
        self.assertTrue(self.watched())

    def test_many_answers(self) -> None:
        """
        While many come fast, they gather: the socket is read now and then, until nothing is there.
        """
        self.heard.crowded = True
        for _ in range(2):
            self.say()
            self.datagrams.doRead()
        self.assertFalse(self.watched())
        self.say(5)
        self.assertEqual(2, len(self.heard.datagrams))
        self.reactor.advance(REST)
        self.assertEqual(7, len(self.heard.datagrams))
        self.assertFalse(self.watched())
        self.reactor.advance(REST)
        self.assertTrue(self.watched())
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_many_slow_answers(self) -> None:
        """
        Answers that come slowly are read as they come.
        """
        self.heard.crowded = True
        for _ in range(3):
            self.reactor.advance(2 * REST)
            self.say()
            self.datagrams.doRead()
        self.assertTrue(self.watched())

    def test_crowd_is_gone(self) -> None:
        """
        When few answers are expected again, the socket is watched again.
        """
        self.heard.crowded = True
        for _ in range(2):
            self.say()
            self.datagrams.doRead()
        self.heard.crowded = False
        self.say()
        self.reactor.advance(REST)
        self.assertTrue(self.watched())
        self.assertEqual(3, len(self.heard.datagrams))

    def test_close(self) -> None:
        """
        Closed while it rests and has a refusal to tell, it leaves nothing behind.
        """
        self.heard.crowded = True
        for _ in range(2):
            self.say()
            self.datagrams.doRead()
        self.datagrams.send(b"x", self.closed_port())
        self.datagrams.send(b"x", self.peer.getsockname())
        self.close()
        self.assertEqual((set(), []), (self.reactor.watched, self.reactor.getDelayedCalls()))
