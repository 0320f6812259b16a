# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.driver_list` and `powercoord.kinds`: what a driver's declarations become.
"""

# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

from enum import Enum

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.driver_list import DriverDesk, driver_form
from powercoord.api.extensions import ListDrivers
from powercoord.drivers.ipmi.settings import IpmiSettings
from powercoord.kinds import in_context, kind_of, written
from powercoord.settings import Scope, describe, setting
from powercoord.strict import Count, Moment, Seconds
from tests.ipmi_world import World


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Settings:
    """
    One of each kind.
    """

    text: str = setting("Text")
    several: tuple[str, ...] = setting("Several", default=("a", "b"))
    count: Count = setting("Count", default=Count(3))
    share: float = setting("Share", default=0.5)
    yes: bool = setting("Yes", default=True)
    wait: Seconds = setting("Wait", default=Seconds(90.0))
    perhaps: Moment | None = setting("Perhaps", default=None)
    colour: Colour = setting("Colour", default=Colour.RED, scope=Scope.NODE)
    colours: frozenset[Colour] = setting("Colours", default=frozenset({Colour.BLUE}))


#: Kind, as written in the configuration, as written in a context.
EXPECTED = {
    "text": ("string", None, ""),
    "several": ("list", ["a", "b"], "a b"),
    "count": ("number", 3, "3"),
    "share": ("number", 0.5, "0.5"),
    "yes": ("boolean", True, "true"),
    "wait": ("duration", "90s", "90s"),
    "perhaps": ("duration", None, ""),
    "colour": ("choice", "red", "red"),
    "colours": ("choices", ["blue"], "blue"),
}


class KindTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """
        Each type has a word, and each default is told as it would be written.
        """
        for each in describe(Settings):
            kind = kind_of(each)
            told = kind, written(each.default, kind), in_context(each.default, kind)
            self.assertEqual(EXPECTED[each.name], told, each.name)


class ListTests(SynchronousTestCase):
    def test_ipmi(self) -> None:
        """
        A driver is told with where it is from, what it can do, and every setting under both its names.
        """
        form = driver_form(World().driver, "powercoord 1")
        settings = {each["name"]: each for each in form["settings"]}

        self.assertEqual(("ipmi", "IPMI", "powercoord 1"), (form["name"], form["title"], form["from"]))
        self.assertEqual([each.name for each in describe(IpmiSettings)], list(settings))
        self.assertEqual("power_driver", settings["allow_ipmi15"]["context"])
        self.assertEqual(("duration", "5s", None), tuple(settings["timeout"][it] for it in _THREE))
        self.assertEqual(("string", None, True), tuple(settings["password"][it] for it in _PASSWORD))

    def test_broken(self) -> None:
        """
        Those that do not work are told apart, with the reason.
        """
        desk = DriverDesk({}, {"odd": "no module", "bad": "no class"}, {})
        answer = desk.responders()[ListDrivers]()

        self.assertEqual([], answer["drivers"])
        self.assertEqual(["bad", "odd"], [each["name"] for each in answer["broken"]])


_THREE, _PASSWORD = ("type", "default", "context"), ("type", "default", "secret")
