# SPDX-License-Identifier: MIT
"""
Starting ten thousand actions without keeping an off waiting.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Verb
from powercoord.registry.action import PowerAction
from powercoord.registry.lattice import Wish
from powercoord.registry.launcher import Launcher
from powercoord.registry.verbs import ACTIONS
from tests.registry.world import World

TURN = 1e-6


class TurningClock(Clock):
    """
    A clock on which what is scheduled for "now" comes in the next turn, as a reactor has it.
    """

    def callLater(self, when: float, *args: Any, **kwargs: Any) -> DelayedCall:
        """
        Never within this turn.
        """
        return super().callLater(max(when, TURN), *args, **kwargs)

    def turn(self) -> None:
        """
        One turn of the reactor.
        """
        self.advance(TURN)


class LauncherTests(SynchronousTestCase):
    """
    `Launcher`.
    """

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.started: list[PowerAction] = []
        self.launcher = Launcher(self.clock, self.started.append)
        self.world = World(count=1)

    def action(self, verb: Verb) -> PowerAction:
        surroundings = self.world.registry._world  # noqa: SLF001 - what all actions share
        node = self.world.node("n1")
        return ACTIONS[verb](id="a", node=node, wish=Wish(verb), world=surroundings, since=datetime.now(UTC))

    def test_off_first(self) -> None:
        """
        An off starts in the next turn, however many others wait, and a turn starts only so many.
        """
        ons = [self.action(Verb.ON) for _ in range(10_000)]
        for action in ons:
            self.launcher.add(action)
        self.clock.turn()
        self.assertLess(len(self.started), 100)
        before = len(self.started)
        off = self.action(Verb.OFF)
        self.launcher.add(off)

        self.clock.turn()

        self.assertIs(off, self.started[before])
        while self.clock.getDelayedCalls():
            self.clock.turn()
        self.started.remove(off)
        self.assertEqual(ons, self.started)

    def test_hastened(self) -> None:
        """
        What was cancelled before it started is started, and so ended, before all others: an off waits for it.
        """
        ons = [self.action(Verb.ON) for _ in range(1000)]
        for action in ons:
            self.launcher.add(action)

        self.launcher.hasten(ons[700])
        self.launcher.hasten(ons[700])
        self.clock.turn()

        self.assertEqual([ons[700], ons[0], ons[1]], self.started[:3])
        self.launcher.hasten(ons[0])
        while self.clock.getDelayedCalls():
            self.clock.turn()
        self.assertEqual(1000, len(set(self.started)))
        self.assertEqual(1000, len(self.started))

    def test_through_the_registry(self) -> None:
        """
        The off of a node whose on waits to be launched behind a thousand others is at its BMC first.
        """
        clock = TurningClock()
        world = World(count=1000, clock=clock)
        for name in world.names():
            world.want(Verb.ON, name)
        world.want(Verb.OFF, "n900")

        for _ in range(3):
            clock.turn()

        self.assertEqual(1, world.machine("n900").reads)
        self.assertLess(sum(world.machine(name).reads for name in world.names()), 200)
