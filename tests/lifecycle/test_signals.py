# SPDX-License-Identifier: MIT
"""
What each signal means after those before it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.signals import TOGETHER, Counting, Meaning, Signals

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
NOTHING, STOP, RELOAD = Meaning.NOTHING, Meaning.STOP, Meaning.RELOAD
NOW, NOW_TOO = Meaning.END_NOW, Meaning.END_NOW_TOO


class CountingTests(SynchronousTestCase):
    """
    `Counting`.
    """

    def heard(self, *signals: tuple[int, float]) -> list[Meaning]:
        """
        What signals mean, which come at these times.
        """
        counting = Counting()
        return [counting.heard(number, at) for number, at in signals]

    def test_table(self) -> None:
        """
        The first SIGTERM stops, the second and any SIGINT end at once; SIGHUP reloads, also meanwhile.
        """
        for signals, meanings in (
            ([(TERM, 0)], [STOP]),
            ([(INT, 0)], [NOW]),
            ([(HUP, 0)], [RELOAD]),
            ([(TERM, 0), (TERM, 1)], [STOP, NOW_TOO]),
            ([(TERM, 0), (INT, 1)], [STOP, NOW]),
            ([(TERM, 0), (INT, 0)], [STOP, NOW]),
            ([(TERM, 0), (HUP, 1), (TERM, 2)], [STOP, RELOAD, NOW_TOO]),
            ([(HUP, 0), (HUP, 1)], [RELOAD, RELOAD]),
            ([(INT, 0), (TERM, 1), (INT, 2), (HUP, 3)], [NOW, NOTHING, NOTHING, NOTHING]),
            ([(TERM, 0), (TERM, 1), (TERM, 2)], [STOP, NOW_TOO, NOTHING]),
        ):
            self.assertEqual(meanings, self.heard(*signals), signals)

    def test_together(self) -> None:
        """
        The same signal several times in one moment counts once, and a moment does not become longer by it.
        """
        moment = TOGETHER / 3
        five = [(TERM, number * moment / 5) for number in range(5)]
        self.assertEqual([STOP, *[NOTHING] * 4], self.heard(*five))
        self.assertEqual(
            [STOP, NOTHING, NOW_TOO], self.heard((TERM, 0), (TERM, 2 * moment), (TERM, 4 * moment))
        )
        self.assertEqual([RELOAD, NOTHING], self.heard((HUP, 0), (HUP, moment)))

    def test_exit_codes(self) -> None:
        """
        Ends at once have the code that a shell would give for the signal; nothing else has one.
        """
        self.assertEqual({130: NOW, 143: NOW_TOO}, {each.code: each for each in Meaning if each.code})


@define(eq=False)
class SignalledReactor(Clock):
    """
    A reactor that runs what it is given when the test lets it, unless it is stuck.
    """

    queued: list[tuple[Callable[..., Any], tuple[Any, ...]]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        Clock.__init__(self)

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        """
        Later.
        """
        self.queued.append((call, arguments))

    def run(self) -> None:
        """
        Do what is due.
        """
        queued, self.queued = self.queued, []
        for call, arguments in queued:
            call(*arguments)


@define(eq=False)
class NotingLifecycle:
    """
    Notes what it is told.
    """

    told: list[Any] = field(factory=list)

    def stop(self, by: str) -> None:
        """
        Note it.
        """
        self.told.append(by)

    def force(self, by: str, code: int) -> None:
        """
        Note it.
        """
        self.told.append((by, code))


class SignalsTests(SynchronousTestCase):
    """
    `Signals`.
    """

    def setUp(self) -> None:
        self.reactor = SignalledReactor()
        self.lifecycle = NotingLifecycle()
        self.insisted: list[tuple[float, int]] = []
        self.reload: Callable[[], None] = lambda: self.lifecycle.told.append("reload")
        lifecycle: Any = self.lifecycle
        self.signals = Signals(
            self.reactor, lifecycle, self.try_reload, lambda *what: self.insisted.append(what)
        )

    def try_reload(self) -> None:
        """
        Do what the test says.
        """
        self.reload()

    def test_acts_in_the_reactor(self) -> None:
        """
        What a signal asks for is done in the reactor, and nothing before.
        """
        self.signals.heard(TERM)
        self.assertEqual([], self.lifecycle.told)
        self.reactor.run()
        self.reactor.advance(1)
        self.signals.heard(TERM)
        self.reactor.run()

        self.assertEqual(["SIGTERM", ("a second SIGTERM", 143)], self.lifecycle.told)

    def test_counts_without_the_reactor(self) -> None:
        """
        A second SIGTERM is counted although the reactor is stuck, and then the end is insisted on.
        """
        self.signals.heard(TERM)
        self.assertEqual([], self.insisted)
        self.reactor.advance(1)
        self.signals.heard(TERM)

        self.assertEqual([(3.0, 143)], self.insisted)

    def test_name(self) -> None:
        """
        Its name says nothing of what hangs on it: Python formats signal handlers whenever a child is born.
        """
        self.assertLess(len(repr(self.signals)), 100)

    def test_reload(self) -> None:
        """
        SIGHUP reloads; a reload that raises is logged and stops nothing.
        """
        self.signals.heard(HUP)
        self.reactor.run()
        self.assertEqual(["reload"], self.lifecycle.told)

        def broken() -> None:
            raise ValueError("no")

        self.reload = broken
        self.reactor.advance(1)
        self.signals.heard(HUP)
        self.reactor.run()
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
        self.assertEqual([], self.insisted)
