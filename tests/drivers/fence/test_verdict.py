# SPDX-License-Identifier: MIT
"""
What agents end with, and the errors that it becomes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.children import Ended, hide
from powercoord.drivers.fence.verdict import Trouble, error_of, state_of, trouble_of
from powercoord.errors import (
    PowerActionError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
    PowerUnsupportedError,
)
from powercoord.model import PowerState

LOG = "2026-11-21 10:00:00,123 {}: {}\n\n"


def failed(text: str, level: str = "ERROR") -> Ended:
    return Ended(code=1, stderr=LOG.format(level, text).encode())


class StateTests(SynchronousTestCase):
    def test_codes(self) -> None:
        """
        0 is on and 2 is off; all else, and what the agent's own words contradict, is no state.
        """
        for code, said, state in (
            (0, b"Status: ON\n", PowerState.ON),
            (0, b"", PowerState.ON),
            (2, b"Status: OFF\n", PowerState.OFF),
            (0, b"Status: OFF\n", None),
            (2, b"Status: ON\n", None),
            (1, b"Status: ON\n", None),
            (None, b"", None),
        ):
            self.assertIs(state, state_of(Ended(code=code, stdout=said)), (code, said))


class ErrorTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """
        The texts of agents become the errors that tell a caller what to do; unknown ones may have had effect.
        """
        cases: list[tuple[str, type[PowerError], bool]] = [
            ("Connection timed out", PowerConnError, True),
            ("Connection lost", PowerConnError, True),
            ("Failed: Unable to obtain correct plug status or plug is not available", PowerActionError, True),
            ("Failed: The user does not have the correct privileges to do it", PowerRefusedError, False),
            ("Failed: You have to set login password", PowerSettingError, False),
            ("Ipmitool not found or not accessible", PowerToolError, False),
            ("Failed: Unrecognised action 'on'", PowerUnsupportedError, False),
            ("Something new", PowerActionError, True),
        ]
        for text, kind, sent in cases:
            error = error_of("fence_x a", failed(text), (), changes=True)
            self.assertIs(kind, type(error), text)
            self.assertEqual(sent, error.sent, text)
            self.assertEqual(f"fence_x a: {text} (exit status 1)", str(error))
            self.assertFalse(error_of("x", failed(text), (), changes=False).sent)

    def test_login(self) -> None:
        """
        A refused login and a failed way there have one text; "not yet" is told apart from failures.
        """
        self.assertIs(Trouble.LOGIN, trouble_of(failed("Unable to connect/login to fencing device")))
        self.assertIs(Trouble.NOT_YET, trouble_of(failed("Failed: Timed out waiting to power OFF")))
        self.assertIsNone(trouble_of(failed("Something new")))

    def test_clutter(self) -> None:
        """
        Of many lines the errors are told, in one; where there are none, the last.
        """
        stderr = b"x.py:5: DeprecationWarning: 'pipes'\n  from pipes import quote\n" + b"".join(
            LOG.format(*words).encode() for words in (("WARNING", "w"), ("ERROR", "one"), ("ERROR", "two"))
        )
        self.assertEqual("x: one; two (exit status 1)", str(_error(stderr)))
        self.assertEqual(
            "x: KeyError: 'a' (exit status 1)", str(_error(b"Traceback (most):\n  File x\nKeyError: 'a'\n"))
        )
        self.assertEqual("x: exit status 1, and no reason given", str(_error(b"")))
        self.assertLess(len(str(_error(b"y" * 9000))), 400)

    def test_secrets(self) -> None:
        """
        No secret of an agent's text is repeated; a short one is hidden where it stands alone.
        """
        error = error_of(
            "x", failed("login admin/hunter2 hunter2long"), ("hunter2", "hunter2long"), changes=False
        )
        self.assertNotIn("hunter2", str(error))
        self.assertEqual("a … cab", hide("a b cab", ["b"]))
        self.assertEqual("a", hide("a", [""]))


def _error(stderr: bytes) -> PowerError:
    return error_of("x", Ended(code=1, stderr=stderr), (), changes=False)
