# SPDX-License-Identifier: MIT
"""
Times as people write them.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.duration import format_duration, parse_duration
from tests.hypothesis_notes import HypothesisNotes


class ParsingTests(SynchronousTestCase):
    def test_good(self) -> None:
        """
        Numbers are seconds, units are added up.
        """
        cases = {
            "90": 90.0,
            "90s": 90.0,
            "1.5s": 1.5,
            "250ms": 0.25,
            "5m": 300.0,
            "1h30m": 5400.0,
            "2d": 172_800.0,
            "0": 0.0,
        }

        self.assertEqual(cases, {text: parse_duration(text) for text in cases})
        self.assertEqual([7.0, 0.5], [parse_duration(7), parse_duration(0.5)])

    def test_bad(self) -> None:
        """
        All else is refused in one line.
        """
        right = 'write "90s", "5m", "1h30m" or a number of seconds'
        cases: dict[object, str] = {
            "": f'"" is no time; {right}',
            "5 m": f'"5 m" is no time; {right}',
            "m": f'"m" is no time; {right}',
            "-5s": f'"-5s" is no time; {right}',
            -1: f"-1 is no time; {right}",
            True: f"True is no time; {right}",
            float("nan"): f"nan is no time; {right}",
            float("inf"): f"inf is no time; {right}",
            "x" * 99: f'"{"x" * 36}... is no time; {right}',
            "31d": '"31d" is longer than thirty days',
        }

        for value, text in cases.items():
            self.assertEqual(text, str(self.assertRaises(ValueError, parse_duration, value)))


class FormattingTests(HypothesisNotes, SynchronousTestCase):
    def test_words(self) -> None:
        """
        A time has the largest unit in which it is a whole number.
        """
        cases = {
            0.0: "0s",
            0.25: "0.25s",
            90.0: "90s",
            120.0: "2m",
            7200.0: "2h",
            172_800.0: "2d",
            float("inf"): "infinity",
        }

        self.assertEqual(cases, {seconds: format_duration(seconds) for seconds in cases})

    @given(st.integers(0, 2_500_000))
    def test_round_trip(self, seconds: int) -> None:
        """
        What was written is read as the same time.
        """
        self.assertEqual(seconds, parse_duration(format_duration(seconds)))
