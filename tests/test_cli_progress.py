# SPDX-License-Identifier: MIT
"""
What people see while they wait, and how tables fit their screens.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.asking import Asked, ask
from powercoord.cli.naming import wanted
from powercoord.cli.progress import meter
from powercoord.cli.screen import Screen
from powercoord.cli.session import World
from powercoord.entries import Entered
from powercoord.model import Done, How, Phase, PowerState, Verb
from tests.fake_client import NOON, FakeClient


def terminal(width: int = 100) -> tuple[Screen, StringIO, StringIO]:
    out, err = StringIO(), StringIO()
    consoles = [
        Console(
            file=stream, force_terminal=True, width=width, color_system=None, soft_wrap=True, highlight=False
        )
        for stream in (out, err)
    ]
    return Screen(False, *consoles), out, err


class BarTests(SynchronousTestCase):
    def test_bar(self) -> None:
        """
        The bar counts what has ended, and tells in what phase the others are.
        """
        screen, _, err = terminal()
        bar = meter(screen, "on", 4)
        bar.entered("n1", Phase.SENT)
        bar.entered("n2", Phase.VERIFYING)
        bar.entered("n3", Phase.QUEUED)
        bar.ended("n1", good=False)
        bar.refresh()

        last = err.getvalue().splitlines()[-1]
        for words in ("on", "1/4", "1 sent", "1 waiting", "1 failed"):
            self.assertIn(words, last)
        bar.close()

    def test_silent_for_programs(self) -> None:
        """
        Programs see no progress.
        """
        screen, _, err = terminal()
        screen.json = True
        quiet = meter(screen, "on", 1)
        quiet.entered("n1", Phase.SENT)
        quiet.ended("n1", good=True)
        quiet.refresh()
        quiet.close()

        self.assertEqual("", err.getvalue())


class FollowingTests(SynchronousTestCase):
    def test_phases_are_followed(self) -> None:
        """
        For a person the events of one's own requests are followed, and no longer than one waits.
        """
        screen, out, err = terminal()
        outcome: Deferred[Any] = Deferred()
        client, clock = _Slow(outcome), Clock()
        client.events = [Entered(NOON, "n1", "a-n1", Phase.SENT)]
        client.endless = True
        working = Deferred.fromCoroutine(
            ask(Asked(verb=Verb.ON, nodes=wanted("n1")), World(client, clock, screen))  # type: ignore[arg-type]
        )
        clock.advance(1)

        self.assertIn("1 sent", err.getvalue())
        outcome.callback(Done(How.COMMANDED, PowerState.ON))
        self.assertEqual(0, self.successResultOf(working))
        self.assertTrue(client.watches[0].stopped)
        self.assertIn("watch {'mine': True}", client.calls)
        self.assertEqual([], clock.getDelayedCalls())
        self.assertIn("seen on", out.getvalue())


class _Slow(FakeClient):
    """
    Its outcome comes when the test says so.
    """

    def __init__(self, outcome: Deferred[Any]) -> None:
        super().__init__()
        self._outcome = outcome

    def outcome(self, accepted: Any) -> Deferred[Any]:
        return self._outcome


class TableTests(SynchronousTestCase):
    def test_people(self) -> None:
        """
        On a narrow screen cells are wrapped and nothing is lost.
        """
        screen, out, _ = terminal(40)
        screen.table(("A", "B", "C"), [("x", "", "a long sentence that does not fit into forty columns")])

        text = out.getvalue()
        self.assertEqual(["A", "C"], text.splitlines()[0].split())
        self.assertTrue(all(len(line) <= 40 for line in text.splitlines()))
        self.assertIn("columns", text)

    def test_markup_is_text(self) -> None:
        """
        What a BMC says is shown as it is, even where it looks like markup.
        """
        screen, out, _ = terminal()
        screen.table(("A",), [("[red]x[/red]",)])
        screen.line("[bold]y")

        self.assertIn("[red]x[/red]", out.getvalue())
        self.assertIn("[bold]y", out.getvalue())
