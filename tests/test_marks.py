# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.marks`.
"""

from __future__ import annotations

from enum import Enum
from pathlib import PurePosixPath
from typing import Any

from attrs import evolve, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from powercoord.marks import KEY_BYTES, mark
from powercoord.model import Target
from powercoord.settings import SecretText, setting

KEY = b"k" * KEY_BYTES


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Settings:
    """
    One value of each kind that a setting may have.
    """

    address: str = setting("Address")
    password: str = setting("Password", default="", secret=True)
    colour: Colour = Colour.RED
    table: dict[str, Any] = field(factory=dict)
    suites: tuple[int, ...] = ()
    some: frozenset[str] = frozenset()
    path: PurePosixPath | None = None
    seconds: float = 1.0
    raw: bytes = b""


SETTINGS = Settings(address="10.0.0.1", password="secret")
OTHERS = [
    {"address": "10.0.0.2"},
    {"password": "secret2"},
    {"colour": Colour.BLUE},
    {"table": {"password": SecretText("one")}},
    {"table": {"password": SecretText("two")}},
    {"suites": (3, 17)},
    {"suites": (17, 3)},
    {"some": frozenset(["a", "b"])},
    {"path": PurePosixPath("/a")},
    {"seconds": 2.0},
    {"raw": b"x"},
]


def target(settings: object) -> Target:
    return Target("fake", "bmc", "n1", settings)


class MarkTests(SynchronousTestCase):
    def test_tells(self) -> None:
        """
        Each other value of any setting has another mark, and equal ones have the same.
        """
        values = [SETTINGS, *(evolve(SETTINGS, **other) for other in OTHERS)]
        marks = [mark(KEY, target(each)) for each in values]

        self.assertEqual(len(values), len(set(marks)))
        self.assertEqual(marks, [mark(KEY, target(evolve(each))) for each in values])

    def test_place(self) -> None:
        """
        Where it is reached, and by which driver, is part of it.
        """
        others = [evolve(target(SETTINGS), **{name: "other"}) for name in ("driver", "endpoint", "selector")]

        self.assertEqual(4, len({mark(KEY, each) for each in [target(SETTINGS), *others]}))

    def test_says_little(self) -> None:
        """
        A mark is short, another key makes another, and without a key there is none.
        """
        made = mark(KEY, target(SETTINGS))

        self.assertRegex(made, r"^[0-9a-f]{6}$")
        self.assertNotEqual(made, mark(b"l" * KEY_BYTES, target(SETTINGS)))
        self.assertEqual("", mark(b"", target(SETTINGS)))

    def test_defaults(self) -> None:
        """
        A setting that a new version has, and nobody has set, changes nothing.
        """

        @frozen
        class Before:
            address: str = "a"
            fan: str = "b"

        @frozen
        class After:
            address: str = "a"
            fan: str = "b"
            new: str = ""
            table: dict[str, str] = field(factory=dict)

        self.assertEqual(mark(KEY, target(Before("x"))), mark(KEY, target(After("x"))))

    def test_no_plain_form(self) -> None:
        """
        Where a value could look the same and not be, there is no mark.
        """
        self.assertEqual("", mark(KEY, target(evolve(SETTINGS, table={"a": object()}))))
