# SPDX-License-Identifier: MIT
"""
One driver call: how it ends, however the driver behaves.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import OperationCancelled, PowerActionError, PowerConnError, PowerRefusedError
from powercoord.registry.operation import Operation


class OperationTests(SynchronousTestCase):
    """
    `Operation`, with five seconds and two more of grace.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.operation: Operation[str] = Operation(self.clock, "n1 read", 5.0, 2.0)
        self.answer: Deferred[str] = Deferred()
        self.was_torn_down = False

    async def driver(self) -> str:
        """
        A driver that waits for its answer.
        """
        try:
            return await self.answer
        except CancelledError:
            self.was_torn_down = True
            raise

    async def sender(self) -> str:
        """
        The same, after something has left.
        """
        self.operation.sending()
        return await self.driver()

    def raising(self, error: Exception) -> PowerConnError | PowerActionError:
        """
        What is heard of a driver that raises.
        """
        failed = self.operation.run(self.sender())
        self.answer.errback(error)
        self.assertEqual([], self.clock.getDelayedCalls())
        heard = self.failureResultOf(failed).value
        assert isinstance(heard, PowerConnError | PowerActionError)
        return heard

    def test_answer(self) -> None:
        """
        The driver's result is passed on, and no timer is left.
        """
        result = self.operation.run(self.driver())
        self.answer.callback("on")

        self.assertEqual("on", self.successResultOf(result))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_overrun(self) -> None:
        """
        A driver that overruns its deadline and the grace is torn down, and the caller goes on.
        """
        result = self.operation.run(self.sender())
        self.clock.advance(6.9)
        self.assertNoResult(result)
        self.clock.advance(0.2)

        self.assertTrue(self.failureResultOf(result, PowerConnError).value.sent)
        self.assertTrue(self.was_torn_down)

    def test_torn_down(self) -> None:
        """
        Torn down, it ends there and then, and tells whether anything had left.
        """
        result = self.operation.run(self.sender())
        self.operation.tear_down()
        self.operation.tear_down()

        self.assertTrue(self.failureResultOf(result, OperationCancelled).value.sent)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_late_result(self) -> None:
        """
        What a driver still says after it was torn down is dropped, an answer as well as an error.
        """
        for say in (lambda late: late.callback("on"), lambda late: late.errback(ZeroDivisionError())):
            late: Deferred[str] = Deferred()
            operation: Operation[str] = Operation(self.clock, "n1 read", 5.0, 2.0)
            result = operation.run(stubborn(late))
            operation.tear_down()
            self.failureResultOf(result, OperationCancelled)
            say(late)
        self.assertEqual([], self.flushLoggedErrors())

    def test_polite_stop(self) -> None:
        """
        A polite stop tells the driver once; one that registers afterwards is told at once.
        """
        told: list[str] = []
        self.operation.when_cancelled(lambda: told.append("before"))
        self.operation.run(self.driver())

        self.operation.stop()
        self.operation.stop()
        self.operation.when_cancelled(lambda: told.append("after"))

        self.assertEqual(["before", "after"], told)
        self.assertTrue(self.operation.cancelled)

    def test_stopped(self) -> None:
        """
        A driver that stopped when asked says so, and whether anything had left.
        """
        result = self.operation.run(self.sender())
        self.operation.stop()
        self.answer.errback(OperationCancelled())

        self.assertTrue(self.failureResultOf(result, OperationCancelled).value.sent)

    def test_stopped_unasked(self) -> None:
        """
        A driver that stops although nobody asked has failed; nobody was cancelled.
        """
        self.assertTrue(self.raising(OperationCancelled()).sent)

    def test_lost_answer(self) -> None:
        """
        After a request has left, no answer means that it may have arrived, whatever the driver says.
        """
        self.assertTrue(self.raising(PowerConnError("no answer", sent=False)).sent)

    def test_refusal(self) -> None:
        """
        A BMC that answers "no" or "not now" has answered: nothing is unknown.
        """
        self.assertFalse(self.raising(PowerActionError("busy")).sent)

    def test_refused(self) -> None:
        """
        The driver's own errors are passed on as they are.
        """
        error = PowerRefusedError("power fault (0xD5)")
        failed = self.operation.run(self.driver())
        self.answer.errback(error)

        self.assertIs(error, self.failureResultOf(failed).value)

    def test_driver_fault(self) -> None:
        """
        What no driver may raise is logged in full, and fails this operation only.
        """
        for error in (ZeroDivisionError("x"), CancelledError()):
            self.setUp()
            heard = self.raising(error)
            self.assertEqual(f"n1 read: fault in the driver ({type(error).__name__})", str(heard))
            self.assertEqual(1, len(self.flushLoggedErrors(type(error))))

    def test_callback_fault(self) -> None:
        """
        A driver that raises on being told to stop is told, logged, and stopped no less.
        """
        told: list[str] = []
        self.operation.when_cancelled(fault)
        self.operation.when_cancelled(lambda: told.append("second"))

        self.operation.stop()

        self.assertEqual(["second"], told)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_canceller_fault(self) -> None:
        """
        A driver that raises on being torn down is torn down no less.
        """
        self.answer = Deferred(lambda _: fault())
        result = self.operation.run(self.driver())

        self.operation.tear_down()

        self.failureResultOf(result, OperationCancelled)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_answers_at_once(self) -> None:
        """
        A driver that needs no time leaves no timer.
        """
        self.answer.callback("off")

        self.assertEqual("off", self.successResultOf(self.operation.run(self.driver())))
        self.assertEqual([], self.clock.getDelayedCalls())


async def stubborn(late: Deferred[str]) -> str:
    """
    A driver that goes on after it was torn down.
    """
    try:
        await Deferred()
    except CancelledError:
        return await late
    return ""


fault: Callable[[], None] = lambda: 1 // 0 and None  # noqa: E731 - it raises, and that is all
