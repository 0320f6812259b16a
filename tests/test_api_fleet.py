# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.fleet`, `powercoord.api.batch` and `powercoord.api.pages`.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.arguments import dump
from powercoord.api.batch import MAX_ITEMS, read_batch
from powercoord.api.commands import Identify
from powercoord.api.forms import accepted_form
from powercoord.api.pages import Pusher, fill, joined, spread
from powercoord.model import Boot, BootDevice, Disposition, Policy, Request, Verb, Wait
from powercoord.testing.driver import Fault
from tests.amp_world import AmpWorld
from tests.hypothesis_notes import HypothesisNotes

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["node", "verb", "request_id", "boot", "policy", "deadline", "sequence", "wait", "x"])
odd_items = st.dictionaries(names, anything, max_size=5)


def read(batch: Any) -> list[Request]:
    return read_batch(batch, door="amp", requester="peer", new_id=lambda: "made")


class BatchTests(HypothesisNotes, SynchronousTestCase):
    def test_names(self) -> None:
        """
        Items that are names take all else from what holds for the batch.
        """
        first, second = read(
            {"items": ["n1", "n2"], "verb": "off", "requester": "fred", "request_prefix": "p-"}
        )

        self.assertEqual(
            Request(node="n1", verb=Verb.OFF, request_id="p-0", requester="fred", door="amp"), first
        )
        self.assertEqual(("n2", "p-1"), (second.node, second.request_id))

    def test_items(self) -> None:
        """
        What an item says itself goes before what the batch says.
        """
        item = {
            "node": "n1",
            "verb": "cycle",
            "request_id": "r1",
            "boot": "pxe+persistent",
            "policy": "reject",
            "wait": "none",
            "deadline": 5,
            "sequence": 0,
            "escalate": None,
        }
        (request,) = read({"items": [item], "verb": "off", "policy": "queue"})

        self.assertEqual(
            Request(
                node="n1",
                verb=Verb.CYCLE,
                request_id="r1",
                boot=Boot(BootDevice.PXE, persistent=True),
                policy=Policy.REJECT,
                wait=Wait.NONE,
                deadline=5.0,
                sequence=0,
                requester="peer",
                door="amp",
            ),
            request,
        )

    def test_ids(self) -> None:
        """
        A batch without ids and prefix gets them from here.
        """
        self.assertEqual(
            ["made-0", "made-1"],
            [request.request_id for request in read({"items": ["a", "b"], "verb": "on"})],
        )

    def test_wrong(self) -> None:
        """
        Whatever is wrong with a batch is told with its place.
        """
        on = {"verb": "on"}
        for batch, told in (
            ([], "batch"),
            ({"verb": "on"}, "items"),
            ({"items": [], **on}, "items"),
            ({"items": ["n"] * (MAX_ITEMS + 1), **on}, "501"),
            ({"items": "n1", **on}, "items"),
            ({"items": ["n1", 2], **on}, "items[1]"),
            ({"items": ["n1", ""], **on}, "items[1]"),
            ({"items": ["n1\n"], **on}, "items[0]"),
            ({"items": [{"node": "n1", "verbs": "on"}]}, "did you mean verb?"),
            ({"items": [{"node": "n1", "verb": "explode"}]}, "soft-off"),
            ({"items": [{"node": "n1", "verb": ["on"]}]}, "verb"),
            ({"items": [{"verb": "on"}]}, "node is missing"),
            ({"items": ["n1"]}, "verb is missing"),
            ({"items": ["n1"], **on, "request_id": "r"}, "request_id"),
            ({"items": ["n1"], **on, "request_prefix": 5}, "request_prefix"),
            ({"items": ["n1"], **on, "polcy": "queue"}, "did you mean policy?"),
            ({"items": ["n1"], **on, "deadline": True}, "deadline"),
            ({"items": ["n1"], **on, "deadline": float("nan")}, "deadline"),
            ({"items": ["n1"], **on, "sequence": 2**64}, "sequence"),
            ({"items": ["n1"], **on, "escalate": "no"}, "escalate"),
            ({"items": ["n1"], **on, "boot": {"device": "pxe"}}, "boot"),
            ({"items": ["n1"], "verb": "boot"}, "needs a device"),
            ({"items": ["n1"], "verb": "off", "boot": "pxe"}, "takes no boot device"),
        ):
            self.assertIn(told, str(self.assertRaises(e.BadRequest, read, batch)), batch)

    @given(
        anything
        | st.fixed_dictionaries(
            {"items": st.lists(odd_items | anything, max_size=3)}, optional={"verb": anything}
        )
    )
    def test_anything(self, batch: Any) -> None:
        """
        Whatever JSON comes, it is read as requests or refused as a bad request.
        """
        try:
            requests = read(json.loads(json.dumps(batch)))
        except e.BadRequest:
            return
        self.assertTrue(all(isinstance(request.verb, Verb) for request in requests))


class PageTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.integers(1, 200))
    def test_fill(self, forms: list[bytes], most: int) -> None:
        """
        Pages hold everything in order, and none but a single too long value is too long.
        """
        rest, pages = list(forms), []
        while rest:
            pages.append(fill(rest, most))
            rest = rest[len(pages[-1]) :]

        self.assertEqual(forms, [form for page in pages for form in page])
        self.assertTrue(all(len(page) == 1 or len(joined(page)) <= most + 1 for page in pages))

    def test_spread(self) -> None:
        """
        Five hundred answers fit into a box, whatever they say.
        """
        outcome = {"outcome": "failed", "code": "PowerUnsupportedError", "text": "x" * 500, "timeout": 180.0}
        superseded = tuple(f"{index:032}" for index in range(3))
        for form in (
            accepted_form("a" * 32, Disposition.STARTED),
            accepted_form("a" * 32, Disposition.SUPERSEDING, superseded),
            accepted_form("a" * 32, Disposition.JOINED) | {"outcome": outcome},
            {"error": "NoSuchNode", "text": "x" * 500},
        ):
            values = [value for value in spread([form] * 500) if value is not None]
            self.assertTrue(all(len(value) <= 65_535 for value in values))
            self.assertEqual(500, sum(len(json.loads(value)) for value in values))


class PusherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pages: list[list[Any]] = []
        self.answers: list[Deferred[None]] = []

    def push(self, page: bytes) -> Deferred[None]:
        self.pages.append(json.loads(page))
        self.answers.append(Deferred())
        return self.answers[-1]

    def test_one_page_at_a_time(self) -> None:
        """
        A page waits for the answer to the one before it; what came meanwhile travels together.
        """
        pusher = Pusher(self.push, 100)
        for value in (b"1", b"2", b"3"):
            pusher.add([value])
        drained = pusher.drained()
        self.assertEqual([[1]], self.pages)
        self.answers[0].callback(None)
        self.assertEqual([[1], [2, 3]], self.pages)
        self.assertNoResult(drained)
        self.answers[1].callback(None)
        self.successResultOf(drained)

    def test_lagging(self) -> None:
        """
        Whoever is too slow finds one mark in place of what was dropped, and then what came after it.
        """
        pusher = Pusher(self.push, 3)
        pusher.add([b"0"])
        for value in (b"1", b"2", b"3", b"4", b"5"):
            pusher.add([value])
        self.answers[0].callback(None)

        self.assertEqual([[0], [{"event": "lagged", "dropped": 4}, 5]], self.pages)

    def test_gone(self) -> None:
        """
        A peer that can not be told is told no more.
        """
        pusher = Pusher(self.push, 3)
        pusher.add([b"0"])
        pusher.add([b"1"])
        drained = pusher.drained()
        self.answers[0].errback(ZeroDivisionError())
        pusher.add([b"2"])

        self.successResultOf(drained)
        self.assertEqual([[0]], self.pages)


class FleetCase(SynchronousTestCase):
    count = 3

    def setUp(self) -> None:
        self.it = AmpWorld(self.count)
        self.region = self.it.stock()

    def call(self, command: Any, turn: float = 0, **arguments: Any) -> Any:
        gotten: list[Any] = []
        self.region.callRemote(command, **arguments).addBoth(gotten.append)
        self.it.carry()
        self.it.turn(turn)
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer

    def pages(self, command: Any, **arguments: Any) -> list[list[Any]]:
        pages, after = [], None
        while True:
            answer = self.call(command, after=after, **arguments)
            pages.append(answer["page"])
            after = answer["next"]
            if after is None:
                return pages


