# SPDX-License-Identifier: MIT
"""
What a driver says of itself: its settings, its times, and which node they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from attrs import fields, has
from attrs.exceptions import FrozenInstanceError
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from powercoord.errors import PowerSettingError
from powercoord.interfaces import IPowerDriver
from powercoord.kinds import context_choices, context_default, in_context
from powercoord.model import Command
from powercoord.settings import Described, context_names, describe
from powercoord.testing.conformance.case import ConformanceCase, unknown_abilities


class Declaring(ConformanceCase):
    """
    Without a word to any device.
    """

    async def rule_absences(self) -> None:
        """
        What the test case declares absent are abilities that there are, each with its reason.
        """
        self.assertEqual([], unknown_abilities(type(self)), "these are no abilities of a bench")
        self.assertEqual([], [name for name, reason in self.absent.items() if not reason.strip()])

    async def rule_interface(self) -> None:
        """
        It provides `IPowerDriver`, and its name and title can be shown to people.
        """
        verifyObject(IPowerDriver, self.driver)
        self.assertRegex(self.driver.name, r"\A[a-z][a-z0-9-]*\Z", "a name is small letters, digits, hyphens")
        self.assertTrue(self.driver.title.strip(), "it has no title")
        commands = self.driver.capabilities.commands
        self.assertLessEqual({Command.ON, Command.OFF}, commands, "every driver can turn on and off")

    async def rule_settings(self) -> None:
        """
        Settings are a frozen attrs class whose every field is a `setting` with a label.
        """
        kind = self.driver.settings
        self.assertTrue(has(kind), "settings is no attrs class")
        described = {each.name: each for each in describe(kind)}
        for attribute in fields(kind):
            self.assertIn(attribute.name, described, "a field not made with powercoord.settings.setting")
            self.assertTrue(described[attribute.name].setting.label.strip(), f"{attribute.name}: no label")
        settings = self.bench.device.settings
        self.assertIsInstance(settings, kind)
        for name in described:
            with self.assertRaises(FrozenInstanceError, msg=f"{name} can be set: the class is not frozen"):
                setattr(settings, name, getattr(settings, name))

    async def rule_choices(self) -> None:
        """
        Choices have labels, are values that the setting takes, and its default is among them.
        """
        for each in describe(self.driver.settings):
            words = [word for word, _ in each.setting.choices]
            self.assertEqual(len(set(words)), len(words), f"{each.name}: a choice stands there twice")
            for word, label in each.setting.choices:
                self.assertTrue(word and label, f"{each.name}: a choice without word or label")
            if words and not each.required:
                self.assertEqual([], [it for it in _words(each.default) if it not in words], each.name)

    async def rule_secret_settings(self) -> None:
        """
        A setting that holds a secret is declared so, and no repr has its value.
        """
        settings = self.bench.device.settings
        for each in describe(self.driver.settings):
            if getattr(settings, each.name) in self.bench.secrets:
                self.assertTrue(each.setting.secret, f"{each.name} holds a secret; declare it secret=True")
        target = self.target()
        shown = [repr(settings), repr(target), str(target), repr(self.driver), target.endpoint]
        self.hold_secrets("a repr", [*shown, target.selector, repr(describe(self.driver.settings))])

    async def rule_worst_case(self) -> None:
        """
        The longest time of each operation is above zero, has an end, and is no less than the timeout.
        """
        settings = self.bench.device.settings
        least = getattr(settings, "timeout", 0.0)
        for command in (None, *self.driver.capabilities.commands):
            longest = self.driver.worst_case(settings, command)
            word = "read" if command is None else command.value
            self.assertTrue(0 < longest < inf, f"worst_case of {word} is {longest}")
            self.assertGreaterEqual(longest, least, f"worst_case of {word} is less than the timeout")

    async def rule_target(self) -> None:
        """
        Equal settings name one node of one endpoint, whoever asks, and asking opens nothing.
        """
        settings = self.bench.device.settings
        again = type(settings)(**{each.name: getattr(settings, each.name) for each in fields(type(settings))})
        targets = [self.driver.target(each) for each in (settings, settings, again)]
        self.assertEqual(1, len({(it.driver, it.endpoint, it.selector) for it in targets}))
        first = targets[0]
        self.assertEqual(self.driver.name, first.driver)
        self.assertTrue(first.endpoint, "an endpoint has a name: limits and health go by it")
        self.assertEqual(settings, first.settings)

    async def rule_tools(self) -> None:
        """
        Where the driver is tried, no tool of it is missing.
        """
        self.assertEqual([], list(self.driver.missing_tools()))

    async def rule_context(self) -> None:
        """
        MAAS's power parameters give the same settings, under the names that DescribePowerTypes tells.
        """
        names = context_names(self.driver)
        self.assertLessEqual(set(self.bench.context), set(names), "names that DescribePowerTypes lacks")
        known = {each.name: each for each in describe(self.driver.settings)}
        self.assertLessEqual(set(names.values()), set(known), "context_names names settings that are none")
        self._hold_same(self.driver.from_context(dict(self.bench.context)))
        for name, ours in names.items():
            self._hold_read(name, known[ours])

    async def rule_context_lacks(self) -> None:
        """
        A required parameter that is missing is `PowerSettingError`, which names it; so is an empty context.
        """
        known = {each.name: each for each in describe(self.driver.settings)}
        for name, ours in context_names(self.driver).items():
            if known[ours].required:
                context = {key: value for key, value in self.bench.context.items() if key != name}
                self.assertIn(name, self._complaint(context), "the error does not name what is missing")
        self._complaint({})

    async def rule_unknown_parameters(self) -> None:
        """
        Parameters that mean nothing here are passed over: MAAS sends some of its own with every node.
        """
        context = {**self.bench.context, "power_off_mode": "hard", "mac_address": "00:00:5e:00:53:01"}
        self._hold_same(self.driver.from_context(context))

    def _hold_same(self, settings: Any) -> None:
        """
        They name the good device, and are as the bench's where a context can say it.
        """
        mine, others = self.driver.target(self.bench.device.settings), self.driver.target(settings)
        self.assertEqual((mine.endpoint, mine.selector), (others.endpoint, others.selector))
        names = context_names(self.driver)
        for name in self.bench.context:
            same = getattr(self.bench.device.settings, names[name]) == getattr(settings, names[name])
            self.assertTrue(same, f"from_context made something else of {name} than the bench has")

    def _hold_read(self, name: str, described: Described) -> None:
        """
        A parameter has an effect: without it, or with another choice, the settings differ.
        """
        context = dict(self.bench.context)
        own = {word for word, _ in described.setting.choices} | {"true", "false"}
        choices, seen = context_choices(self.driver, name, described), set()
        for word, _ in choices:
            value = getattr(self.driver.from_context({**context, name: word}), described.name)
            if word in own:
                self.assertIn(word, _words(value), f"from_context does not read {name}")
            seen.add(str(value))
        self.assertTrue(len(choices) < 2 or len(seen) > 1, f"from_context does not read {name}")
        if not described.required and not described.setting.secret:
            given = {**context, name: context_default(self.driver, name, described)}
            value = getattr(self.driver.from_context(given), described.name)
            self.assertEqual(described.default, value, f"from_context does not read the default of {name}")
        if name in context and not described.required:
            value = context.pop(name)
            settings = self._try(context)
            if settings is not None and value not in ("", *_words(described.default)):
                self.assertNotEqual(
                    self.bench.device.settings, settings, f"from_context does not read {name}"
                )

    def _try(self, context: Mapping[str, Any]) -> Any:
        try:
            return self.driver.from_context(context)
        except PowerSettingError:
            self.hear(Failure())
            return None

    def _complaint(self, context: Mapping[str, Any]) -> str:
        try:
            self.driver.from_context(context)
        except PowerSettingError as error:
            self.hear(Failure())
            return str(error)
        raise self.failureException(f"from_context takes a context with only {sorted(context)}")


def _words(value: Any) -> list[str]:
    """
    A setting's value as the words of its choices.
    """
    several = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    return [in_context(each, "") for each in several]
