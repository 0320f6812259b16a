# SPDX-License-Identifier: MIT
"""
Signs of life for systemd's watchdog.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.watchdog import Watchdog, limit_of


class LimitTests(SynchronousTestCase):
    """
    `limit_of`.
    """

    def test_ours(self) -> None:
        """
        A limit for our process, or for whoever reads it, is taken, and no child sees it.
        """
        for whom in ({"WATCHDOG_PID": "7"}, {}):
            environ = {"WATCHDOG_USEC": "30000000", "PATH": "/bin", **whom}
            self.assertEqual(30.0, limit_of(environ, 7))
            self.assertEqual({"PATH": "/bin"}, environ)

    def test_not_ours(self) -> None:
        """
        Without a limit, or with one for another process, there is none, and it is not left lying about.
        """
        for environ in ({}, {"WATCHDOG_PID": "7"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}):
            self.assertIsNone(limit_of(environ, 7))
            self.assertEqual({}, environ)

    def test_nonsense(self) -> None:
        """
        A limit that is no time is none, and is told.
        """
        events: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            events.append(event["log_level"].name)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for value in ("soon", "0", "-1", "1.5"):
            self.assertIsNone(limit_of({"WATCHDOG_USEC": value}, 7))
        self.assertEqual(["warn"] * 4, events)


class WatchdogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[str] = []
        self.alive = True
        self.watchdog = Watchdog(self.clock, self.sent.append, 10.0, lambda: self.alive)

    def test_half_the_limit(self) -> None:
        """
        A sign is given at the start and then at half the limit.
        """
        self.watchdog.start()
        self.clock.pump([2.5] * 8)
        self.assertEqual(["WATCHDOG=1"] * 5, self.sent)

    def test_dead_thread(self) -> None:
        """
        No sign is given while the journal's thread is dead, and the log has why, once.
        """
        events: list[str] = []

        def observe(event: dict[str, object]) -> None:
            events.append(str(event["log_format"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.watchdog.start()
        self.sent.clear()
        self.alive = False
        self.clock.pump([5.0] * 4)
        self.assertEqual([], self.sent)
        self.assertEqual(1, len([event for event in events if "thread is dead" in event]))

    def test_stop(self) -> None:
        """
        After its stop it waits for nothing; stopping it twice, or unstarted, is harmless.
        """
        self.watchdog.stop()
        self.watchdog.start()
        self.watchdog.stop()
        self.watchdog.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