class SubmitTests(FleetCase):
    def test_answers(self) -> None:
        """
        Each item is answered in its place: its action, or why it was refused.
        """
        answer = self.call(x.Submit, batch={"items": ["n1", "n9", "n1", "n2"], "verb": "on"})

        self.assertEqual(
            [
                {"action": "a1", "disposition": "started"},
                {"error": "NoSuchNode", "text": "no node n9"},
                {"action": "a1", "disposition": "joined"},
                {"action": "a2", "disposition": "started"},
            ],
            answer["answers"],
        )

    def test_all_or_nothing(self) -> None:
        """
        A batch with one item of a wrong shape changes nothing.
        """
        error = self.call(x.Submit, batch={"items": ["n1", {"node": "n2", "verb": 5}], "verb": "on"})
        self.it.turn(1)

        self.assertIsInstance(error, e.BadRequest)
        self.assertEqual([], self.it.world.commands("n1"))

    def test_again(self) -> None:
        """
        The same batch again does nothing again, and hears how it ended.
        """
        batch = {"items": ["n1", "n9"], "verb": "on", "request_prefix": "p-"}
        self.call(x.Submit, batch=batch, turn=2)
        answer = self.call(x.Submit, batch=batch)

        self.assertEqual("joined", answer["answers"][0]["disposition"])
        self.assertEqual(
            {"outcome": "done", "how": "commanded", "state": "on"}, answer["answers"][0]["outcome"]
        )
        self.assertEqual("NoSuchNode", answer["answers"][1]["error"])
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_superseded(self) -> None:
        """
        An answer names whose place the action took.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(x.Submit, batch={"items": ["n1"], "verb": "on"}, turn=1)
        (answer,) = self.call(x.Submit, batch={"items": ["n1"], "verb": "off"})["answers"]

        self.assertEqual({"action": "a2", "disposition": "superseding", "superseded": ["a1"]}, answer)

    def test_journal(self) -> None:
        """
        When nothing can be written, nothing is accepted, and the whole batch hears why.
        """
        self.it.world.journal.failing = e.JournalUnavailable("disk full")
        error = self.call(x.Submit, batch={"items": ["n1"], "verb": "on"})
        self.flushLoggedErrors()

        self.assertIsInstance(error, e.JournalUnavailable)

    def test_cancel(self) -> None:
        """
        An action is cancelled by its id, and the answer says how far it had come.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(x.Submit, batch={"items": ["n1"], "verb": "on"}, turn=1)

        self.assertEqual({"result": "too-late"}, self.call(x.Cancel, action="a1", turn=10))
        self.assertIsInstance(self.call(x.Cancel, action="a1"), e.NoSuchAction)
        self.assertIsInstance(self.call(x.Cancel, action=""), e.BadRequest)

    def test_drain(self) -> None:
        """
        A draining coordinator says so, refuses changes, and takes them again when it resumes.
        """
        drained = self.call(x.Drain, reason="new firmware", requester="fred")["coordinator"]
        self.assertEqual(("drained", False, 0), (drained["stage"], drained["accepting"], drained["pending"]))
        draining = self.call(Identify)
        (refused,) = self.call(x.Submit, batch={"items": ["n1"], "verb": "on"})["answers"]
        self.assertEqual("serving", self.call(x.Resume)["coordinator"]["stage"])
        (accepted,) = self.call(x.Submit, batch={"items": ["n1"], "verb": "on"})["answers"]

        self.assertEqual("rack1", draining["ident"])
        self.assertIn("new firmware", draining["draining"])
        self.assertEqual("Draining", refused["error"])
        self.assertEqual("started", accepted["disposition"])
        self.assertIsInstance(self.call(x.Drain, reason="\x07"), e.BadRequest)


