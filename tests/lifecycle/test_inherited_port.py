# SPDX-License-Identifier: MIT
"""
A local port that cannot accept.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.inherited_port import LocalPort


class FailingSocket:
    """
    Listens, and cannot accept.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self.closed = 0

    def setblocking(self, flag: bool) -> None:
        """
        As a socket's.
        """

    def set_inheritable(self, flag: bool) -> None:
        """
        As a socket's.
        """

    def close(self) -> None:
        """
        Count it.
        """
        self.closed += 1

    def accept(self) -> Any:
        """
        Fail.
        """
        raise OSError(self.code, "no")


class LocalPortTests(SynchronousTestCase):
    def make(self, code: int) -> LocalPort:
        """
        A port that listens, and hears this whenever it accepts.
        """
        self.reactor = MemoryReactorClock()
        self.socket, self.events = FailingSocket(code), []

        def observe(event: dict[str, Any]) -> None:
            self.events.append(event["log_level"].name)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.factory = Factory()
        self.factory.noisy = False
        port = LocalPort(self.reactor, self.socket, self.factory)  # type: ignore[arg-type]
        port.startListening()
        self.assertEqual(1, self.factory.numPorts)
        return port

    def test_no_descriptors(self) -> None:
        """
        Without descriptors it pauses for a second, in which it burns no time, says so, and tries again.
        """
        port = self.make(errno.EMFILE)
        port.doRead()
        self.assertFalse(port in self.reactor.readers)
        self.assertEqual(["warn"], self.events)
        self.reactor.advance(1.0)
        self.assertTrue(port in self.reactor.readers)

    def test_stopped_in_the_pause(self) -> None:
        """
        A port that is stopped in the pause is closed, once, waits for nothing, and lets the factory go.
        """
        port = self.make(errno.ENFILE)
        port.doRead()
        self.successResultOf(port.stopListening())
        port.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertEqual((1, 0), (self.socket.closed, self.factory.numPorts))

    def test_left_while_waiting(self) -> None:
        """
        A caller who left while it waited is nothing to speak of.
        """
        port = self.make(errno.ECONNABORTED)
        port.doRead()
        self.assertEqual([], self.events)
        self.assertTrue(port in self.reactor.readers)

    def test_other_trouble(self) -> None:
        """
        Any other reason is told, and listening goes on.
        """
        port = self.make(errno.EPERM)
        port.doRead()
        self.assertEqual(["warn"], self.events)
        self.assertTrue(port in self.reactor.readers)
