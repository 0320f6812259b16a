# SPDX-License-Identifier: MIT
"""
That a falsified property is reported, with the example that falsifies it.
"""

from unittest import TestResult

from hypothesis import given, strategies
from hypothesis.errors import InvalidArgument
from hypothesis.stateful import RuleBasedStateMachine, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.hypothesis_notes import HypothesisNotes, load_profile, run_state_machine


class Counter(RuleBasedStateMachine):
    """
    A machine whose invariant breaks at the third step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    @rule()
    def step(self) -> None:
        """
        Take one step.
        """
        self.steps += 1
        assert self.steps < 3


class Examples(HypothesisNotes, SynchronousTestCase):
    """
    What an author of a test might write. The names keep trial from collecting them.
    """

    @given(strategies.integers())
    def falsified(self, number: int) -> None:
        """
        No number is above 56, which is wrong.
        """
        self.assertLess(number, 57)

    def wrong_order(self) -> None:
        """
        A counter takes any number of steps, which is wrong.
        """
        run_state_machine(Counter)

    def plain(self) -> None:
        """
        Fails with no help of Hypothesis.
        """
        raise ValueError("no notes here")

    def holds(self) -> None:
        """
        Passes.
        """


def outcome_of(name: str) -> TestResult:
    result = TestResult()
    Examples(name).run(result)
    return result


class HypothesisNotesTests(SynchronousTestCase):
    def test_example(self) -> None:
        """
        The report of a falsified property has the smallest example that falsifies it.
        """
        [(_, text)] = outcome_of("falsified").failures

        self.assertIn("number=57", text)

    def test_state_machine(self) -> None:
        """
        The report of a state machine that broke has the steps that led there.
        """
        [(_, text)] = outcome_of("wrong_order").failures

        self.assertEqual(3, text.rpartition("Falsified")[2].count("state.step()"))

    def test_other_errors(self) -> None:
        """
        An error without notes is reported as itself.
        """
        [(_, text)] = outcome_of("plain").errors

        self.assertIn("ValueError: no notes here", text)
        self.assertNotIn("Falsified", text)

    def test_success(self) -> None:
        """
        A test that passes is counted as one test that passed.
        """
        result = outcome_of("holds")

        self.assertEqual((1, True), (result.testsRun, result.wasSuccessful()))

    def test_unknown_profile(self) -> None:
        """
        A profile that does not exist is an error, not a quiet run with the defaults.
        """
        self.assertRaises(InvalidArgument, load_profile, {"POWERCOORD_HYPOTHESIS": "lnog"})
