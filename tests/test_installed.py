# SPDX-License-Identifier: MIT
"""
Drivers are found by their entry points; a bad one is named and harms no other.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from powercoord.installed import GROUP, find_drivers
from tests.paper_driver import PaperDriver

GOOD = "tests.paper_driver:paper"
NOTHING = "it is no IPowerDriver: Does not declaratively implement the interface."


@define
class GroupedSettings:
    """
    Has a setting that every node has as a key.
    """

    groups: str = ""


class GroupedDriver(PaperDriver):
    """
    Asks for it.
    """

    settings: Any = GroupedSettings


class PlainDriver(PaperDriver):
    """
    Its settings are a plain class.
    """

    settings: Any = dict


def grouped(_reactor: Any) -> GroupedDriver:
    return GroupedDriver()


@define
class PuzzlingSettings:
    """
    Has a type that nobody knows.
    """

    address: NoSuchType = ""  # type: ignore[name-defined]  # noqa: F821


class PuzzlingDriver(PaperDriver):
    """
    Cannot be described.
    """

    settings: Any = PuzzlingSettings


def puzzling(_reactor: Any) -> PuzzlingDriver:
    return PuzzlingDriver()


def plain(_reactor: Any) -> PlainDriver:
    return PlainDriver()


def leaving(_reactor: Any) -> PaperDriver:
    raise SystemExit(3)


class Unsure(PaperDriver):
    """
    Cannot say what it needs.
    """

    name = "unsure"

    def missing_tools(self) -> list[str]:
        raise OSError("no\nsuch file")


def unsure(_reactor: Any) -> Unsure:
    return Unsure()


def failing(_reactor: Any) -> PaperDriver:
    raise ZeroDivisionError("oops")


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


class FindingTests(SynchronousTestCase):
    def test_found(self) -> None:
        """
        A driver is made of each entry point, and one that is found twice counts once.
        """
        found = find_drivers(None, [point("paper", GOOD), point("paper", GOOD)])

        self.assertEqual((["paper"], {}), (list(found.drivers), found.broken))

    def test_broken(self) -> None:
        """
        Each one that does not work is named with its reason, and only that one is missing.
        """
        cases = {
            "gone": ("no_such_module:driver", "ModuleNotFoundError: No module named 'no_such_module'"),
            "lost": (
                "tests.paper_driver:lost",
                "AttributeError: module 'tests.paper_driver' has no attribute 'lost'",
            ),
            "failing": ("tests.test_installed:failing", "ZeroDivisionError: oops"),
            "leaving": ("tests.test_installed:leaving", "SystemExit: 3"),
            "unsure": ("tests.test_installed:unsure", "OSError: no such file"),
            "other": (GOOD, "its entry point is 'other', but it calls itself 'paper'"),
            "none": ("builtins:bool", f"{NOTHING} (and 12 more complaints)"),
        }
        points = [point(name, value) for name, (value, _) in cases.items()]

        found = find_drivers(None, [point("paper", GOOD), *points])

        self.assertEqual(["paper"], list(found.drivers))
        self.assertEqual({name: reason for name, (_, reason) in cases.items()}, found.broken)

    def test_unusable_settings(self) -> None:
        """
        Settings must be an attrs class, without the keys that every node has.
        """
        cases = {
            "tests.test_installed:grouped": "its setting 'groups' has the name of a key that every node has",
            "tests.test_installed:plain": "its settings are no attrs class",
            "tests.test_installed:puzzling": "NameError: name 'NoSuchType' is not defined",
        }
        for value, reason in cases.items():
            self.assertEqual({"paper": reason}, find_drivers(None, [point("paper", value)]).broken)

    def test_twice(self) -> None:
        """
        Of two packages with a driver of the same name neither is trusted.
        """
        found = find_drivers(None, [point("paper", GOOD), point("paper", "tests.test_installed:grouped")])

        self.assertEqual({}, found.drivers)
        self.assertIn("uninstall all but one", found.broken["paper"])
