# SPDX-License-Identifier: MIT
"""
Looking at the fleet from a shell, and holding the coordinator back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from attrs import evolve
from twisted.internet.defer import succeed

from powercoord.client import Health, Lagged, NodeStatus, Unreachable
from powercoord.entries import Accepted, Answered, Ended, Entered, Followed, Observed
from powercoord.model import (
    CancelResult,
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Observation,
    Phase,
    PowerState,
    Request,
    Verb,
    Wanted,
)
from powercoord.parking import Cause, Parking
from powercoord.stages import Drain, Source, Stage
from tests.fake_client import NOON, FakeClient, FakeSession, action
from tests.test_cli_power import CommandCase

WANTED = Wanted(goal=Goal.ON, since=NOON, action="a1", request_id="r1", requester="alice")


class Overriding:
    """
    Another object with some attributes of the test's own.
    """

    def __init__(self, it: Any, **own: Any) -> None:
        self._it = it
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._it, name)


def busy(node: str, *waiting: Verb) -> NodeStatus:
    actions = [
        action(node, verb, id=f"w{place}-{node}", phase=Phase.QUEUED) for place, verb in enumerate(waiting)
    ]
    return NodeStatus(
        name=node,
        driver="ipmi",
        groups=(),
        state=PowerState.OFF,
        in_play=action(node),
        waiting=tuple(actions),
    )


class StatusTests(CommandCase):
    def test_table(self) -> None:
        """
        Alike nodes share a row that tells how long ago they were seen, and what is in play.
        """
        self.client.states = {
            "n1": (PowerState.ON, 3.2, ""),
            "n2": (PowerState.ON, 310.0, ""),
            "n3": (PowerState.UNKNOWN, 90_000.0, "no answer"),
        }
        self.client.busy = [busy("n4", Verb.OFF)]
        result = self.run_command("status")

        self.assertEqual(
            [
                "The coordinator is serving; nothing pending.",
                "STATE          COUNT  NODES   SEEN       IN PLAY             REASON",
                "on             2      n[1-2]  3s–5m ago",
                "unknown        1      n3      25h ago                        no answer",
                "never-checked  1      n4      never      on, sent; then off",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual(0, result.exit_code)

    def test_json(self) -> None:
        """
        Programs get each node with its state, its age and its lane.
        """
        self.client.states = {"n1": (PowerState.ON, 3.2, "")}
        self.client.busy = [busy("n1", Verb.OFF)]
        self.client.wanted = {"n1": WANTED}
        document = json.loads(self.run_command("status", "n1", "--json").stdout)
        (node,) = document["nodes"]

        self.assertEqual(("serving", True), tuple(document["coordinator"][k] for k in ("stage", "accepting")))
        self.assertEqual(("on", False), (node["wanted"]["goal"], node["drifted"]))
        self.assertEqual(("n1", "on", 3.2), (node["node"], node["state"], node["age"]))
        self.assertEqual(
            ("a-n1", ["w0-n1"]), (node["in_play"]["id"], [view["id"] for view in node["waiting"]])
        )

    def test_no_nodes(self) -> None:
        """
        A coordinator without nodes says so.
        """
        self.client.roster = ()

        for command in ("status", "nodes"):
            result = self.run_command(command)
            self.assertEqual(("There are no nodes.", 0), (result.stdout.splitlines()[-1], result.exit_code))

    def test_drift(self) -> None:
        """
        Nodes with other power than is wanted are named first, and stand first.
        """
        self.client.states = dict.fromkeys(("n1", "n2", "n3", "n4"), (PowerState.ON, 3.0, ""))
        off = evolve(WANTED, goal=Goal.OFF)
        self.client.wanted = {"n1": WANTED, "n2": off, "n3": off}
        self.client.drifted = ("n2", "n3")
        result = self.run_command("status")

        self.assertEqual(
            [
                "2 nodes have other power than is wanted: n[2-3]",
                "STATE  WANTED         COUNT  NODES   SEEN",
                "on     off (drifted)  2      n[2-3]  3s ago",
                "on     on             1      n1      3s ago",
                "on                    1      n4      3s ago",
            ],
            result.stdout.splitlines()[1:],
        )

    def test_headline(self) -> None:
        """
        The first line says what is wrong with the coordinator itself, since when, and by whom.
        """
        since = NOON.replace(hour=11, minute=55)
        drain = Drain(since=since, reason="move", by="alice", source=Source.COMMAND)
        local = since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        for now, line in (
            (
                Health(stage=Stage.DRAINING, pending=1, drain=drain, draining="x"),
                f"The coordinator is draining: move (by alice, command, {local}, 5m ago); 1 action pending.",
            ),
            (
                Health(stage=Stage.SERVING, pending=0, trouble="the disk is full"),
                "The coordinator is serving; it can start nothing new: the disk is full; nothing pending.",
            ),
            (
                Health(stage=Stage.DRAINED, pending=0, draining="moving (by bob)", stop_requested=True),
                "The coordinator is drained: moving (by bob); it is to stop; nothing pending.",
            ),
        ):
            self.client.now = now
            self.assertEqual(line, self.run_command("status").stdout.splitlines()[0])


class QueryTests(CommandCase):
    def test_states(self) -> None:
        """
        States are read from the BMCs; one that cannot be read has its reason and the exit code 4.
        """
        self.client.states = {"n2": (PowerState.ERROR, None, "wrong password")}
        result = self.run_command("query", "n[1-3]")

        self.assertEqual(
            [
                "STATE  COUNT  NODES   SEEN    REASON",
                "on     2      n[1,3]  0s ago",
                "error  1      n2      never   wrong password",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual(4, result.exit_code)
        self.assertEqual(0, self.run_command("query", "n1").exit_code)

    def test_json(self) -> None:
        """
        Programs get each reading.
        """
        self.client.states = {"n1": (PowerState.UNKNOWN, None, "no answer")}

        self.assertEqual(
            {"nodes": [{"node": "n1", "state": "unknown", "age": None, "text": "no answer"}]},
            json.loads(self.run_command("query", "n1", "--json").stdout),
        )


class QueueTests(CommandCase):
    def test_table(self) -> None:
        """
        The queue tells what is in play and waits, for whom, since when, until when, and what is next.
        """
        self.client.busy = [busy("n1", Verb.OFF, Verb.ON), busy("n2"), busy("n3")]
        self.client.draining = "moving"
        result = self.run_command("queue")

        self.assertEqual(
            [
                "         VERB  PHASE   FOR            THEN     COUNT  NODES   AGE  DEADLINE IN  ACTION",
                "in play  on    sent    alice via cli  off, on  1      n1      1m   2m           a-n1",
                "next     off   queued  alice via cli           1      n1      1m   2m           w0-n1",
                "after 1  on    queued  alice via cli           1      n1      1m   2m           w1-n1",
                "in play  on    sent    alice via cli           2      n[2-3]  1m   2m",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual("The coordinator takes no new changes: moving\n", result.stderr)

    def test_some(self) -> None:
        """
        A node set narrows it down.
        """
        self.client.busy = [busy("n1"), busy("n2")]

        self.assertEqual(2, len(self.run_command("queue", "n2").stdout.splitlines()))
        self.assertEqual("Nothing is in play, and nothing waits.\n", self.run_command("queue", "n3").stdout)

    def test_json(self) -> None:
        """
        Programs get the actions with their waiters.
        """
        self.client.busy = [busy("n1", Verb.OFF)]
        (node,) = json.loads(self.run_command("queue", "--json").stdout)["nodes"]

        self.assertEqual("alice", node["in_play"]["waiters"][0]["requester"])
        self.assertEqual(["off"], [view["verb"] for view in node["waiting"]])


class WatchTests(CommandCase):
    def test_lines(self) -> None:
        """
        Each event is a line; Ctrl-C is the way out, and no failure.
        """
        request = Request(node="n1", verb=Verb.ON, request_id="r1", requester="alice", door="cli")
        done = Done(How.COMMANDED, PowerState.ON)
        self.client.events = [
            Accepted(NOON, request, "a1", Disposition.SUPERSEDING, NOON, ("a0",)),
            Entered(NOON, "n1", "a1", Phase.SENT, "on", "again"),
            Followed(NOON, "n1", "r0", "a1"),
            Observed(NOON, "n1", Observation(PowerState.ON)),
            Ended(NOON, "n1", "a1", Failed("PowerConnError", "no answer")),
            Answered(NOON, "n1", "r1", "a1", done),
            Lagged("slow reader"),
            Health(stage=Stage.DRAINED, pending=0, draining="moving"),
        ]
        self.client.endless = True
        result = self.run_command("watch", "n1")

        time = NOON.astimezone().strftime("%Y-%m-%d %H:%M:%S.000 ")
        self.assertEqual(
            [
                f"{time}n1 on for alice via cli: superseding, in place of a0 [a1]",
                f"{time}n1 on sent: again [a1]",
                f"{time}n1 request r0 is now answered by this action [a1]",
                f"{time}n1 is on",
                f"{time}n1 ended failed: PowerConnError: no answer [a1]",
                f"{time}n1 answered done to request r1 [a1]",
                "(events were missed: slow reader)",
                f"{time}The coordinator is drained: moving; nothing pending.",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual((0, True), (result.exit_code, self.client.watches[0].stopped))
        self.assertIn("watch {'nodes': ('n1',), 'after': None}", self.client.calls)
        self.assertEqual("To go on from here: powercoord watch --after 48\n", result.stderr)

    def test_json(self) -> None:
        """
        Programs get one document a line.
        """
        self.client.events = [Observed(NOON, "n1", Observation(PowerState.ON)), Lagged("x")]
        lines = self.run_command("watch", "--json").stdout.splitlines()

        self.assertEqual(["observed", "lagged"], [json.loads(line)["event"] for line in lines])
        self.assertEqual(41, json.loads(lines[0])["number"])

    def test_after(self) -> None:
        """
        A watch may begin with what happened after a number, and not with what was never one.
        """
        self.run_command("watch", "--after", "7", "--json")
        self.assertIn("watch {'nodes': (), 'after': 7}", self.client.calls)
        self.assertEqual(2, self.run_command("watch", "--after", "-1").exit_code)


class ListingTests(CommandCase):
    def test_nodes(self) -> None:
        """
        Nodes are listed with drivers and groups, alike ones together.
        """
        result = self.run_command("nodes")

        self.assertEqual(
            [
                "NODES   COUNT  DRIVER  GROUPS  FROM",
                "n[1-3]  3      ipmi    rack1   configuration",
                "n4      1      ipmi            configuration",
            ],
            result.stdout.splitlines(),
        )
        listed = json.loads(self.run_command("nodes", "@rack1!n1", "--json").stdout)["nodes"]
        self.assertEqual(["n2", "n3"], [node["node"] for node in listed])

    def test_requires(self) -> None:
        """
        What nodes require is told by both lists, to people only where there is something to tell.
        """
        *blades, box = self.client.roster
        self.client.roster = (*(evolve(blade, requires=("n4",)) for blade in blades), box)
        table = self.run_command("nodes").stdout.splitlines()
        status = self.run_command("status").stdout.splitlines()
        forms = [json.loads(self.run_command(verb, "--json").stdout)["nodes"] for verb in ("nodes", "status")]

        self.assertEqual("NODES   COUNT  DRIVER  GROUPS  FROM           REQUIRES", table[0])
        self.assertEqual("n[1-3]  3      ipmi    rack1   configuration  n4", table[1])
        self.assertIn("3 nodes depend on others: n[1-3] on n4", status)
        for form in forms:
            self.assertEqual([["n4"]] * 3 + [[]], [node["requires"] for node in form])
        self.client.roster = tuple(evolve(box, name=f"m{n}", requires=(f"b{n}",)) for n in range(7))
        told = self.run_command("status").stdout
        self.assertIn("7 nodes depend on others: m0 on b0; m1 on b1; ", told)
        self.assertIn("m4 on b4; and 2 more (powercoord nodes)\n", told)

    def test_unknown_node(self) -> None:
        """
        A node that is not there is not listed but told.
        """
        result = self.run_command("nodes", "n9")

        self.assertEqual((2, "powercoord: unknown node 'n9'\n"), (result.exit_code, result.stderr))

    def test_drivers(self) -> None:
        """
        Drivers are listed, with what they lack; one alone with its settings, and an unknown one is told.
        """
        plain = {"required": False, "default": None, "secret": False, "scope": "bmc", "choices": []}
        settings = [
            {"name": "address", "label": "Address", "type": "string"} | plain | {"required": True},
            {"name": "outlet", "label": "Outlet", "type": "choice"}
            | plain
            | {"default": "a", "scope": "node", "choices": [["a", "A"], ["b", "B"]]},
            {"name": "password", "label": "Password", "type": "string"} | plain | {"secret": True},
            {"name": "tls", "label": "TLS", "type": "boolean"} | plain | {"default": True},
        ]
        strip = {"name": "strip", "title": "Power strip", "from": "strips 1.0", "missing_tools": ["nc"]}
        self.client.kinds = [
            {"name": "ipmi", "title": "IPMI", "from": "powercoord 1", "missing_tools": [], "settings": []},
            strip | {"settings": settings},
        ]
        self.client.broken_kinds = [{"name": "odd", "reason": "ImportError: no module (from odd 2)"}]

        self.assertEqual(
            [
                "DRIVER  FOR          FROM          LACKS",
                "ipmi    IPMI         powercoord 1",
                "strip   Power strip  strips 1.0    not installed: nc",
                "odd                                does not work: ImportError: no module (from odd 2)",
            ],
            self.run_command("drivers").stdout.splitlines(),
        )
        self.assertEqual(
            [
                "SETTING   WHAT      TYPE     NEEDED  DEFAULT  SECRET  OF THE  CHOICES",
                "address   Address   string   yes                      BMC",
                "outlet    Outlet    choice           a                node    a, b",
                "password  Password  string                    yes     BMC",
                "tls       TLS       boolean          true             BMC",
            ],
            self.run_command("drivers", "strip").stdout.splitlines(),
        )
        self.assertIn("'odd' is installed but does not work", self.run_command("drivers", "odd").stderr)
        self.assertEqual(
            "powercoord: unknown driver 'imi'; did you mean 'ipmi'?\n",
            self.run_command("drivers", "imi").stderr,
        )
        told = json.loads(self.run_command("drivers", "--json").stdout)
        self.assertEqual(("ipmi", "odd"), (told["drivers"][0]["name"], told["broken"][0]["name"]))

    def test_agents(self) -> None:
        """
        The agents that a driver can run here are listed, and one shown, without a coordinator.
        """

        class Runner:
            agents = staticmethod(lambda: ["fence_a", "fence_b"])
            agent_page = staticmethod(lambda name: f"{name}: a plug\nsettings:\n")

        class Sealed(FakeSession):
            def drivers(self) -> Any:
                return {"fence-agent": Runner(), "paper": object()}, {}

        self.session = Sealed(Overriding(self.client, installed=None))
        listed = self.run_command("drivers", "fence-agent", "--agent")
        self.assertEqual("fence_a\nfence_b\n", listed.stdout)
        shown = self.run_command("drivers", "fence-agent", "--agent", "fence_b")
        self.assertEqual("fence_b: a plug\nsettings:\n", shown.stdout)
        told = json.loads(self.run_command("drivers", "fence-agent", "--agent", "--json").stdout)
        self.assertEqual({"agents": ["fence_a", "fence_b"]}, told)
        for driver, words in (("paper", "runs no agents"), ("odd", "unknown driver 'odd'")):
            refused = self.run_command("drivers", driver, "--agent", "x")
            self.assertNotEqual(0, refused.exit_code)
            self.assertIn(words, refused.stderr)

    def test_broken_drivers(self) -> None:
        """
        The status names drivers that are installed and do not work.
        """
        self.client.now = Health(stage=Stage.SERVING, pending=0, broken_drivers={"odd": "no module"})

        self.assertIn(
            "Driver 'odd' is installed but does not work: no module\n", self.run_command("status").stdout
        )


class CancelTests(CommandCase):
    def test_nodes(self) -> None:
        """
        On these nodes everything is cancelled, from the tail, and told how far it had come.
        """
        self.client.busy = [busy("n1", Verb.OFF, Verb.ON), busy("n2"), busy("n3")]
        self.client.cancels = {
            "w1-n1": CancelResult.NOT_STARTED,
            "w0-n1": CancelResult.NOT_STARTED,
            "a-n1": CancelResult.STOPPED,
        }
        result = self.run_command("cancel", "n[1-2]")

        cancelled = [call for call in self.client.calls if call.startswith("cancel")]
        self.assertEqual(["cancel w1-n1", "cancel w0-n1", "cancel a-n1", "cancel a-n2"], cancelled)
        self.assertEqual(
            [
                "CANCEL                               COUNT  NODES",
                "not started: no command was sent     2      n1",
                "stopped: what remained was not sent  1      n1",
                "over: it ended by itself before      1      n2",
            ],
            result.stdout.splitlines(),
        )
        self.assertEqual(0, result.exit_code)

    def test_nothing(self) -> None:
        """
        Where nothing is in play there is nothing to cancel, and no harm.
        """
        result = self.run_command("cancel", "n1")

        self.assertEqual(
            ("Nothing is in play on n1, and nothing waits.\n", 0), (result.stdout, result.exit_code)
        )

    def test_action(self) -> None:
        """
        One action can be named; one that is not there is told.
        """
        self.client.cancels = {"a7": CancelResult.UNKNOWN}

        result = self.run_command("cancel", "--action", "a7", "--json")
        self.assertEqual({"cancelled": [{"action": "a7", "result": "unknown"}]}, json.loads(result.stdout))
        self.assertEqual(4, result.exit_code)
        missing = self.run_command("cancel", "--action", "a8")
        self.assertEqual((2, "powercoord: no action 'a8'\n"), (missing.exit_code, missing.stderr))


class DrainTests(CommandCase):
    def test_drain_and_resume(self) -> None:
        """
        The coordinator is told to stop taking work, with the reason, and to take it again.
        """
        self.client.now = Health(stage=Stage.SERVING, pending=2)
        drained = self.run_command("drain", "--reason", "moving racks")
        resumed = self.run_command("resume")

        self.assertEqual(["drain moving racks", "resume"], self.client.calls)
        self.assertEqual(
            "The coordinator takes no new changes; 2 actions go on. 'powercoord resume' ends that.\n",
            drained.stdout,
        )
        self.assertEqual(("The coordinator takes new changes.\n", 0), (resumed.stdout, resumed.exit_code))

    def test_wait(self) -> None:
        """
        With --wait the command ends when nothing goes on any more.
        """
        self.client.now = Health(stage=Stage.SERVING, pending=2)
        result = self.run_command("drain", "--wait")

        self.assertEqual("Drained: nothing is in play, and nothing waits.\n", result.stdout)
        self.assertEqual("Draining; waiting for 2 actions. Ctrl-C stops the waiting.\n", result.stderr)
        self.assertEqual(0, result.exit_code)

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends the waiting, and not the drain.
        """
        self.client.now, self.client.going_on = Health(stage=Stage.SERVING, pending=2), True
        result = self.run_command("drain", "--wait")

        self.assertEqual(130, result.exit_code)
        self.assertIn("drains on", result.stderr)
        self.assertNotIn("resume", self.client.calls)

    def test_peer_ready(self) -> None:
        """
        With a peer that takes new changes it is drained; one of several is enough.
        """
        away = FakeClient(unreachable=Unreachable("tcp:b:5250: refused"))
        self.session.peers = {"tcp:b:5250": away, "tcp:c:5250": FakeClient()}
        both = ("--if-peer-ready", "tcp:b:5250", "--if-peer-ready", "tcp:c:5250")
        result = self.run_command("drain", *both)

        self.assertEqual((0, ["drain "]), (result.exit_code, self.client.calls))
        self.assertEqual(["close", "close"], away.calls)

    def test_last_one(self) -> None:
        """
        Where no peer takes new changes it is not drained, and each peer's reason is told.
        """
        resting = FakeClient(now=Health(stage=Stage.DRAINED, pending=0, draining="moving"))
        self.session.peers = {
            "tcp:b:5250": FakeClient(unreachable=Unreachable("refused")),
            "tcp:c:5250": resting,
        }
        both = ("--if-peer-ready", "tcp:b:5250", "--if-peer-ready", "tcp:c:5250")
        result = self.run_command("drain", *both)

        self.assertEqual((1, []), (result.exit_code, self.client.calls))
        self.assertEqual(
            "powercoord: not drained: this would be the last coordinator that takes new changes"
            " (tcp:b:5250: refused; tcp:c:5250: moving)\n",
            result.stderr,
        )

    def test_both_at_once(self) -> None:
        """
        Of two that drain at once, each relying on the other, none stays drained.
        """
        peer = FakeClient()
        self.session.peers = {"tcp:b:5250": peer}
        drain = self.client.drain

        def both(reason: str, *, wait: bool = False) -> Any:
            peer.now = Health(stage=Stage.DRAINED, pending=0, draining="me too")
            return drain(reason, wait=wait)

        self.session.client = Overriding(self.client, drain=both)
        result = self.run_command("drain", "--if-peer-ready", "tcp:b:5250")

        self.assertEqual((1, ["drain ", "resume"]), (result.exit_code, self.client.calls))

    def test_resume_in_vain(self) -> None:
        """
        A coordinator that was asked to stop, or cannot write, takes nothing again; it is told why.
        """
        self.client.now = Health(stage=Stage.STOPPING, pending=1, stop_requested=True)
        result = self.run_command("resume")

        self.assertEqual("The coordinator is stopping; 1 action pending.\n", result.stdout)
        self.assertEqual(1, result.exit_code)

    def test_held_by_a_file(self) -> None:
        """
        Where a file drains it, too, a resume says that it is in vain, and why.
        """
        drain = Drain(since=NOON, reason="maint", by="lb-agent", source=Source.FILE)
        held = Health(stage=Stage.DRAINED, pending=0, drain=drain, draining="maint (by lb-agent)")
        self.session.client = Overriding(self.client, resume=lambda: succeed(held))
        result = self.run_command("resume")

        self.assertIn("drained: maint (by lb-agent, file", result.stdout)
        self.assertEqual("'resume' ends a drain by command; this one is by file.\n", result.stderr)
        self.assertEqual(1, result.exit_code)

    def test_stopped_meanwhile(self) -> None:
        """
        Who waits for a drain hears when the coordinator stops before its actions have ended.
        """
        stopping = Health(stage=Stage.STOPPING, pending=2, stop_requested=True)
        self.session.client = Overriding(self.client, drain=lambda *_, **__: succeed(stopping))
        result = self.run_command("drain", "--wait")

        self.assertEqual(
            ("The coordinator is stopping; 2 actions pending.\n", 1), (result.stdout, result.exit_code)
        )

    def test_shutdown(self) -> None:
        """
        A coordinator is let go, and what it waits for is said.
        """
        self.client.now = Health(stage=Stage.SERVING, pending=1)
        result = self.run_command("shutdown", "--requester", "bob")

        self.assertEqual(
            "The coordinator stops when 1 action has ended or its grace is over.\n", result.stdout
        )
        self.assertEqual((["shutdown"], "bob"), (self.client.calls, self.session.requester))

    def test_json(self) -> None:
        """
        Programs get how the coordinator is.
        """
        for command in ("drain", "resume", "shutdown"):
            document = json.loads(self.run_command(command, "--json").stdout)
            self.assertEqual(0, document["coordinator"]["pending"])


