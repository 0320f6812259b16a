# SPDX-License-Identifier: MIT
"""
Steps, one at a time, each with its limit.
"""

from __future__ import annotations

from math import inf

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.pace import Pace, Step, take_in_order


class TakeInOrderTests(SynchronousTestCase):
    """
    `take_in_order` and `Pace`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.pace = Pace(self.clock)
        self.events: list[str] = []

    def step(self, name: str, seconds: float = 0, limit: float = inf, hurried: float = 0.1) -> Step:
        """
        A step that notes its end.
        """

        async def do() -> None:
            await deferLater(self.clock, seconds)
            self.events.append(f"{name} at {self.clock.seconds():g}")

        return Step(name, do, limit, hurried)

    def broken(self) -> Step:
        """
        A step that raises.
        """

        async def do() -> None:
            raise ValueError("no")

        return Step("break", do)

    def take(self, *steps: Step) -> Deferred[list[str]]:
        """
        Take these steps.
        """
        return Deferred.fromCoroutine(take_in_order(steps, self.pace))

    def turn(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.clock.pump([0, *[0.125] * round(seconds * 8), 0])

    def test_one_at_a_time(self) -> None:
        """
        A step begins when the one before it is over.
        """
        taken = self.take(self.step("a", 2), self.step("b", 1))
        self.turn(4)

        self.assertEqual(["a at 2", "b at 3"], self.events)
        self.assertEqual([], self.successResultOf(taken))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_one_that_fails(self) -> None:
        """
        A step that raises is logged and named, and those after it have their turn.
        """
        taken = self.take(self.broken(), self.step("last"))
        self.turn(0.1)

        self.assertEqual(["break"], self.successResultOf(taken))
        self.assertEqual(["last at 0"], self.events)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_limit(self) -> None:
        """
        A step that takes longer than its limit is given up, and cancelled.
        """
        taken = self.take(self.step("slow", 10, limit=2), self.step("last"))
        self.turn(2)

        self.assertEqual([], self.successResultOf(taken))
        self.assertEqual(["last at 2"], self.events)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_one_that_cannot_be_cancelled(self) -> None:
        """
        A step that goes on when it is cancelled holds nobody up; what it raises later is logged.
        """
        later: Deferred[None] = Deferred()

        async def stubborn() -> None:
            try:
                await Deferred()
            except CancelledError:
                await later
                raise ValueError("late") from None

        taken = self.take(Step("be stubborn", stubborn, limit=1), self.step("last"))
        self.turn(1)
        self.assertEqual(["last at 1"], self.events)
        self.successResultOf(taken)

        later.callback(None)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_no_time(self) -> None:
        """
        A step with a limit of 0 is left out.
        """
        taken = self.take(self.step("nothing", limit=0), self.step("last"))
        self.turn(0.1)

        self.assertEqual(["last at 0"], self.events)
        self.successResultOf(taken)

    def test_in_a_hurry(self) -> None:
        """
        Once somebody is in a hurry, the step under way and all that follow have little time, or none.
        """
        taken = self.take(
            self.step("wait", 60, hurried=0),
            self.step("stay", 5, hurried=0),
            self.step("end", 9, 5, hurried=0.25),
        )
        self.turn(1)
        self.pace.hurry()
        self.turn(0.125)
        self.pace.hurry()
        self.turn(0.125)

        self.successResultOf(taken)
        self.assertEqual([], self.events)
        self.assertEqual(1.25, self.clock.seconds())
        self.assertEqual([], self.clock.getDelayedCalls())
