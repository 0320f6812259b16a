# SPDX-License-Identifier: MIT
"""
Parked endpoints on the wire: told in the status, and ended by a command.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.entries import Parked, Unparked
from powercoord.model import Failed
from powercoord.parking import Cause
from powercoord.testing.driver import Fault
from tests.amp_world import AmpWorld


class UnparkTests(SynchronousTestCase):
    """
    `Unpark`, as `powercoord.client` sends it.
    """

    def setUp(self) -> None:
        self.it = AmpWorld(600)
        self.world = self.it.world
        self.client = self.it.client()
        self.world.machine("n2").read_faults = [Fault.WRONG_PASSWORD]
        self.wait(self.client.query(["n2"]))

    def wait(self, answer: Deferred[Any], turn: float = 0.5) -> Any:
        """
        The answer, after the time that it takes.
        """
        self.it.carry()
        self.it.turn(turn)
        return self.successResultOf(answer)

    def test_status(self) -> None:
        """
        A status says why a node is left alone, since when, and when it is tried again.
        """
        told, other = self.wait(self.client.status(["n2", "n1"]))

        self.assertIsNone(other.parked)
        parked = told.parked
        self.assertEqual(
            ("fake:n2", Cause.REFUSED, "password is wrong"), (parked.endpoint, parked.cause, parked.reason)
        )
        self.assertGreater(parked.next_try, 20_000)

    def test_unpark(self) -> None:
        """
        All nodes that were parked are told, whoever does it is written down, and the BMC is asked again.
        """
        names = self.world.names()
        self.assertEqual(("n2",), self.wait(self.client.unpark(names)))
        self.assertEqual((), self.wait(self.client.unpark(names)))

        (entry,) = self.world.journal.of(Unparked)
        self.assertEqual(("n2", "tester via local"), (entry.node, entry.by))
        (reading,) = self.wait(self.client.query(["n2"]))
        self.assertEqual("off", reading.state.value)

    def test_unknown(self) -> None:
        """
        A name that is not known changes nothing.
        """
        answer = self.client.unpark(["n2", "n0"])
        self.it.carry()

        self.failureResultOf(answer, e.NoSuchNode)
        self.assertEqual([], self.world.journal.of(Unparked))
        self.assertEqual(1, len(self.world.journal.of(Parked)))

    def test_failure(self) -> None:
        """
        A caller hears that a change fails at once, why, and that it may be tried again.
        """
        outcome = self.wait(self.client.on("n2"))

        assert isinstance(outcome, Failed)
        self.assertEqual(("PowerParkedError", True), (outcome.code, outcome.retryable))