class ParkedTests(CommandCase):
    def parking(self, cause: Cause = Cause.UNREACHABLE, next_try: float = 30.0) -> Parking:
        return Parking(endpoint="10.0.0.1", cause=cause, since=NOON, reason="no answer", next_try=next_try)

    def test_status(self) -> None:
        """
        Nodes that are left alone are named, by cause, with when they are tried again.
        """
        self.client.parked = {
            "n1": self.parking(),
            "n2": self.parking(next_try=240.0),
            "n4": self.parking(Cause.REFUSED, 7200.0),
        }
        lines = self.run_command("status").stdout.splitlines()

        self.assertEqual(
            "3 nodes are parked: n[1-2] (unreachable, next try in 30s–4m); n4 (refused, next try in 2h)",
            lines[1],
        )

    def test_json(self) -> None:
        """
        Programs get all that is known of it.
        """
        self.client.parked = {"n1": self.parking()}
        document = json.loads(self.run_command("status", "n1", "--json").stdout)

        self.assertEqual(
            {
                "endpoint": "10.0.0.1",
                "cause": "unreachable",
                "since": NOON.isoformat(),
                "reason": "no answer",
                "next_try": 30.0,
            },
            document["nodes"][0]["parked"],
        )

    def test_unpark(self) -> None:
        """
        It says whose BMCs were parked, and that none was is no failure.
        """
        self.client.parked = {"n2": self.parking()}
        some = self.run_command("unpark", "n[1-3]", "--requester", "bob")
        none = self.run_command("unpark", "n1")
        document = json.loads(self.run_command("unpark", "n[1-2]", "--json").stdout)

        self.assertEqual((0, "Not parked any more: n2 (1 endpoint).\n"), (some.exit_code, some.stdout))
        self.assertEqual((0, "None of them was parked.\n"), (none.exit_code, none.stdout))
        self.assertEqual({"unparked": ["n2"]}, document)
        self.assertIn("unpark n1 n2 n3", self.client.calls)


class HelpTests(CommandCase):
    def test_all_commands(self) -> None:
        """
        The help names all commands and what the exit codes mean.
        """
        text = self.run_command("--help").stdout

        changing = "on off cycle reset boot cancel resolve unpark drain resume shutdown"
        looking = "status query queue watch history show nodes drivers check-config pin"
        for command in f"{changing} {looking}".split():
            self.assertIn(f"\n  {command} ", text)
            self.assertIn("Usage: powercoord", self.run_command(command, "--help").stdout)
        self.assertIn("\n  demo ", text)
        self.assertIn("\n  sim ", text)
        self.assertIn("130  Ctrl-C", text)

    def test_no_twisted(self) -> None:
        """
        Whoever only asks for help does not wait for Twisted to be imported.
        """
        program = (
            "import sys; from click.testing import CliRunner; from powercoord.cli import main; "
            "assert CliRunner().invoke(main, ['on', '--help']).exit_code == 0; "
            "print([name for name in sys.modules if name.startswith(('twisted', 'zope', 'cattr'))])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
        )

        self.assertEqual("[]\n", done.stdout)
