# SPDX-License-Identifier: MIT
"""
Whether there is a systemd at all.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.notify_socket import address
from powercoord.lifecycle.notify_systemd import Systemd
from powercoord.stages import Stage
from tests.lifecycle.test_notify import ScriptedLifecycle


class AddressTests(SynchronousTestCase):
    """
    `address`.
    """

    def test_kinds(self) -> None:
        """
        A path is one, and what begins with @ is in the abstract namespace.
        """
        self.assertEqual("/run/systemd/notify", address("/run/systemd/notify"))
        self.assertEqual("\0org/notify", address("@org/notify"))

    def test_others(self) -> None:
        """
        Anything else is refused, naming it.
        """
        for text in ("vsock:2:1234", "@", "notify", ""):
            error = self.assertRaises(ValueError, address, text)
            self.assertIn(repr(text), str(error))


class SystemdTests(SynchronousTestCase):
    def make(self, **environ: str) -> Systemd:
        """
        What such an environment makes; it must be left empty.
        """
        self.clock = Clock()
        systemd = Systemd.from_environment(self.clock, environ, lambda: 7, lambda: 0)
        self.assertEqual({}, environ)
        return systemd

    def test_without(self) -> None:
        """
        Where nobody asked, nothing is said, followed or waited for.
        """
        lifecycle = ScriptedLifecycle()
        systemd = self.make(WATCHDOG_USEC="2000000")
        systemd.start(lifecycle, lambda: 0, lambda: True)
        lifecycle.put(stage=Stage.SERVING)
        systemd.reloading()
        systemd.reloaded()
        self.assertEqual([], lifecycle.listeners)
        self.assertEqual([], self.clock.getDelayedCalls())
        systemd.stop()

    def test_unknown_kind(self) -> None:
        """
        An address that cannot be sent to is told in the log, and the service runs.
        """
        events: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            events.append(event["reason"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        systemd = self.make(NOTIFY_SOCKET="vsock:2:1234")
        systemd.start(ScriptedLifecycle(), lambda: 0, lambda: True)
        self.assertIn("vsock:2:1234", events[0])

    def test_children_inherit_nothing(self) -> None:
        """
        Everything that systemd meant for us alone is taken out of the environment.
        """
        self.make(
            NOTIFY_SOCKET="/run/nowhere",
            WATCHDOG_USEC="2000000",
            WATCHDOG_PID="7",
            LISTEN_FDNAMES="amp",
        )
