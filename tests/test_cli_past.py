# SPDX-License-Identifier: MIT
"""
The past from a shell: what was asked, one action step by step, and one settled by hand.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from click import BadParameter
from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.times import SinceType, ago, local, rounded, since, took
from powercoord.durable import Numbered, Record
from powercoord.entries import Accepted, Answered, Drifted, Ended, Entered, Parked, Resolved, Unparked
from powercoord.model import (
    CancelResult,
    Disposition,
    Done,
    Goal,
    How,
    Outcome,
    Phase,
    PowerState,
    Request,
    Unknown,
    Verb,
)
from powercoord.parking import Cause
from tests.fake_client import NOON
from tests.test_cli_power import CommandCase

DONE = Done(How.COMMANDED, PowerState.ON)


def record(number: int, node: str = "n1", outcome: Outcome | None = DONE, **more: Any) -> Record:
    at = NOON - timedelta(minutes=10 - number)
    return Record(
        number=number,
        at=at,
        request=Request(node=node, verb=Verb.ON, request_id=f"r{number}", requester="alice", door="amp"),
        action=f"a{number}",
        disposition=Disposition.STARTED,
        answered=None if outcome is None else at + timedelta(seconds=3.24),
        outcome=outcome,
        **more,
    )


class HistoryTests(CommandCase):
    def test_table(self) -> None:
        """
        The past is one line for each request, with date, door, ending, and how long it took.
        """
        self.client.records = [record(9, outcome=None), record(8, "n2", Unknown("gone")), record(7)]
        result = self.run_command("history", "n[1-2]")
        when = [local(NOON - timedelta(minutes=minutes)) for minutes in (1, 2, 3)]

        self.assertEqual(
            [
                "WHEN                 NODE  VERB  FOR            RESULT         TOOK       ACTION",
                f"{when[0]}  n1    on    alice via amp  going on       1m so far  a9",
                f"{when[1]}  n2    on    alice via amp  unknown: gone  3.2s       a8",
                f"{when[2]}  n1    on    alice via amp  done: seen on  3.2s       a7",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual((0, ""), (result.exit_code, result.stderr))
        self.assertEqual(["history ('n1', 'n2') 50 None"], self.client.calls)

    def test_bounds(self) -> None:
        """
        The past can be cut at a number and at a moment, and it is said that there is more.
        """
        self.client.records = [record(9), record(8), record(7)]
        result = self.run_command("history", "--limit", "2", "--since", "150s")

        self.assertEqual(3, len(result.stdout.splitlines()))
        self.assertEqual("Only the newest 2; --limit shows more.\n", result.stderr)
        self.assertEqual(["history None 2 2026-11-21T11:57:30+00:00"], self.client.calls)

    def test_nothing(self) -> None:
        """
        Where nothing was asked that is said, and a node that never was is unknown.
        """
        self.assertEqual("Nothing was asked of n1.\n", self.run_command("history", "n1").stdout)
        moment = local(NOON - timedelta(hours=2))
        self.assertEqual(
            f"Nothing was asked since {moment}.\n", self.run_command("history", "--since", "2h").stdout
        )
        unknown = self.run_command("history", "n9")
        self.assertEqual((2, "powercoord: unknown node 'n9'\n"), (unknown.exit_code, unknown.stderr))

    def test_node_that_is_gone(self) -> None:
        """
        A node that is no longer configured still has its past.
        """
        self.client.records = [record(7, "old1")]

        self.assertIn("old1", self.run_command("history", "old1").stdout)

    def test_groups(self) -> None:
        """
        A group stands for the nodes that it has now.
        """
        self.client.records = [record(9, "n4"), record(8, "n2")]
        document = json.loads(self.run_command("history", "@rack1", "--json").stdout)

        (form,) = document["requests"]
        self.assertEqual(
            ("n2", 8, "done"), (form["request"]["node"], form["number"], form["outcome"]["outcome"])
        )


class ShowTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        request = Request(node="n1", verb=Verb.CYCLE, request_id="r1", requester="alice", door="cli")
        later = NOON + timedelta(seconds=1.5)
        entries = [
            Accepted(NOON, request, "a1", Disposition.STARTED, NOON),
            Entered(NOON, "n1", "a1", Phase.ADMITTED),
            Entered(later, "n1", "a1", Phase.SENT, "off"),
            Drifted(later, "n1", Goal.ON, PowerState.OFF),
            Resolved(later, "n1", "a1", "bob via local", "board replaced"),
            Parked(later, "n1", "10.0.0.1", Cause.UNREACHABLE, "no answer", later),
            Unparked(later, "n1", "10.0.0.1", "it answers again"),
            Ended(later, "n1", "a1", DONE),
            Answered(later, "n1", "r1", "a1", DONE),
        ]
        self.client.steps = [Numbered(index, entry) for index, entry in enumerate(entries, 40)]

    def test_steps(self) -> None:
        """
        An action is shown step by step, each with its time and how long after the first it was.
        """
        result = self.run_command("show", "a1")
        lines = result.stdout.splitlines()

        self.assertEqual("cycle of n1, action a1", lines[0])
        self.assertEqual(
            [
                "0.000s  cycle for alice via cli: started",
                "0.000s  admitted",
                "1.500s  off sent",
                "1.500s  has drifted: it is off, and on is wanted",
                "1.500s  resolved by bob via local: board replaced",
                "1.500s  10.0.0.1 is parked: no answer",
                "1.500s  10.0.0.1 is not parked any more: it answers again",
                "1.500s  ended done: seen on",
                "1.500s  answered done to request r1",
            ],
            [line.split("  ", 1)[1] for line in lines[2:]],
        )
        self.assertTrue(lines[2].startswith(NOON.astimezone().strftime("%Y-%m-%d %H:%M:%S.000  ")))

    def test_json(self) -> None:
        """
        Programs get the events with their numbers.
        """
        document = json.loads(self.run_command("show", "a1", "--json").stdout)

        self.assertEqual("a1", document["action"])
        self.assertEqual([40, 41], [event["number"] for event in document["events"][:2]])

    def test_unknown(self) -> None:
        """
        An action that nothing is known of is told.
        """
        self.client.steps = []
        result = self.run_command("show", "a9")

        self.assertEqual((2, "powercoord: no action 'a9'\n"), (result.exit_code, result.stderr))


class ResolveTests(CommandCase):
    def test_resolve(self) -> None:
        """
        An action is settled by hand, with a reason, and how far it had come is told.
        """
        self.client.cancels = {"a1": CancelResult.UNKNOWN}
        result = self.run_command("resolve", "a1", "--reason", "board replaced", "--requester", "bob")

        self.assertEqual(["resolve a1: board replaced"], self.client.calls)
        self.assertEqual("bob", self.session.requester)
        self.assertEqual(
            "a1 is resolved, and nothing was sent. Unknown: a command left and no answer came.\n",
            result.stdout,
        )
        self.assertEqual(0, result.exit_code)
        document = json.loads(self.run_command("resolve", "a1", "--reason", "r", "--json").stdout)
        self.assertEqual({"action": "a1", "result": "unknown"}, document)

    def test_refused(self) -> None:
        """
        Without a reason nothing is settled, nor an action that is not there.
        """
        self.assertEqual(2, self.run_command("resolve", "a1").exit_code)
        self.assertEqual(2, self.run_command("resolve", "a9", "--reason", "r").exit_code)
        self.assertEqual(["resolve a9: r"], self.client.calls)


class TimesTests(SynchronousTestCase):
    def test_since(self) -> None:
        """
        A moment is so long ago, or a date with or without a time, local unless it says otherwise.
        """
        read = SinceType().convert
        self.assertEqual(NOON - timedelta(hours=2), since(read("2h", None, None), NOON))
        self.assertEqual(datetime(2026, 11, 21).astimezone(), read("2026-11-21", None, None))
        self.assertEqual(NOON, read("2026-11-21T12:00:00+00:00", None, None))
        self.assertEqual(timedelta(days=7), read(timedelta(days=7), None, None))
        self.assertIsNone(since(None, NOON))

    def test_no_moment(self) -> None:
        """
        What is no moment is told, with what one looks like.
        """
        for wrong in ("yesterday", "2026-13-01", "", "-5s", "0001-01-01"):
            error = self.assertRaises(BadParameter, SinceType().convert, wrong, None, None)
            self.assertIn("2026-11-21 07:30", str(error))

    def test_lengths(self) -> None:
        """
        Times are told in numbers that a person takes in.
        """
        self.assertEqual(["0s", "3.2s", "11s", "3m"], [took(s) for s in (-1, 3.24, 11.9, 200)])
        self.assertEqual(["2h", "3d"], [rounded(7_300), rounded(3 * 86_400 + 5)])
        self.assertEqual("5m ago", ago(NOON - timedelta(minutes=5), NOON))
