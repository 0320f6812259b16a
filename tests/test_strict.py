# SPDX-License-Identifier: MIT
"""
Plain data into typed values: nothing is bent, and every mistake has its path.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from powercoord.strict import Count, Moment, Patience, Seconds, Tries, problems, strict_converter

CONVERTER = strict_converter()


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@frozen
class Inner:
    number: int
    flag: bool = False


@frozen
class Outer:
    name: str
    inner: Inner = Inner(1)
    words: tuple[str, ...] = ()
    colours: frozenset[Colour] = frozenset()
    maybe: str | None = None
    ratio: float = field(default=0.0)


def found(value: Any, kind: Any = Outer) -> dict[str, str]:
    try:
        CONVERTER.structure(value, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever a hook raised
        return {".".join(map(str, problem.path)): problem.text for problem in problems(error)}
    return {}


class GoodTests(SynchronousTestCase):
    def test_values(self) -> None:
        """
        What is written as it should be becomes the typed value.
        """
        value = {
            "name": "n",
            "inner": {"number": 2, "flag": True},
            "words": ["a"],
            "colours": ["red"],
            "maybe": "x",
            "ratio": 2,
        }

        expected = Outer("n", Inner(2, True), ("a",), frozenset({Colour.RED}), "x", 2.0)
        self.assertEqual(expected, CONVERTER.structure(value, Outer))

    def test_times_and_counts(self) -> None:
        """
        Times take numbers or words, and each kind of number its own bounds.
        """
        cases: list[tuple[Any, Any, Any]] = [
            (Seconds, 0, 0.0),
            (Moment, "2m", 120.0),
            (Patience, "infinity", float("inf")),
            (Count, 1, 1),
            (Tries, 0, 0),
            (float, "250ms", 0.25),
        ]

        self.assertEqual([want for _, _, want in cases], [CONVERTER.structure(v, k) for k, v, _ in cases])


class BadTests(SynchronousTestCase):
    def test_nothing_is_bent(self) -> None:
        """
        A value of another kind is refused, also where Python would convert it.
        """
        value = {
            "name": 1,
            "inner": {"number": "2", "flag": 1},
            "words": "abc",
            "colours": ["red", "gren", 3],
            "maybe": False,
            "ratio": True,
        }

        self.assertEqual(
            {
                "name": "expected a string, got an integer",
                "inner.number": "expected an integer, got a string",
                "inner.flag": "expected true or false, got an integer",
                "words": "expected an array, got a string",
                "colours.1": "did you mean 'green'?",
                "colours.2": "expected one of: red, green",
                "maybe": "expected a string, got a boolean",
                "ratio": "expected a number, got a boolean",
            },
            found(value),
        )

    def test_keys(self) -> None:
        """
        Unknown keys are told with the nearest known one, missing ones by name.
        """
        self.assertEqual(
            {
                "name": "missing",
                "inner.number": "missing",
                "nmae": "unknown key; did you mean 'name'?",
                "xyz": "unknown key; known: name, inner, words, colours, maybe, ratio",
            },
            found({"nmae": "n", "xyz": 1, "inner": {}}),
        )

    def test_tables(self) -> None:
        """
        What is no table is said to be what it is.
        """
        kinds: list[tuple[Any, str]] = [
            (1, "an integer"),
            (1.5, "a float"),
            ("x", "a string"),
            (True, "a boolean"),
        ]

        for value, word in [*kinds, (None, "nothing")]:
            self.assertEqual({"": f"expected a table, got {word}"}, found(value))
        self.assertEqual({"": "expected a table, got an array"}, found([]))

    def test_bounds(self) -> None:
        """
        Numbers out of bounds are refused with the bound.
        """
        cases: list[tuple[Any, Any, str]] = [
            (Count, 0, "must be at least 1, got 0"),
            (Tries, -1, "must be at least 0, got -1"),
            (Moment, 0, "must be above zero"),
            (Count, True, "expected an integer, got a boolean"),
        ]
        for kind, value, text in cases:
            self.assertEqual({"": text}, found(value, kind))
