# SPDX-License-Identifier: MIT
"""
What makes work by itself runs once or not at all.
"""

from __future__ import annotations

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.makers import WorkMakers


@define(eq=False)
class Ticker:
    """
    Counts how often it runs.
    """

    events: list[str]
    name: str
    broken: bool = False
    running: int = field(default=0, init=False)

    def start(self) -> None:
        """
        Run once more.
        """
        self._note("start")
        self.running += 1

    def stop(self) -> None:
        """
        Run once less.
        """
        self._note("stop")
        self.running -= 1

    def _note(self, event: str) -> None:
        self.events.append(f"{event} {self.name}")
        if self.broken:
            raise ValueError(event)


class WorkMakersTests(SynchronousTestCase):
    """
    `WorkMakers`.
    """

    def setUp(self) -> None:
        self.events: list[str] = []
        self.makers = WorkMakers()
        self.first, self.second = self.add("first"), self.add("second")

    def add(self, name: str) -> Ticker:
        """
        One more.
        """
        ticker = Ticker(self.events, name)
        self.makers.add(name, ticker.start, ticker.stop)
        return ticker

    def test_order(self) -> None:
        """
        They start in the order in which they were added, and stop in the reverse order.
        """
        self.makers.start()
        self.makers.stop()

        self.assertEqual(["start first", "start second", "stop second", "stop first"], self.events)

    def test_once(self) -> None:
        """
        Starting what runs, and stopping what does not, changes nothing.
        """
        for call in (
            self.makers.stop,
            self.makers.start,
            self.makers.start,
            self.makers.stop,
            self.makers.stop,
        ):
            call()
            self.assertIn(self.first.running, (0, 1))

        self.assertEqual(4, len(self.events))

    def test_added_while_running(self) -> None:
        """
        One that is added while the others run is started at once, and only then.
        """
        self.makers.start()
        third = self.add("third")
        self.makers.stop()
        fourth = self.add("fourth")

        self.assertEqual(["start third", "stop third"], [event for event in self.events if "third" in event])
        self.assertEqual((0, 0), (third.running, fourth.running))

    def test_ended(self) -> None:
        """
        After the end none can be started, nor added as running.
        """
        self.makers.start()
        self.makers.end()
        self.makers.start()
        third = self.add("third")

        self.assertEqual((0, 0, 0), (self.first.running, self.second.running, third.running))
        self.assertEqual((), self.makers.running)

    def test_one_that_fails(self) -> None:
        """
        One that cannot be stopped keeps no other from its turn, and is tried again.
        """
        self.makers.start()
        self.second.broken = True
        self.makers.stop()
        self.assertEqual(("second",), self.makers.running)
        self.assertEqual(0, self.first.running)

        self.second.broken = False
        self.makers.end()
        self.assertEqual((), self.makers.running)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
