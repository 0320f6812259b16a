# SPDX-License-Identifier: MIT
"""
How much of a fleet is spoken to at once.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.registry.gates import Priority, Slot
from powercoord.registry.window import Window


class WindowTests(SynchronousTestCase):
    """
    `Window`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.window = Window(self.clock, size=2, spare=1, young=0.25)

    def acquire(self, priority: Priority = Priority.QUERY) -> Deferred[Slot]:
        return self.window.acquire(priority)

    def test_no_more_than_its_size(self) -> None:
        """
        Who is too many waits until one before it is over.
        """
        first, _, third = self.acquire(), self.acquire(), self.acquire()
        self.assertNoResult(third)
        self.successResultOf(first).release()
        self.successResultOf(third)

    def test_offs_have_room_of_their_own(self) -> None:
        """
        An off goes in where a read would wait, and is the first where it has to wait too.
        """
        first, _ = self.acquire(), self.acquire()
        self.successResultOf(self.acquire(Priority.OFF))
        read, off = self.acquire(), self.acquire(Priority.OFF)
        self.successResultOf(first).release()
        self.successResultOf(off)
        self.assertNoResult(read)

    def test_the_dead_do_not_hold_it(self) -> None:
        """
        An operation without an answer stops counting after a while.
        """
        self.acquire()
        self.acquire()
        third = self.acquire()
        self.clock.advance(0.2)
        self.assertNoResult(third)
        self.clock.advance(0.1)
        self.successResultOf(third)

    def test_releasing_late_frees_nothing_twice(self) -> None:
        """
        The end of an operation that did not count any more lets nobody in.
        """
        old = self.successResultOf(self.acquire())
        self.clock.advance(0.3)
        self.acquire()
        self.acquire()
        self.acquire()
        waiting = self.acquire()
        old.release()
        self.assertNoResult(waiting)

    def test_leaving_the_queue(self) -> None:
        """
        Who is cancelled while waiting takes no place, and leaves no timer behind.
        """
        first, second, third = self.acquire(), self.acquire(), self.acquire()
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.successResultOf(first).release()
        self.successResultOf(second).release()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_ten_thousand(self) -> None:
        """
        Slots that are released as they are granted do not pile up on the stack.
        """
        first, second = self.acquire(), self.acquire()
        through = [self.acquire().addCallback(lambda slot: slot.release()) for _ in range(10_000)]
        self.successResultOf(first).release()
        self.successResultOf(second)
        self.assertTrue(all(each.called for each in through))

    def test_stopped(self) -> None:
        """
        A stop leaves no timer.
        """
        for _ in range(3):
            self.acquire()
        self.window.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
