# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.web.line`: when it opens, and that it always ends.
"""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.web import Place, Trust
from powercoord.drivers.web.line import GOODBYE, Line, Untrusted
from tests.drivers.web.world import Socket


class Client(Protocol):
    pass


class Patient(Socket):
    """
    Somebody who never says goodbye.
    """

    def loseConnection(self) -> None:
        self.asked = True


class LineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.gone: list[Line] = []

    def line(self, socket: Socket, secure: bool = False) -> Line:
        judge = Trust(pin="00" * 32).judge(Place.parse("192.0.2.1")) if secure else None
        made = Line(self.clock, Factory.forProtocol(Client), judge, self.gone.append)
        socket.protocol = made
        made.makeConnection(socket)
        return made

    def test_no_judgement(self) -> None:
        """
        A handshake that is over without anybody having judged a certificate opens nothing.
        """
        socket = Socket(self.clock)
        line = self.line(socket, secure=True)
        opened = line.opened()
        line.handshakeCompleted()
        self.clock.advance(0)

        self.assertIsInstance(self.failureResultOf(opened).value, Untrusted)
        self.assertTrue(socket.aborted)

    def test_waits_for_the_handshake(self) -> None:
        """
        With TLS there is no client before the certificate is judged.
        """
        line = self.line(Socket(self.clock), secure=True)
        opened = line.opened()
        self.assertNoResult(opened)
        assert line.judge is not None
        line.judge.accepted = True
        line.handshakeCompleted()

        self.assertIsInstance(self.successResultOf(opened), Client)

    def test_goodbye(self) -> None:
        """
        Who does not answer a goodbye is left without one.
        """
        socket = Patient(self.clock)
        line = self.line(socket)
        line.loseConnection()
        self.clock.advance(GOODBYE - 0.1)
        self.assertTrue(socket.open)
        self.clock.advance(0.2)

        self.assertEqual((True, [line]), (socket.aborted, self.gone))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_lost(self) -> None:
        """
        After its end nothing is left of a connection, not even a timer.
        """
        socket = Socket(self.clock)
        line = self.line(socket)
        socket.drop()
        self.clock.advance(0)
        line.loseConnection()

        self.assertEqual(([line], []), (self.gone, self.clock.getDelayedCalls()))
