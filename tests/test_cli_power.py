# SPDX-License-Identifier: MIT
"""
Asking for power from a shell: what is asked, what is shown, and the exit code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli import main
from powercoord.client import Answer, CallTimeout, NotAuthenticated, RosterEntry, Unreachable
from powercoord.errors import Draining, PowercoordError, Stale
from powercoord.model import (
    Boot,
    BootDevice,
    Cancelled,
    CancelResult,
    Done,
    Failed,
    How,
    Interrupted,
    Outcome,
    Policy,
    PowerState,
    Request,
    Superseded,
    Unknown,
    Verb,
)
from tests.fake_client import FakeClient, FakeSession

OFF = Done(How.COMMANDED, PowerState.OFF)


class CommandCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = FakeClient()
        self.session = FakeSession(self.client)

    def run_command(self, *words: str) -> Result:
        """
        Run a command line; an exception that nobody turned into a line fails the test.
        """
        result = CliRunner().invoke(main, list(words), obj=self.session)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def asked(self) -> list[tuple[str, Verb]]:
        return [(request.node, request.verb) for batch in self.client.submitted for request in batch]


class AskingTests(CommandCase):
    def test_verbs(self) -> None:
        """
        Each command asks for its verb.
        """
        cases = {
            ("on",): Verb.ON,
            ("off",): Verb.OFF,
            ("off", "--soft"): Verb.SOFT_OFF,
            ("cycle",): Verb.CYCLE,
            ("reset",): Verb.RESET,
        }
        for words, verb in cases.items():
            self.client.submitted.clear()
            self.run_command(*words, "n[1-2]")
            self.assertEqual([("n1", verb), ("n2", verb)], self.asked())

    def test_options(self) -> None:
        """
        Options reach the request; who asks is told to the coordinator.
        """
        self.run_command(
            *("cycle", "n1", "--boot", "pxe,persistent,efi", "--deadline", "5m"),
            *("--policy", "queue", "--sequence", "7", "--requester", "alice"),
        )

        ((request,),) = self.client.submitted
        self.assertEqual(
            (Boot(BootDevice.PXE, True, True), 300.0, Policy.QUEUE, 7),
            (request.boot, request.deadline, request.policy, request.sequence),
        )
        self.assertEqual("alice", self.session.requester)

    def test_soft_without_force(self) -> None:
        """
        A soft off may be told not to become hard.
        """
        self.run_command("off", "--soft", "--no-escalate", "n1")

        self.assertFalse(self.client.submitted[0][0].escalate)

    def test_boot(self) -> None:
        """
        The boot device alone can be set.
        """
        self.run_command("boot", "n1", "disk+legacy")

        ((request,),) = self.client.submitted
        self.assertEqual((Verb.BOOT, Boot(BootDevice.DISK, False, False)), (request.verb, request.boot))

    def test_batches(self) -> None:
        """
        Many nodes are asked for in batches.
        """
        self.client.roster = [RosterEntry(name=f"n{n}", driver="ipmi") for n in range(1, 1202)]
        result = self.run_command("on", "n[1-1201]")

        self.assertEqual([500, 500, 201], [len(batch) for batch in self.client.submitted])
        self.assertIn("n[1-1201]", result.stdout)

    def test_groups(self) -> None:
        """
        Groups are those of the coordinator; everything is a group too.
        """
        self.run_command("off", "@all!@rack1")

        self.assertEqual([("n4", Verb.OFF)], self.asked())

    def test_connect(self) -> None:
        """
        The global options say which coordinator is meant.
        """
        self.run_command("--connect", "tcp:host:1", "--config", "x.toml", "on", "n1")

        self.assertEqual(("tcp:host:1", "x.toml"), (self.session.connect, self.session.config))


class ShownTests(CommandCase):
    def test_summary(self) -> None:
        """
        There is one row for each thing to say, good news first, nodes folded.
        """
        self.client.outcomes = {
            "n2": Failed("PowerRefusedError", "Command not supported in present state (0xD5)"),
            "n3": Done(How.ALREADY, PowerState.ON),
        }

        result = self.run_command("on", "n[1-4]")

        self.assertEqual(
            [
                "RESULT  COUNT  NODES   REASON",
                "done    2      n[1,4]  seen on",
                "done    1      n3      was on already",
                "failed  1      n2      PowerRefusedError: Command not supported in present state (0xD5)",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual((1, ""), (result.exit_code, result.stderr))

    def test_words(self) -> None:
        """
        Each way to end has its words and its exit code.
        """
        cases: list[tuple[Outcome, str, int]] = [
            (OFF, "done seen off", 0),
            (Done(How.GRACEFUL, PowerState.OFF), "done seen off, by its operating system", 0),
            (
                Done(How.FORCED, PowerState.OFF),
                "done seen off, forced",
                0,
            ),
            (Done(How.EXTERNAL, PowerState.OFF), "done seen off, by somebody else", 0),
            (Failed("PowerConnError", "no answer"), "failed PowerConnError: no answer", 1),
            (
                Superseded("a9", Verb.ON, CancelResult.STOPPED),
                "superseded somebody asked for on instead (action a9)",
                1,
            ),
            (Cancelled(CancelResult.NOT_STARTED, "bob"), "cancelled not-started, by bob", 1),
            (Interrupted("the coordinator stopped"), "interrupted the coordinator stopped", 4),
            (Unknown("no answer came"), "unknown no answer came", 4),
        ]
        for outcome, words, code in cases:
            self.client.outcomes = {"n1": outcome}
            result = self.run_command("off", "n1")
            word, _, _, reason = result.stdout.splitlines()[1].split(maxsplit=3)
            self.assertEqual((words, code), (f"{word} {reason}", result.exit_code))

    def test_certain_before_unknown(self) -> None:
        """
        A failure that is certain decides the exit code over what is not known.
        """
        self.client.outcomes = {"n1": Unknown("?"), "n2": Failed("X", "y")}

        self.assertEqual(1, self.run_command("on", "n[1-3]").exit_code)

    def test_refused_nodes(self) -> None:
        """
        Nodes that are refused have their reason, and the others go on.
        """
        self.client.refusals = {"n1": Stale("a request with sequence 9 was accepted before")}
        result = self.run_command("on", "n[1-2]")

        self.assertIn("refused  1      n1     a request with sequence 9 was accepted before", result.stdout)
        self.assertIn("done     1      n2     seen on", result.stdout)
        self.assertEqual(1, result.exit_code)

    def test_no_wait(self) -> None:
        """
        Without waiting it ends when all is accepted, whatever comes of it.
        """
        self.client.outcomes = {"n1": None, "n2": None}
        result = self.run_command("on", "n[1-2]", "--no-wait")

        self.assertEqual(0, result.exit_code)
        self.assertIn("accepted  2      n[1-2]  the coordinator does it", result.stdout)

    def test_progress_in_a_log(self) -> None:
        """
        Where nobody watches, each further tenth is a line on standard error, failures counted.
        """
        self.client.roster = [RosterEntry(name=f"n{n}", driver="ipmi") for n in range(1, 21)]
        self.client.outcomes = {"n3": Failed("X", "y")}
        result = self.run_command("on", "n[1-20]")

        lines = result.stderr.splitlines()
        self.assertEqual(10, len(lines))
        self.assertEqual(["on: 2 of 20 nodes", "on: 4 of 20 nodes, 1 failed"], lines[:2])

    def test_json(self) -> None:
        """
        Programs get one document with everything, and nothing else.
        """
        self.client.outcomes = {"n2": Failed("PowerConnError", "no answer", retryable=True)}
        self.client.refusals = {"n3": Draining("moving")}
        result = self.run_command("on", "n[1-3]", "--json")

        document: dict[str, Any] = json.loads(result.stdout)
        self.assertEqual(
            {"verb": "on", "ok": False, "counts": {"done": 1, "failed": 1, "refused": 1}},
            {key: document[key] for key in ("verb", "ok", "counts")},
        )
        accepted = {"disposition": "started"}
        self.assertEqual(
            [
                {"node": "n1", "request_id": "r-n1", "action": "a-n1", **accepted}
                | {"outcome": "done", "how": "commanded", "state": "on"},
                {"node": "n2", "request_id": "r-n2", "action": "a-n2", **accepted}
                | {"outcome": "failed", "code": "PowerConnError", "text": "no answer", "retryable": True},
                {"node": "n3", "outcome": "refused", "code": "Draining", "text": "moving", "retryable": True},
            ],
            document["nodes"],
        )
        self.assertEqual((1, ""), (result.exit_code, result.stderr))


class InterruptedTests(CommandCase):
    def test_waiting_ends(self) -> None:
        """
        Ctrl-C ends the waiting, tells what ended and what goes on, and how to stop that.
        """
        self.client.outcomes = {"n1": OFF, "n2": None, "n3": None}
        result = self.run_command("off", "n[1-3]")

        self.assertEqual(130, result.exit_code)
        self.assertEqual(
            ["RESULT  COUNT  NODES  REASON", "done    1      n1     seen off"], result.stdout.splitlines()
        )
        self.assertEqual(
            [
                "Stopped waiting. What was accepted goes on for 2 nodes: n[2-3]",
                "To stop that too: powercoord cancel 'n[2-3]'",
            ],
            result.stderr.splitlines(),
        )

    def test_json(self) -> None:
        """
        Programs are told too which nodes go on.
        """
        self.client.outcomes = {"n1": None}
        result = self.run_command("off", "n1", "--json")

        document = json.loads(result.stdout)
        self.assertEqual((True, ["n1"]), (document["interrupted"], document["going_on"]))


class RefusedTests(CommandCase):
    def assertRefused(self, line: str, *words: str, code: int = 2) -> None:
        """
        The command line is answered with this one line, and nothing was asked for.
        """
        result = self.run_command(*words)

        self.assertEqual(
            (f"powercoord: {line}\n", "", code), (result.stderr, result.stdout, result.exit_code)
        )
        self.assertEqual([], self.client.submitted)

    def test_unknown_nodes(self) -> None:
        """
        A set with a node that is not known changes nothing at all.
        """
        self.assertRefused("unknown node 'n44'; did you mean 'n4'?", "on", "n[1-2],n44")
        self.assertRefused("5 unknown nodes: n[5-9]", "on", "n[1-9]")
        self.assertRefused("unknown node 'zz'", "on", "@rack1,zz")
        self.client.roster = [RosterEntry(name=f"n{n}", driver="ipmi") for n in range(1, 300)]
        self.assertRefused("unknown node 'n300'; did you mean 'n30'?", "on", "n[1-300]")

    def test_node_sets(self) -> None:
        """
        A malformed node set is told before anything is connected to.
        """
        self.assertRefused("there is a blank inside 'n1 n2'; separate nodes with ','", "on", "n1 n2")
        self.assertRefused("the node set is empty; name nodes, as in 'rack1n[001-100]' or '@rack1'", "on", "")
        self.assertEqual(0, self.session.runs)
        self.assertRefused("unknown group '@rak1'; did you mean '@rack1'?", "on", "@rak1")

    def test_usage(self) -> None:
        """
        Mistakes on the command line name the word, what would be right, and where to read on.
        """
        cases: dict[tuple[str, ...], str] = {
            ("onn", "n1"): "No such command 'onn'. Did you mean 'on'? (see 'powercoord --help')",
            ("on",): "Missing argument 'NODESET'. (see 'powercoord on --help')",
            ("on", "n1", "--bot", "pxe"): "No such option '--bot'. Did you mean '--boot'?"
            " (see 'powercoord on --help')",
            ("on", "n1", "n2"): "one node set, please, not 2: separate nodes with ',' and quote brackets,"
            " as in 'n1,n2' (see 'powercoord on --help')",
            ("on", "n1", "--boot", "pixie"): "Invalid value for '--boot': 'pixie' is no boot device;"
            " known: pxe, disk, cdrom, bios, none (see 'powercoord on --help')",
            ("on", "n1", "--boot", "pxe,now"): "Invalid value for '--boot': 'now' is no boot option;"
            " known: efi, legacy, persistent (see 'powercoord on --help')",
            (
                "on",
                "n1",
                "--boot",
                "pxe,efi,legacy",
            ): "Invalid value for '--boot': efi and legacy exclude each other (see 'powercoord on --help')",
            ("on", "n1", "--deadline", "soon"): "Invalid value for '--deadline': \"soon\" is no time;"
            ' write "90s", "5m", "1h30m" or a number of seconds (see \'powercoord on --help\')',
            ("off", "n1", "--no-escalate"): "--no-escalate means something only with --soft"
            " (see 'powercoord off --help')",
            ("cancel",): "name either a node set or --action, as in: powercoord cancel 'rack1n[001-100]'"
            " (see 'powercoord cancel --help')",
        }
        for words, line in cases.items():
            self.assertRefused(line, *words)

    def test_coordinator(self) -> None:
        """
        A coordinator that cannot be reached, or does not trust us, has an exit code of its own.
        """
        hint = "; is the coordinator running? --connect or --config name another"
        cases: list[tuple[PowercoordError, str, int]] = [
            (Unreachable("unix:/x: no such file."), f"unix:/x: no such file{hint}", 3),
            (NotAuthenticated("wrong secret"), "wrong secret", 3),
            (Draining("moving"), "refused: moving", 1),
        ]
        for error, line, code in cases:
            self.session.unreachable = error
            self.assertRefused(line, "on", "n1", code=code)


class BrokenOffTests(CommandCase):
    def test_lost_in_the_middle(self) -> None:
        """
        When the coordinator falls silent in the middle, what had come of it before is still told.
        """

        class Silent(FakeClient):
            def submit(self, requests: Sequence[Request]) -> Deferred[tuple[Answer, ...]]:
                if self.submitted:
                    return fail(CallTimeout("no answer within 30 s"))
                return super().submit(requests)

        roster = [RosterEntry(name=f"n{n}", driver="ipmi") for n in range(1, 601)]
        self.session.client = Silent(roster=roster, outcomes={"n2": None})
        result = self.run_command("on", "n[1-600]")

        self.assertEqual(4, result.exit_code)
        self.assertIn("done    499    n[1,3-500]  seen on", result.stdout)
        self.assertEqual(
            [
                "Stopped waiting. What was accepted goes on for 1 node: n2",
                "To stop that too: powercoord cancel 'n2'",
                "No answer came for 100 nodes; 'powercoord queue' shows what was accepted.",
                "powercoord: no answer within 30 s",
            ],
            result.stderr.splitlines()[-4:],
        )
