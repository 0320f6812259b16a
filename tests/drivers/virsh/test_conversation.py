# SPDX-License-Identifier: MIT
"""
One connection to libvirt's daemon, in memory.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh import xdr
from powercoord.drivers.virsh.conversation import (
    AT_ONCE,
    CHANGES_AT_ONCE,
    INTERVAL,
    PATIENCE,
    PING,
    Conversation,
    Refusal,
)
from powercoord.drivers.virsh.packets import KEEPALIVE, REMOTE, Kind, Packet, Packets
from powercoord.drivers.virsh.procedures import Procedure
from powercoord.errors import PowerConnError

READ, CHANGE = Procedure.DOMAIN_GET_STATE, Procedure.DOMAIN_DESTROY_FLAGS


class Wire:
    """
    The transport, and what was written to it.
    """

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.aborted = False
        self._cutter = Packets()

    def write(self, data: bytes) -> None:
        self.packets += self._cutter.feed(data)

    def abortConnection(self) -> None:
        self.aborted = True


class ConversationCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.wire = Clock(), Wire()
        self.events: list[frozenset[str]] = []
        self.gone: list[Conversation] = []
        self.left: list[int] = []
        self.line = Conversation(self.clock, "qemu:///system", self.events.append, self.gone.append)
        self.line.makeConnection(self.wire)  # type: ignore[arg-type]

    def read(self) -> Deferred[bytes]:
        return self.line.call(READ)

    def change(self, number: int = 0) -> Deferred[bytes]:
        return self.line.call(CHANGE, leaving=lambda: self.left.append(number))

    def answer(self, packet: Packet, body: bytes = b"", status: int = 0) -> None:
        reply = Packet(REMOTE, packet.procedure, Kind.REPLY, packet.serial, status, body)
        self.line.dataReceived(reply.encode())

    def conn_error(self, call: Deferred[bytes]) -> PowerConnError:
        error = self.failureResultOf(call, PowerConnError).value
        assert isinstance(error, PowerConnError)
        return error


class CallTests(ConversationCase):
    """
    Calls and answers.
    """

    def test_each_its_own(self) -> None:
        """
        Answers come in any order, and each caller gets his.
        """
        calls = [self.read() for _ in range(3)]
        for at in (2, 0, 1):
            self.answer(self.wire.packets[at], b"%04d" % at)

        self.assertEqual([b"0000", b"0001", b"0002"], [self.successResultOf(call) for call in calls])

    def test_refusal(self) -> None:
        """
        An error is the caller's, with its code and text.
        """
        call = self.read()
        body = xdr.integer(42) + xdr.integer(10) + xdr.optional(xdr.string("Domain not found"))
        self.answer(self.wire.packets[0], body, status=1)

        refusal = self.failureResultOf(call, Refusal).value
        assert isinstance(refusal, Refusal)
        self.assertEqual((42, "Domain not found"), (refusal.error.code, str(refusal)))

    def test_bounded(self) -> None:
        """
        So many calls are on their way at once and not more; changes leave a place for reads.
        """
        for number in range(6):
            self.change(number)
        self.assertEqual(CHANGES_AT_ONCE, len(self.wire.packets))
        reads = [self.read() for _ in range(3)]
        self.assertEqual(AT_ONCE, len(self.wire.packets))

        self.answer(self.wire.packets[-1])
        self.successResultOf(reads[0])
        self.assertEqual([READ, READ], [packet.procedure for packet in self.wire.packets[3:]])
        self.answer(self.wire.packets[0])
        self.assertEqual(CHANGE, self.wire.packets[-1].procedure)
        self.assertEqual([0, 1, 2, 3], self.left)

    def test_taken_back(self) -> None:
        """
        A call that is cancelled before its turn never leaves.
        """
        for number in range(CHANGES_AT_ONCE):
            self.change(number)
        waiting = self.change(99)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.answer(self.wire.packets[0])

        self.assertNotIn(99, self.left)

    def test_forgotten(self) -> None:
        """
        A call that is cancelled on its way keeps its place; its late answer is dropped and disturbs nobody.
        """
        calls = [self.read() for _ in range(AT_ONCE)]
        calls[0].cancel()
        self.failureResultOf(calls[0], CancelledError)
        next_one = self.read()
        self.assertEqual(AT_ONCE, len(self.wire.packets))

        self.answer(self.wire.packets[0])
        self.answer(self.wire.packets[1])
        self.assertFalse(self.wire.aborted)
        self.successResultOf(calls[1])
        self.answer(self.wire.packets[AT_ONCE])
        self.successResultOf(next_one)

    def test_all_forgotten(self) -> None:
        """
        A line whose places are all taken by forgotten calls is closed; who waits hears that nothing left.
        """
        calls = [self.change(number) for number in range(CHANGES_AT_ONCE)] + [self.read()]
        waiting = self.change(99)
        for call in calls:
            call.cancel()
            self.failureResultOf(call, CancelledError)
        self.assertTrue(self.wire.aborted)
        self.line.connectionLost()

        self.assertFalse(self.conn_error(waiting).sent)

    def test_lost(self) -> None:
        """
        When the line is lost, a change that had left may have arrived, and nothing else has.
        """
        read, changes = self.read(), [self.change(number) for number in range(4)]
        self.line.connectionLost()

        self.assertFalse(self.conn_error(read).sent)
        self.assertEqual([True, True, True, False], [self.conn_error(change).sent for change in changes])
        self.assertEqual([self.line], self.gone)
        self.assertFalse(self.conn_error(self.change()).sent)
        self.assertEqual([], self.clock.getDelayedCalls())


class MalformedTests(ConversationCase):
    """
    Whoever does not speak the protocol is not spoken to any more.
    """

    def test_closed(self) -> None:
        """
        Garbage, foreign programs, unasked answers and calls close the line with a clear error for all.
        """
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            (2**31).to_bytes(4, "big"),
            Packet(0x1234, 1, Kind.REPLY, 1, 0).encode(),
            Packet(REMOTE, READ, Kind.REPLY, 77, 0).encode(),
            Packet(REMOTE, CHANGE, Kind.REPLY, 1, 0).encode(),
            Packet(REMOTE, READ, Kind.CALL, 1, 0).encode(),
            Packet(REMOTE, READ, Kind.REPLY, 1, 1, b"\0").encode(),
            Packet(REMOTE, Procedure.DOMAIN_EVENT_CALLBACK_LIFECYCLE, Kind.MESSAGE, 0, 0).encode(),
            Packet(REMOTE, READ, Kind.REPLY, 1, 0, version=2).encode(),
        ):
            self.setUp()
            call = self.read()
            self.line.dataReceived(data)
            self.assertTrue(self.wire.aborted, data)
            self.line.connectionLost()
            error = self.conn_error(call)
            self.assertIn("qemu:///system: this is not libvirt's protocol: ", str(error))

    def test_half_a_packet(self) -> None:
        """
        A packet that never ends is nobody's answer.
        """
        call = self.read()
        self.line.dataReceived(Packet(REMOTE, READ, Kind.REPLY, 1, 0, bytes(8)).encode()[:-1])
        self.assertNoResult(call)
        self.line.connectionLost()

        self.assertIn("the connection was closed", str(self.conn_error(call)))


class SignOfLifeTests(ConversationCase):
    """
    "Are you there", in both directions, and events.
    """

    def test_asked(self) -> None:
        """
        A daemon that asks is answered.
        """
        self.line.dataReceived(Packet(KEEPALIVE, PING, Kind.MESSAGE, 0, 0).encode())

        self.assertEqual(
            "0000001c6b656570000000010000000200000002" + "00" * 8, self.wire.packets[0].encode().hex()
        )

    def test_silent(self) -> None:
        """
        A daemon that is silent is asked, and taken for dead when it goes on.
        """
        call = self.change()
        self.clock.pump([INTERVAL] * PATIENCE)
        self.assertFalse(self.wire.aborted)
        self.assertEqual(KEEPALIVE, self.wire.packets[-1].program)
        self.clock.advance(INTERVAL)
        self.assertTrue(self.wire.aborted)
        self.line.connectionLost()

        error = self.conn_error(call)
        self.assertIn("no sign of life for 15 s", str(error))
        self.assertTrue(error.sent)

    def test_alive(self) -> None:
        """
        Anything that comes is a sign of life.
        """
        for _ in range(20):
            self.clock.advance(INTERVAL)
            self.line.dataReceived(Packet(KEEPALIVE, PING, Kind.MESSAGE, 0, 0).encode())

        self.assertFalse(self.wire.aborted)

    def test_events(self) -> None:
        """
        An event tells of whom it is, by name and by UUID; others are passed over.
        """
        body = bytes(4) + xdr.string("g") + bytes(16) + bytes(12)
        packet = Packet(REMOTE, Procedure.DOMAIN_EVENT_CALLBACK_LIFECYCLE, Kind.MESSAGE, 0, 0, body)
        self.line.dataReceived(packet.encode())
        self.line.dataReceived(Packet(REMOTE, 319, Kind.MESSAGE, 0, 0, b"what").encode())

        self.assertEqual([frozenset({"g", "00000000-0000-0000-0000-000000000000"})], self.events)
