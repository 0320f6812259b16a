# SPDX-License-Identifier: MIT
"""
Holding and releasing from a shell, and who holds what in status, queue and history.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

from click import BadParameter
from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.telling import happened
from powercoord.cli.times import UntilType, local, until
from powercoord.client import HeldNode, NodeStatus, ReleasedNode
from powercoord.durable import Numbered
from powercoord.entries import Held, Released
from powercoord.errors import BadRequest, JournalUnavailable
from powercoord.errors import Held as HeldError
from powercoord.holds import Hold
from powercoord.model import Goal, PowerState
from tests.fake_client import NOON, action
from tests.test_cli_past import record
from tests.test_cli_power import CommandCase

SIX = NOON + timedelta(hours=6)
ANN = Hold(holder="ann", reason="new DIMMs", since=NOON, until=SIX, only=Goal.ON)
BOB = Hold(holder="bob", reason="fan", since=NOON)
SAID = f"held by ann since {local(NOON)} until {local(SIX)}, only what turns it on (new DIMMs)"


class HoldTests(CommandCase):
    def test_held(self) -> None:
        """
        What is held is told in a table, and that what was accepted before goes on.
        """
        self.client.held["n2"] = HeldNode(node="n2", anew=True, going_on=("a1", "a2"))
        result = self.run_command("hold", "n[1-3]", "--reason", "new DIMMs")

        self.assertEqual(
            [
                "RESULT     COUNT  NODES   REASON",
                "held       2      n[1,3]",
                "held anew  1      n2      yours of before is replaced",
            ],
            [line.rstrip() for line in result.stdout.splitlines()],
        )
        self.assertEqual(
            "What was accepted before goes on: on n2. 'powercoord cancel' stops it.\n", result.stderr
        )
        self.assertEqual(0, result.exit_code)
        self.assertIn("hold n1,n2,n3 new DIMMs {}", self.client.calls)

    def test_terms(self) -> None:
        """
        A while is told as such, for the coordinator's clock; a moment as the moment.
        """
        self.run_command(
            "hold", "n1", "--reason", "x", "--until", "90m", "--only", "off", "--requester", "ann"
        )
        self.run_command("hold", "n1", "--reason", "x", "--until", "2026-11-22T06:00:00+00:00")
        first, second = [call for call in self.client.calls if call.startswith("hold")]

        self.assertEqual(f"hold n1 x {{'lasting': 5400.0, 'only': {Goal.OFF!r}}}", first)
        self.assertIn("'until': datetime.datetime(2026, 11, 22, 6, 0", second)
        self.assertIsNone(self.session.requester)

    def test_refused(self) -> None:
        """
        Where a node could not be held, that and why is told, and the exit code is 1.
        """
        self.client.held["n2"] = HeldNode(node="n2", error=BadRequest("n2: 8 others hold it already"))
        result = self.run_command("hold", "n[1-2]", "--reason", "x")
        document = json.loads(self.run_command("hold", "n[1-2]", "--reason", "x", "--json").stdout)

        self.assertEqual(1, result.exit_code)
        self.assertIn("refused  1      n2     8 others hold it already", result.stdout)
        self.assertEqual(
            {
                "ok": False,
                "nodes": [
                    {"node": "n1", "held": True, "anew": False, "going_on": []},
                    {
                        "node": "n2",
                        "held": False,
                        "code": "BadRequest",
                        "text": "n2: 8 others hold it already",
                    },
                ],
            },
            document,
        )

    def test_words(self) -> None:
        """
        A hold needs a reason and a moment that makes sense; a set with an unknown node holds nothing.
        """
        for words in (
            ("n1",),
            ("n1", "--reason", "x", "--until", "soon"),
            ("n1", "--reason", "x", "--until", "90"),
            ("n1", "--reason", "x", "--only", "reset"),
            ("n[1-9]", "--reason", "x"),
        ):
            result = self.run_command("hold", *words)
            self.assertEqual((2, ""), (result.exit_code, result.stdout), words)
        self.assertFalse([call for call in self.client.calls if call.startswith("hold")])


class ReleaseTests(CommandCase):
    def test_own(self) -> None:
        """
        What was released is told, also where nobody held anything.
        """
        self.client.released["n2"] = ReleasedNode(node="n2")
        result = self.run_command("release", "n[1-2]")

        self.assertEqual(
            [
                "RESULT    COUNT  NODES  REASON",
                "released  1      n1",
                "released  1      n2     nobody held it",
            ],
            [line.rstrip() for line in result.stdout.splitlines()],
        )
        self.assertEqual((0, ""), (result.exit_code, result.stderr))
        self.assertIn("release n1,n2 None", self.client.calls)

    def test_still_held(self) -> None:
        """
        Who still holds what is told with reason, and how to release that; the exit code is 1.
        """
        self.client.released["n1"] = ReleasedNode(node="n1", released=1, left=1)
        self.client.holds["n1"] = (ANN,)
        self.client.holds["n3"] = (BOB,)
        result = self.run_command("release", "n[1-2]")
        document = json.loads(self.run_command("release", "n[1-2]", "--json").stdout)

        self.assertEqual(1, result.exit_code)
        self.assertIn("still held  1      n1     by somebody else", result.stdout)
        self.assertIn(f"1 node is {SAID}: n1\n", result.stdout)
        self.assertNotIn("bob", result.stdout)
        self.assertIn("release --holder NAME", result.stderr)
        self.assertEqual(
            [["ann"], []], [[hold["holder"] for hold in node["holds"]] for node in document["nodes"]]
        )

    def test_others(self) -> None:
        """
        Somebody else's holds are released when that is said, and not both in one breath.
        """
        self.run_command("release", "n1", "--holder", "ann")
        self.run_command("release", "n1", "--everybody")
        result = self.run_command("release", "n1", "--everybody", "--holder", "ann")

        self.assertEqual(2, result.exit_code)
        self.assertEqual(
            ["release n1 ann", "release n1 everybody"],
            [call for call in self.client.calls if call.startswith("release")],
        )

    def test_gone(self) -> None:
        """
        A held node that is gone from the configuration can be released; one that never was is unknown.
        """
        self.client.gone = [
            NodeStatus(name="old1", driver="", groups=(), state=PowerState.UNCONFIGURED, holds=(BOB,))
        ]
        self.assertEqual(0, self.run_command("release", "n1,old1").exit_code)
        self.assertIn("release n1,old1 None", self.client.calls)
        result = self.run_command("release", "old[1-2]")

        self.assertEqual(2, result.exit_code)
        self.assertIn("unknown node 'old2'", result.stderr)
        self.assertEqual(2, self.run_command("release", "@nowhere").exit_code)


class LookTests(CommandCase):
    def test_status(self) -> None:
        """
        The status tells each hold once, with its nodes.
        """
        self.client.holds = {"n1": (ANN,), "n2": (ANN, BOB)}
        lines = self.run_command("status").stdout.splitlines()
        document = json.loads(self.run_command("status", "--json").stdout)

        self.assertEqual(
            [f"2 nodes are {SAID}: n[1-2]", f"1 node is held by bob since {local(NOON)} (fan): n2"],
            lines[1:3],
        )
        self.assertEqual([1, 2, 0, 0], [len(node["holds"]) for node in document["nodes"]])

    def test_queue(self) -> None:
        """
        The queue tells of what goes on that it is held by now.
        """
        self.client.busy = [
            NodeStatus(
                name="n1", driver="ipmi", groups=(), state=PowerState.OFF, in_play=action("n1"), holds=(BOB,)
            )
        ]
        result = self.run_command("queue")
        document = json.loads(self.run_command("queue", "--json").stdout)

        self.assertTrue(result.stdout.startswith(f"1 node is held by bob since {local(NOON)} (fan): n1\n"))
        self.assertEqual("bob", document["nodes"][0]["holds"][0]["holder"])

    def test_refused_together(self) -> None:
        """
        Nodes that are refused for the same reason are one row.
        """
        for number in (1, 2, 3):
            text = f"n{number}: on is refused, it is held by ann since 2026-11-21 12:00:00 UTC: new DIMMs"
            self.client.refusals[f"n{number}"] = HeldError(text)
        result = self.run_command("on", "n[1-3]")

        self.assertEqual(1, result.exit_code)
        self.assertIn("refused  3      n[1-3]  on is refused, it is held by ann since", result.stdout)

    def test_history(self) -> None:
        """
        Holds stand in the history of a node, among what was asked of it.
        """
        at = NOON - timedelta(minutes=2)
        self.client.records = [record(9), record(5)]
        self.client.hold_entries = [
            Numbered(8, Released(at, "n1", "ann")),
            Numbered(7, Released(at, "n1", "bob", "ann via local")),
            Numbered(6, Held(at, "n1", ANN, "ann via local")),
        ]
        lines = self.run_command("history", "n1").stdout.splitlines()
        document = json.loads(self.run_command("history", "n1", "--limit", "3", "--json").stdout)

        self.assertEqual(
            ["on", "release", "release", "hold", "on"], [line[27:36].split()[0] for line in lines[1:]]
        )
        self.assertIn("hold of ann is over: its time has come", lines[2])
        self.assertIn("hold of bob released by ann via local", lines[3])
        self.assertIn(f"held by ann via local until {local(SIX)}, only what turns it on: new DIMMs", lines[4])
        self.assertEqual(
            ([9], [8, 7]), tuple([it["number"] for it in document[key]] for key in ("requests", "holds"))
        )

    def test_words(self) -> None:
        """
        A hold without an end and about every change is told in as few words.
        """
        self.assertEqual("held by bob: fan", happened(Held(NOON, "n1", BOB, "bob")))

    def test_unreachable(self) -> None:
        """
        A hold that could not be written is one line, and not held.
        """
        self.session.unreachable = JournalUnavailable("the disk is full")
        result = self.run_command("hold", "n1", "--reason", "x")

        self.assertEqual((1, "powercoord: refused: the disk is full\n"), (result.exit_code, result.stderr))


class UntilTests(SynchronousTestCase):
    def read(self, text: str) -> Any:
        return UntilType().convert(text, None, None)

    def test_read(self) -> None:
        """
        A while, a time of day, a date, or both.
        """
        self.assertEqual(timedelta(minutes=90), self.read("1h30m"))
        self.assertEqual(timedelta(days=7), self.read("7d"))
        self.assertEqual(time(6, 30), self.read("06:30"))
        self.assertEqual(datetime(2026, 11, 23).astimezone(), self.read("2026-11-23"))
        self.assertEqual(datetime(2026, 11, 23, 6, tzinfo=UTC), self.read("2026-11-23T06:00+00:00"))
        for wrong in ("90", "1.5", "soon", "25:00", "2026-13-01", "", "31d"):
            with self.assertRaisesRegex(BadParameter, "no moment; write in how long"):
                self.read(wrong)

    def test_next(self) -> None:
        """
        A time of day is the next one: today's if that is to come, else tomorrow's.
        """
        here = timezone(timedelta(hours=1))
        now = datetime(2026, 11, 21, 3, 0, tzinfo=here)
        six, two = time(6, tzinfo=here), time(2, tzinfo=here)

        self.assertEqual(datetime(2026, 11, 21, 6, tzinfo=here), until(six, now))
        self.assertEqual(datetime(2026, 11, 22, 2, tzinfo=here), until(two, now))
        self.assertEqual(datetime(2026, 11, 22, 3, tzinfo=here), until(time(3, tzinfo=here), now))
        self.assertIsNone(until(timedelta(hours=1), now))
        self.assertIsNone(until(None, now))
        self.assertLess(until(time(6), now) - now, timedelta(days=1, hours=1))  # type: ignore[operator]