class LookTests(FleetCase):
    def test_query(self) -> None:
        """
        Every node is read, or says why not, in order.
        """
        self.it.world.machine("n2").on = True
        answer = self.call(x.Query, nodes=["n1", "n9", "n2"], turn=1)

        self.assertEqual(["off", "error", "on"], [reading["state"] for reading in answer["readings"]])
        self.assertEqual("NoSuchNode", answer["readings"][1]["error"])
        self.assertEqual(1, self.it.world.machine("n2").reads)

    def test_last_seen(self) -> None:
        """
        Without a fresh read the answer is what was seen last, with its age, and no BMC is asked.
        """
        self.call(x.Query, nodes=["n1"], turn=1)
        answer = self.call(x.Query, nodes=["n1", "n2", "n9"], fresh=False)

        seen, never, missing = answer["readings"]
        self.assertEqual("off", seen["state"])
        self.assertGreater(seen["age"], 0.5)
        self.assertEqual({"node": "n2", "state": "never-checked"}, {k: never[k] for k in ("node", "state")})
        self.assertEqual("error", missing["state"])
        self.assertEqual(0, self.it.world.machine("n2").reads)

    def test_stream(self) -> None:
        """
        Readings come while they are made: a BMC that does not answer delays no other.
        """
        self.it.world.machine("n1").read_faults = [Fault.LOST_REQUEST] * 9
        told: list[tuple[int, list[Any]]] = []

        class Peer(amp.AMP):
            @x.Readings.responder
            def readings(self, stream: int, readings: list[Any]) -> dict[str, Any]:
                told.append((stream, readings))
                return {}

        self.region = Peer()
        self.it.join(self.region)
        answered: list[Any] = []
        self.region.callRemote(x.Query, nodes=["n1", "n2", "n3"], stream=7).addBoth(answered.append)
        self.it.carry()
        self.it.turn(0.5)
        self.assertEqual(["n2", "n3"], [each["node"] for _, readings in told for each in readings])
        self.assertEqual([], answered)

        self.it.turn(20)
        self.assertEqual([{"readings": [], "rest": None}], answered)
        self.assertEqual({7}, {stream for stream, _ in told})
        self.assertEqual("unknown", told[-1][1][-1]["state"])

    def test_stream_of_a_lost_peer(self) -> None:
        """
        A peer that goes away while it is told leaves nothing behind.
        """
        gone = self.region.callRemote(x.Query, nodes=["n1", "n2"], stream=1)
        gone.addErrback(lambda _: None)
        self.it.carry()
        self.it.cut()
        self.it.turn(2)

        self.assertEqual([], self.flushLoggedErrors())

    def test_status(self) -> None:
        """
        Status tells what is known of nodes, and what is in their lanes.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(x.Submit, batch={"items": ["n1"], "verb": "on", "requester": "fred"}, turn=1)
        self.call(x.Submit, batch={"items": ["n1"], "verb": "off", "policy": "queue"})
        ((first, second),) = self.pages(x.Status, nodes=["n1", "n2"])

        self.assertEqual(("n1", "fake"), (first["name"], first["driver"]))
        self.assertEqual("on", first["in_play"]["verb"])
        self.assertEqual("fred", first["in_play"]["waiters"][0]["requester"])
        self.assertEqual(["off"], [action["verb"] for action in first["waiting"]])
        self.assertEqual(("never-checked", False), (second["state"], "in_play" in second))
        self.assertIsInstance(self.call(x.Status, nodes=["n1", "n9"]), e.NoSuchNode)

    def test_wrong_cursors(self) -> None:
        """
        A cursor that no page gave is refused.
        """
        for command in (x.Status, x.ListNodes, x.ListActions):
            for after in ("x", "-1", "7.7", "1.x"):
                self.assertIsInstance(self.call(command, after=after), e.BadRequest, (command, after))


class ManyNodesTests(FleetCase):
    count = 2_000

    def test_pages(self) -> None:
        """
        Lists of any length come in pages that fit, with every node once.
        """
        for command, name in ((x.Status, "name"), (x.ListNodes, "name")):
            pages = self.pages(command)
            self.assertGreater(len(pages), 1)
            self.assertEqual(self.it.world.names(), [each[name] for page in pages for each in page])

    def test_every_page_is_full(self) -> None:
        """
        A page is as long as a box allows, so that few are needed.
        """
        first, *_ = self.pages(x.Status)

        self.assertGreater(len(dump(first)), 55_000)


class ManyActionsTests(FleetCase):
    count = 300

    def test_actions(self) -> None:
        """
        The actions are those of one moment; nodes that came to rest since are left out.
        """
        for name in self.it.world.names():
            self.it.world.machine(name).latency = 5.0
        self.call(x.Submit, batch={"items": self.it.world.names(), "verb": "on"})
        first = self.call(x.ListActions)
        self.assertGreater(len(first["page"]), 50)
        self.it.turn(7)
        last = self.call(x.ListActions, after=first["next"])
        self.assertEqual(([], None), (last["page"], last["next"]))

        self.call(x.ListActions)
        self.assertIsInstance(self.call(x.ListActions, after=first["next"]), e.BadRequest)
