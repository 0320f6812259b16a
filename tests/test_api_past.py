# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.past`, `powercoord.api.recovery` and `powercoord.api.desires`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.desires import DOOR, read_desires, request_id
from powercoord.api.past import MAX_RECORDS
from powercoord.api.sparing import AT_ONCE
from powercoord.model import CancelResult, Goal, Verb, Wanted
from powercoord.views import NodeView
from tests.amp_world import REMOTE, AmpWorld
from tests.hypothesis_notes import HypothesisNotes
from tests.test_api_fleet import anything

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WANTED = Wanted(
    goal=Goal.ON, since=NOON, action="a7", request_id="r7", requester="region", door="amp", sequence=3
)


class Around:
    """
    A registry that knows more than the real one was told.
    """

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self.drifting: list[str] = []
        self.resolved: list[tuple[str, str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def outstanding(self) -> Sequence[str]:
        busy = [view.node.name for view in self._registry.busy()]
        return [*busy, *self.drifting]

    def view(self, name: str) -> NodeView:
        view: NodeView = self._registry.view(name)
        return evolve(view, wanted=WANTED, drifted=True) if name in self.drifting else view

    def resolve(self, action: str, by: str, text: str) -> Deferred[CancelResult]:
        if action == "gone":
            raise e.NoSuchAction("no action gone is in play or waiting")
        self.resolved.append((action, by, text))
        return succeed(CancelResult.STOPPED)


class PastCase(SynchronousTestCase):
    count = 3

    def setUp(self) -> None:
        self.it = AmpWorld(self.count)
        self.registry = Around(self.it.world.registry)
        self.it.restart(self.registry)
        self.peer = self.it.stock()

    def call(self, command: Any, turn: float = 0, peer: Any = None, **arguments: Any) -> Any:
        gotten: list[Any] = []
        (peer or self.peer).callRemote(command, **arguments).addBoth(gotten.append)
        self.it.carry()
        self.it.turn(turn)
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer

    def refused(self, command: Any, **arguments: Any) -> str:
        error = self.call(command, **arguments)
        self.assertIsInstance(error, e.BadRequest)
        return str(error)

    def submit(self, *names: str, verb: str = "on", turn: float = 2, **more: Any) -> None:
        self.call(x.Submit, batch={"items": list(names), "verb": verb, **more}, turn=turn)


class HistoryTests(PastCase):
    def test_requests(self) -> None:
        """
        The past tells who asked what, when, through which door, and how it ended; newest first.
        """
        self.submit("n1", requester="alice", request_prefix="p-")
        self.submit("n2", verb="off")
        second, first = self.call(x.History)["page"]

        self.assertEqual(
            {"node": "n1", "verb": "on", "request_id": "p-0", "requester": "alice", "door": "amp"},
            first["request"],
        )
        self.assertEqual(("done", "started"), (first["outcome"]["outcome"], first["disposition"]))
        self.assertLess(first["at"], first["answered"])
        self.assertEqual("n2", second["request"]["node"])

    def test_of_nodes(self) -> None:
        """
        Only some nodes can be asked about, also such as are no longer there.
        """
        self.submit("n1", "n2")

        (record,) = self.call(x.History, nodes=["n2", "gone"])["page"]
        self.assertEqual("n2", record["request"]["node"])
        self.assertEqual([], self.call(x.History, nodes=["gone"])["page"])

    def test_pages(self) -> None:
        """
        A long past comes in pages, each request once.
        """
        for index in range(5):
            self.submit("n1", "n2", request_prefix=f"{index}-")
        seen, before, pages = [], None, 0
        while pages < 9:
            said = self.call(x.History, before=before, limit=3)
            seen += [record["number"] for record in said["page"]]
            before, pages = said["next"], pages + 1
            if before is None:
                break

        self.assertEqual((10, 4), (len(set(seen)), pages))
        self.assertEqual(sorted(seen, reverse=True), seen)

    def test_full_pages(self) -> None:
        """
        A page is never too long for its box, and what did not fit comes with the next.
        """
        for index in range(220):
            request_id = {"request_prefix": f"{index:03}" + "x" * 100, "requester": "\u00fc" * 128}
            self.call(x.Submit, batch={"items": ["n1"], "verb": "on", **request_id})
        self.it.turn(2)
        first = self.call(x.History)
        second = self.call(x.History, before=first["next"])
        third = self.call(x.History, before=second["next"])

        self.assertGreater(len(first["page"]), 50)
        self.assertEqual(220, sum(len(said["page"]) for said in (first, second, third)))
        self.assertIsNone(third["next"])

    def test_bounds(self) -> None:
        """
        Senseless bounds are refused, and a huge limit asks for a page all the same.
        """
        for wrong in (
            {"limit": 0},
            {"limit": -5},
            {"before": -1},
            {"before": 2**70},
            {"nodes": []},
            {"nodes": {}},
            {"nodes": ["n1", 5]},
            {"nodes": ["n"] * 501},
        ):
            self.refused(x.History, **wrong)
        self.submit("n1")
        self.assertEqual(1, len(self.call(x.History, limit=10**9)["page"]))
        self.assertEqual(500, MAX_RECORDS)

    def test_too_many_at_once(self) -> None:
        """
        However many pages are asked for, few are read at once, and a connection waits for few.
        """
        history = self.it.reception.coordinator.history
        history.hold = True
        peers = [self.peer, self.it.stock()]
        heard: list[Any] = []
        for peer in peers:
            for _ in range(9):
                peer.callRemote(x.History).addBoth(heard.append)
        self.it.carry()
        self.assertEqual([e.BadRequest] * 2, [failure.type for failure in heard])
        for left in range(16, 0, -1):
            self.assertEqual(min(left, AT_ONCE), len(history.held))
            history.release()
            self.it.carry()

        self.assertEqual(18, len(heard))
        history.hold = False
        self.assertEqual([], self.call(x.History)["page"])

    def test_show(self) -> None:
        """
        An action is shown with every phase and its time, and with the requests that it answered.
        """
        self.submit("n1")
        (record,) = self.call(x.History)["page"]
        shown = self.call(x.ShowAction, action=record["action"])

        kinds = [event["event"] for event in shown["page"]]
        self.assertEqual(["accepted", "entered", "entered", "entered", "ended", "answered"], kinds)
        numbers = [event["number"] for event in shown["page"]]
        self.assertEqual(sorted(numbers), numbers)
        self.assertIsNone(shown["next"])
        tail = self.call(x.ShowAction, action=record["action"], after=numbers[3])
        self.assertEqual(["ended", "answered"], [event["event"] for event in tail["page"]])

    def test_show_nothing(self) -> None:
        """
        An action that nothing is known of is refused.
        """
        self.assertIsInstance(self.call(x.ShowAction, action="a99"), e.NoSuchAction)
        self.refused(x.ShowAction, action="")
        self.refused(x.ShowAction, action="a1", after=-1)

    def test_no_history(self) -> None:
        """
        Where nothing is kept that is said, and what to configure.
        """
        self.it = AmpWorld(remembering=False)
        self.peer = self.it.stock()

        self.assertIn("keeps no history", self.refused(x.History))
        self.assertIn("keeps no history", self.refused(x.ShowAction, action="a1"))


class ResolveTests(PastCase):
    def test_audited(self) -> None:
        """
        Who resolves an action is written with the peer's name, and with the reason.
        """
        said = self.call(x.Resolve, action="a1", reason=" board replaced ", requester="alice")
        self.assertEqual({"result": "stopped"}, said)
        self.call(x.Resolve, action="a2", reason="r", peer=self.it.stock(REMOTE))

        self.assertEqual(
            [("a1", "alice via local", "board replaced"), ("a2", "10.0.0.9", "r")], self.registry.resolved
        )

    def test_refused(self) -> None:
        """
        Without a reason nothing is resolved, nor an action that is not there.
        """
        for reason in ("", "  ", "x" * 501, "a\nb"):
            self.assertIn("reason", self.refused(x.Resolve, action="a1", reason=reason))
        self.assertIsInstance(self.call(x.Resolve, action="gone", reason="r"), e.NoSuchAction)
        self.assertEqual([], self.registry.resolved)


class OutstandingTests(PastCase):
    def test_outstanding(self) -> None:
        """
        What is unfinished is told with its phase and its requester, and what is wanted with what was seen.
        """
        self.it.world.machine("n1").latency = 5.0
        self.submit("n1", turn=1, requester="alice")
        self.registry.drifting = ["n2"]
        busy, drifted = self.call(x.ListOutstanding)["page"]

        self.assertEqual(("n1", "verifying"), (busy["name"], busy["in_play"]["phase"]))
        self.assertEqual("alice", busy["in_play"]["waiters"][0]["requester"])
        self.assertNotIn("drifted", busy)
        self.assertEqual((True, "never-checked"), (drifted["drifted"], drifted["state"]))
        self.assertEqual(
            {
                "goal": "on",
                "since": "2026-11-21T12:00:00+00:00",
                "action": "a7",
                "request_id": "r7",
                "requester": "region",
                "door": "amp",
                "sequence": 3,
            },
            drifted["wanted"],
        )

    def test_node_that_was_not_brought(self) -> None:
        """
        A node that a caller brought before a restart, and has not brought again, is told too.
        """
        self.registry.drifting = ["brought"]
        (form,) = self.call(x.ListOutstanding)["page"]

        self.assertEqual(("brought", "unconfigured"), (form["name"], form["state"]))

    def test_stale_list(self) -> None:
        """
        A page of a list that is gone is refused.
        """
        self.call(x.ListOutstanding)
        for after in ("7.0", "x", "1.x", "1.-1", ""):
            self.refused(x.ListOutstanding, after=after)


class ManyOutstandingTests(PastCase):
    count = 600

    def test_pages(self) -> None:
        """
        Any number of nodes is told, each once, in pages that fit into a box.
        """
        self.registry.drifting = list(self.it.world.names())
        names: list[str] = []
        said: dict[str, Any] = {"next": None}
        for _ in range(20):
            said = self.call(x.ListOutstanding, after=said["next"])
            names += [form["name"] for form in said["page"]]
            if said["next"] is None:
                break

        self.assertEqual(self.registry.drifting, names)


class ReconcileTests(PastCase):
    def reconcile(self, *items: Any, reconcile_id: str = "plan-1", turn: float = 2) -> list[Any]:
        said = self.call(x.Reconcile, reconcile_id=reconcile_id, items=list(items), turn=turn)
        answers: list[Any] = said["answers"]
        return answers

    def test_converges(self) -> None:
        """
        Nodes are brought to what is wanted of them, through the registry as any request.
        """
        self.it.world.machine("n2").on = True
        self.reconcile({"node": "n1", "state": "on", "sequence": 4}, {"node": "n2", "state": "off"})

        self.assertEqual((["on"], ["off"]), (self.it.world.commands("n1"), self.it.world.commands("n2")))
        second, first = self.call(x.History)["page"]
        self.assertEqual(
            {
                "node": "n1",
                "verb": "on",
                "request_id": "plan-1:n1",
                "requester": "local",
                "door": DOOR,
                "sequence": 4,
            },
            first["request"],
        )
        self.assertEqual("plan-1:n2", second["request"]["request_id"])

    def test_page_that_comes_again(self) -> None:
        """
        A page that is sent again runs nothing twice, and hears how it ended.
        """
        self.reconcile({"node": "n1", "state": "on"})
        self.it.world.machine("n1").on = False
        (again,) = self.reconcile({"node": "n1", "state": "on"})

        self.assertEqual(["on"], self.it.world.commands("n1"))
        self.assertEqual(("joined", "done"), (again["disposition"], again["outcome"]["outcome"]))

    def test_refused_one_by_one(self) -> None:
        """
        A node with a stale sequence or an unknown name is refused for itself, and the others go on.
        """
        self.reconcile({"node": "n1", "state": "on", "sequence": 9})
        stale, nobody, good = self.reconcile(
            {"node": "n1", "state": "off", "sequence": 8},
            {"node": "n9", "state": "on"},
            {"node": "n2", "state": "on"},
            reconcile_id="plan-2",
        )

        self.assertEqual(("Stale", "NoSuchNode"), (stale["error"], nobody["error"]))
        self.assertEqual("started", good["disposition"])
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_wrong(self) -> None:
        """
        Whatever is wrong with a page is told with its place, and nothing of it is done.
        """
        good = {"node": "n1", "state": "on"}
        for items, told in (
            ([], "items"),
            ({}, "items"),
            ([good] * 501, "501"),
            ([good, good], "items[1]: n1 stands twice"),
            ([good, "n2"], "items[1]"),
            ([{"node": "n1"}], "items[0]: state"),
            ([{"node": "n1", "state": "cycle"}], "on or off"),
            ([{"node": "n1", "state": ["on"]}], "on or off"),
            ([{"state": "on"}], "node is missing"),
            ([good | {"verb": "off"}], "'verb'"),
            ([good | {"sequence": -1}], "sequence"),
            ([good | {"node": "n\n"}], "node"),
        ):
            self.assertIn(told, self.refused(x.Reconcile, reconcile_id="p", items=items))
        for reconcile_id in ("", "x" * 65, "a\x00"):
            self.assertIn("reconcile_id", self.refused(x.Reconcile, reconcile_id=reconcile_id, items=[good]))
        self.assertEqual([], self.it.world.commands("n1"))

    def test_deep_json(self) -> None:
        """
        JSON that is nested without measure is one refused call, and no more.
        """
        peer = self.it.raw()
        deep = b"[" * 60_000
        parts = (b"_ask", b"1", b"_command", b"Reconcile", b"reconcile_id", b"p", b"items", deep)
        self.it.send(peer, b"".join(len(part).to_bytes(2, "big") + part for part in parts) + b"\0\0")

        (box,) = peer.boxes()
        self.assertEqual(b"BAD_REQUEST", box[b"_error_code"])
        self.assertEqual([], self.flushLoggedErrors())


class DesireTests(HypothesisNotes, SynchronousTestCase):
    @given(anything | st.lists(anything | st.dictionaries(st.sampled_from(["node", "state"]), anything)))
    def test_anything(self, items: Any) -> None:
        """
        Whatever JSON comes, it is read as what is wanted or refused as a bad request.
        """
        try:
            requests = read_desires("p", json.loads(json.dumps(items)), "me")
        except e.BadRequest:
            return
        self.assertTrue(all(request.verb in (Verb.ON, Verb.OFF) for request in requests))

    @given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=255))
    def test_ids(self, reconcile_id: str, node: str) -> None:
        """
        An id is never too long for one, and the same each time.
        """
        self.assertLessEqual(len(request_id(reconcile_id, node)), 128)
        self.assertEqual(request_id(reconcile_id, node), request_id(reconcile_id, node))
        self.assertNotEqual(request_id(reconcile_id, node), request_id(reconcile_id, node + "x"))
