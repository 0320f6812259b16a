# SPDX-License-Identifier: MIT
"""
Hypothesis under trial: how much to try, and the falsifying example in the report.

Hypothesis tells its falsifying example in the exception's ``__notes__``, which trial does not print, and
trial collects a state machine's own ``TestCase`` as no test at all, which passes. Both would hide a bug::

    class LatticeTests(HypothesisNotes, SynchronousTestCase):
        @given(requests())
        def test_last_wins(self, wanted: Request) -> None: ...

        def test_any_order(self) -> None:
            run_state_machine(LatticeMachine)
"""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from unittest import TestCase

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from twisted.trial.unittest import FailTest

PROFILE_VARIABLE = "POWERCOORD_HYPOTHESIS"

# A machine shared with others is slow at times; no clock of ours is real, so that says nothing about the
# code. One bug at a time, because several come as an ExceptionGroup whose members trial does not print.
_ALWAYS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], report_multiple_bugs=False)

settings.register_profile(
    "default", _ALWAYS, max_examples=100, stateful_step_count=30, derandomize=True, database=None
)
settings.register_profile("long", _ALWAYS, max_examples=2_000, stateful_step_count=100, print_blob=True)


class Falsified(FailTest):
    """
    A property does not hold; the text ends with the example that shows it.
    """


class HypothesisNotes(TestCase):
    """
    Mixed into a test case ahead of trial's class: failures tell what Hypothesis noted.
    """

    def __init__(self, methodName: str = "runTest") -> None:  # noqa: N803 - unittest's name
        """
        Put the telling of notes around the one test method that this instance runs.
        """
        super().__init__(methodName)
        test = getattr(self, methodName, None)
        if test is not None:
            setattr(self, methodName, _tell_notes(test))


def _tell_notes(test: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(test)
    def telling() -> Any:
        try:
            return test()
        except Exception as error:
            notes = getattr(error, "__notes__", ())
            if not notes:
                raise
            text = "\n".join([f"{type(error).__name__}: {error}", *notes])
            raise Falsified(text).with_traceback(error.__traceback__) from error

    return telling


def run_state_machine(machine: type[RuleBasedStateMachine], chosen: settings | None = None) -> None:
    """
    Run a stateful test inside a test method, with the profile's settings unless others are given.
    """
    run_state_machine_as_test(machine, settings=chosen or settings())


def load_profile(environment: Mapping[str, str] = os.environ) -> None:
    """
    Choose the profile the environment names: ``default`` is quick and always the same, ``long`` searches.
    """
    settings.load_profile(environment.get(PROFILE_VARIABLE, "default"))
