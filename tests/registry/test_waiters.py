# SPDX-License-Identifier: MIT
"""
Those who wait for an answer, and what they may do on hearing it.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Done, How, PowerState, Request, Unknown, Verb
from powercoord.registry.audience import Audience
from powercoord.registry.waiters import Waiter

DONE = Done(How.COMMANDED, PowerState.ON)


class AudienceTests(SynchronousTestCase):
    """
    `Audience`.
    """

    def test_told_once(self) -> None:
        """
        Everybody who waits hears the value, once, in the order they came.
        """
        audience: Audience[str] = Audience()
        heard: list[str] = []
        for name in "abc":
            audience.join().addCallback(lambda value, name=name: heard.append(name + value))

        audience.tell("1")
        audience.tell("2")

        self.assertEqual(["a1", "b1", "c1"], heard)
        self.assertFalse(audience)

    def test_leaving(self) -> None:
        """
        Who leaves hears of it, and nobody else does.
        """
        audience: Audience[str] = Audience()
        leaving, staying = audience.join(), audience.join()

        leaving.cancel()
        audience.tell("1")

        self.failureResultOf(leaving, CancelledError)
        self.assertEqual("1", self.successResultOf(staying))

    def test_made_to_leave_while_told(self) -> None:
        """
        Who is told may make others leave; that is no error, and the rest is told.
        """
        audience: Audience[str] = Audience()
        first, second, third = audience.join(), audience.join(), audience.join()
        first.addCallback(lambda _: second.cancel())
        third.addCallback(lambda value: (first.cancel(), value)[1])

        audience.tell("1")

        self.failureResultOf(second, CancelledError)
        self.assertEqual("1", self.successResultOf(third))

    def test_failing(self) -> None:
        """
        Each who waits fails with an error of his own, and may make others leave before it is their turn.
        """
        audience: Audience[str] = Audience()
        first, second, third = audience.join(), audience.join(), audience.join()
        first.addErrback(lambda failure: (second.cancel(), failure)[1])

        audience.fail(lambda: ValueError("no"))

        self.failureResultOf(second, CancelledError)
        errors = [self.failureResultOf(each, ValueError).value for each in (first, third)]
        self.assertIsNot(*errors)
        self.assertFalse(audience)

    def test_joining_while_told(self) -> None:
        """
        Who joins on being told waits for the next value.
        """
        audience: Audience[str] = Audience()
        again = audience.join().addCallback(lambda _: audience.join())

        audience.tell("1")
        self.assertNoResult(again)
        audience.tell("2")

        self.assertEqual("2", self.successResultOf(again))


class WaiterTests(SynchronousTestCase):
    """
    `Waiter`.
    """

    def setUp(self) -> None:
        self.told: list[Waiter] = []
        request = Request(node="n1", verb=Verb.ON, request_id="r1")
        self.waiter = Waiter(request, 0.0, "a1", self.told.append)

    def test_settled_is_not_told(self) -> None:
        """
        An answer that is decided and not durable yet is told to nobody, not even to those who ask then.
        """
        before = self.waiter.wait()
        self.waiter.settle(DONE)
        between = self.waiter.wait()
        self.assertNoResult(before)
        self.assertNoResult(between)
        self.assertEqual([], self.told)

        self.waiter.tell()

        self.assertEqual([DONE] * 3, [self.successResultOf(d) for d in (before, between, self.waiter.wait())])
        self.assertEqual([self.waiter], self.told)

    def test_answered_twice(self) -> None:
        """
        A second answer is a fault, and changes nothing.
        """
        self.waiter.settle(DONE)

        self.assertRaises(AssertionError, self.waiter.settle, Unknown("something else"))
        self.assertEqual(DONE, self.waiter.outcome)

    def test_taken_back(self) -> None:
        """
        An answer that did not become durable is taken back, unless it was told.
        """
        self.waiter.settle(Unknown("not durable"))
        self.waiter.unsettle()
        self.waiter.settle(DONE)
        self.waiter.tell()

        self.assertEqual(DONE, self.successResultOf(self.waiter.wait()))
        self.assertRaises(AssertionError, self.waiter.unsettle)

    def test_no_answer(self) -> None:
        """
        There is nothing to tell before there is an answer.
        """
        self.assertRaises(AssertionError, self.waiter.tell)
