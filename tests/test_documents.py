# SPDX-License-Identifier: MIT
"""
What README and the pages tell people to write is accepted.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import click
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.root import main
from powercoord.config import SecretFile, Surroundings, parse
from powercoord.installed import find_drivers
from tests.sources import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """
    Each block of code in this language, and where it begins.
    """
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in re.finditer(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
            indent, body = found.groups()
            line = text.count("\n", 0, found.start()) + 2
            lines = [each.removeprefix(indent) for each in body.splitlines()]
            yield f"{page.relative_to(ROOT)}:{line}", "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, list[str]]]:
    """
    Each call of our command that stands in an example, without what a shell would do with it.
    """
    for where, text in blocks("console"):
        for line in text.splitlines():
            match = re.match(r"[$#] (?:sudo )?powercoord(?= |$)([^|>&]*)", line)
            # The reference, which is made from the code, has [OPTIONS] in it.
            if match and "[OPTIONS]" not in line:
                yield f"{where}: {line}", shlex.split(match[1], comments=True)


def understood(words: Sequence[str]) -> None:
    """
    Have the words read as far as that goes without doing anything.

    :raises click.ClickException: they are not understood.
    """
    command: click.Command = main
    context = main.make_context("powercoord", list(words))
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])  # noqa: SLF001
        assert found is not None
        command = found
        context = command.make_context(command.name, rest, parent=context)


class ConfigurationTests(SynchronousTestCase):
    """
    Every block of TOML is a whole configuration.
    """

    def test_accepted(self) -> None:
        """
        An example has no mistake and nothing to warn of.
        """
        found = find_drivers(MemoryReactorClock())
        around = Surroundings(lambda _: SecretFile("secret"), {})
        told = []
        for where, text in blocks("toml"):
            parsed = parse(text, where, found.drivers, around, found.broken)
            told += [str(each) for each in (*parsed.mistakes, *parsed.warnings)]

        self.assertEqual([], told)

    def test_found(self) -> None:
        """
        The examples are found, those inside of lists, too.
        """
        pages = {where.partition(":")[0] for where, _ in blocks("toml")}

        self.assertLessEqual({"README.md", "docs/operators.md", "docs/haproxy.md", "docs/libvirt.md"}, pages)


class CommandTests(SynchronousTestCase):
    """
    Every call of `powercoord` in an example.
    """

    def test_understood(self) -> None:
        """
        There is such a command, with such options.
        """
        wrong = []
        for where, words in commands():
            try:
                understood(words)
            except click.ClickException as error:
                wrong.append(f"{where}: {error.format_message()}")

        self.assertEqual([], wrong)

    def test_found(self) -> None:
        """
        The calls are found, and a wrong one would be told.
        """
        self.assertLess(15, len(list(commands())))
        for words in (["onn", "n1"], ["on", "--softly", "n1"], ["on"]):
            with self.assertRaises(click.ClickException):
                understood(words)
