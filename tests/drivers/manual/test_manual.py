# SPDX-License-Identifier: MIT
"""
Nodes that a person switches: what is said, and that nothing is pretended.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.drivers.manual import ManualSettings, driver
from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerConnError,
    PowerSettingError,
    PowerUnsupportedError,
)
from powercoord.interfaces import IPowerDriver
from powercoord.model import Boot, BootDevice, Command
from tests.ipmi_world import FakeOperation


class ManualTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.driver = driver(self.clock)
        self.target = self.driver.target(ManualSettings(place="rack 4, unit 12", who="the night shift"))
        self.said: list[str] = []
        globalLogPublisher.addObserver(self._hear)
        self.addCleanup(globalLogPublisher.removeObserver, self._hear)

    def _hear(self, event: LogEvent) -> None:
        self.said.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    def test_command(self) -> None:
        """
        A command says what a person is to do, where, and who knows how; once, and after it was announced.
        """
        verifyObject(IPowerDriver, self.driver)
        operation = FakeOperation(5.0)
        operation.on_sending = lambda: self.assertEqual([], self.said)
        self.successResultOf(Deferred.fromCoroutine(self.driver.command(self.target, Command.ON, operation)))
        self.assertEqual(1, operation.announced)
        (line,) = self.said
        for word in ("turn on", "rack 4, unit 12", "the night shift", "powercoord resolve"):
            self.assertIn(word, line)

    def test_read(self) -> None:
        """
        Nobody can tell whether it is on, and the driver says that it cannot read.
        """
        self.assertFalse(self.driver.capabilities.queryable)
        call = Deferred.fromCoroutine(self.driver.read(self.target, FakeOperation(5.0)))
        error = self.failureResultOf(call, PowerActionError).value
        self.assertIn("rack 4, unit 12", str(error))

    def test_nobody_told(self) -> None:
        """
        What is cancelled, late, impossible, or asked of a closed driver is told to nobody.
        """
        cancelled, late = FakeOperation(5.0, cancelled=True), FakeOperation(0.0)
        for operation, command, kind in (
            (cancelled, Command.ON, OperationCancelled),
            (late, Command.ON, PowerConnError),
            (FakeOperation(5.0), Command.RESET, PowerUnsupportedError),
        ):
            call = Deferred.fromCoroutine(self.driver.command(self.target, command, operation))
            self.failureResultOf(call, kind)
            self.assertEqual(0, operation.announced)
        boot = self.driver.set_boot(self.target, Boot(BootDevice.PXE), FakeOperation(5.0))
        self.failureResultOf(Deferred.fromCoroutine(boot), PowerUnsupportedError)
        self.successResultOf(Deferred.fromCoroutine(self.driver.close()))
        call = Deferred.fromCoroutine(self.driver.command(self.target, Command.ON, FakeOperation(5.0)))
        self.failureResultOf(call, PowerConnError)
        self.assertEqual([], self.said)

    def test_places(self) -> None:
        """
        A place is one node, and must be said in one line.
        """
        other = self.driver.target(self.driver.from_context({"place": "rack 4, unit 13"}))
        self.assertNotEqual(self.target.endpoint, other.endpoint)
        self.assertRaises(PowerSettingError, self.driver.from_context, {})
        for place in ("", " ", "a\nb"):
            self.assertRaises(PowerSettingError, ManualSettings, place=place)
