# SPDX-License-Identifier: MIT
"""
Tests for holds on the wire: `powercoord.api.holding` and `powercoord.client.holding`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.commands import REFUSALS, PowerOff
from powercoord.api.forms import MAX_HOLDS
from powercoord.api.past import MAX_READING
from powercoord.client import HeldNode, Refused, ReleasedNode
from powercoord.durable import Numbered
from powercoord.entries import Held, Released
from powercoord.forms import event_form, event_from
from powercoord.holds import Hold, Terms
from powercoord.model import Goal, Verb
from tests.amp_world import REMOTE, AmpWorld
from tests.hypothesis_notes import HypothesisNotes
from tests.test_api_fleet import anything

BEGIN = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


class WireCase(SynchronousTestCase):
    count = 3

    def setUp(self) -> None:
        self.it = AmpWorld(self.count)
        self.peer = self.it.stock()

    @property
    def registry(self) -> Any:
        return self.it.world.registry

    def call(self, command: Any, peer: Any = None, **arguments: Any) -> Any:
        gotten: list[Any] = []
        (peer or self.peer).callRemote(command, **arguments).addBoth(gotten.append)
        self.it.carry()
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer

    def hold(self, *names: str, reason: str = "new DIMMs", **more: Any) -> Any:
        return self.call(x.Hold, nodes=list(names or ("n1",)), reason=reason, **more)

    def release(self, *names: str, **more: Any) -> Any:
        return self.call(x.Release, nodes=list(names or ("n1",)), **more)

    def holders(self, name: str = "n1") -> list[str]:
        return [hold.holder for hold in self.registry.holds.of(name)]


class HoldTests(WireCase):
    def test_each(self) -> None:
        """
        Each node has its answer: held, held anew, what goes on there, or why not.
        """
        self.hold("n2", requester="ann")
        self.it.world.machine("n3").latency = 5.0
        asked = self.it.world.want(Verb.ON, "n3")
        said = self.hold("n1", "n2", "n3", "n9", requester="ann")

        self.assertEqual(
            [
                {},
                {"anew": True},
                {"going_on": [asked.ticket.action]},
                {"error": "NoSuchNode", "text": "no node n9"},
            ],
            said["answers"],
        )

    def test_written_down(self) -> None:
        """
        The requester is the holder, the peer where it says none; who asked and from where is written down.
        """
        remote = self.it.stock(REMOTE)
        self.hold("n1", requester="ann", until="2026-01-01T05:00:00+01:00", only="off")
        self.call(x.Hold, peer=remote, nodes=["n2"], reason="fan", lasting=60.0)

        self.assertEqual(
            [
                Held(
                    BEGIN,
                    "n1",
                    Hold(
                        holder="ann",
                        reason="new DIMMs",
                        since=BEGIN,
                        only=Goal.OFF,
                        until=BEGIN + timedelta(hours=4),
                    ),
                    "ann via local",
                ),
                Held(
                    BEGIN,
                    "n2",
                    Hold(holder="10.0.0.9", reason="fan", since=BEGIN, until=BEGIN + timedelta(minutes=1)),
                    "10.0.0.9",
                ),
            ],
            self.it.world.journal.of(Held),
        )

    def test_refused(self) -> None:
        """
        A change of a held node is answered with a code of its own, or as the failure that MAAS knows.
        """
        self.hold("n1", requester="ann")
        answers = self.call(x.Submit, batch={"items": ["n1", "n2"], "verb": "on"})["answers"]
        reconciled = self.call(x.Reconcile, reconcile_id="p1", items=[{"node": "n1", "state": "off"}])
        node = {"system_id": "n1", "hostname": "n1", "power_type": "fake", "context": {}}
        error, maas = self.call(PowerOff, request_id="mine", **node), self.call(PowerOff, **node)

        self.assertEqual(("Held", "started"), (answers[0]["error"], answers[1]["disposition"]))
        self.assertIn("held by ann since 2026-01-01 00:00:00 UTC: new DIMMs", answers[0]["text"])
        self.assertEqual("Held", reconciled["answers"][0]["error"])
        self.assertIsInstance(error, e.Held)
        self.assertIsInstance(maas, e.PowerActionFail)
        self.assertIn("Held: n1: off is refused, it is held by ann", str(maas))
        self.assertEqual(b"Held", REFUSALS[e.Held])

    def test_bad_words(self) -> None:
        """
        What makes no sense is refused as a whole, naming what is wrong; nothing is held.
        """
        for arguments, words in (
            ({"nodes": []}, "nodes: it must be a list of 1 to 500"),
            ({"nodes": ["n1", "n2", "n1"]}, "nodes: n1 stands twice"),
            ({"reason": " "}, "reason: it must be a text of 1 to 500"),
            ({"reason": "a\nb"}, "reason: "),
            ({"only": "reset"}, "only: it must be on or off"),
            ({"until": "tomorrow"}, "until: it must be a time with its offset"),
            ({"until": "2026-01-01T05:00:00"}, "until: it must be a time with its offset"),
            ({"until": "0001-01-01T00:00:00+14:00"}, "until: it must be a time with its offset"),
            ({"requester": "x" * 200}, "requester: "),
        ):
            refused = self.call(x.Hold, **({"nodes": ["n1", "n2"], "reason": "why"} | arguments))
            self.assertIsInstance(refused, e.BadRequest, arguments)
            self.assertIn(words, str(refused))
        self.assertEqual([], self.it.world.journal.entries)

    def test_bad_times(self) -> None:
        """
        A time that has passed is refused node by node, saying what time it is.
        """
        (form,) = self.hold(until="2025-12-31T00:00:00+00:00")["answers"]

        self.assertEqual("BadRequest", form["error"])
        self.assertIn("it is 2026-01-01 00:00:00 UTC", form["text"])


class ReleaseTests(WireCase):
    def setUp(self) -> None:
        super().setUp()
        for holder in ("ann", "bob", "eve"):
            self.hold("n1", requester=holder)

    def test_own(self) -> None:
        """
        The requester's own holds are released, and it is said how many are left.
        """
        said = self.release("n1", "n2", "n9", requester="bob")

        self.assertEqual([{"released": 1, "left": 2}, {"released": 0, "left": 0}], said["answers"][:2])
        self.assertEqual("NoSuchNode", said["answers"][2]["error"])
        self.assertEqual(["ann", "eve"], self.holders())

    def test_others(self) -> None:
        """
        Those of another are released by name, or everybody's at once; who did it is written down.
        """
        self.release(holder="eve", requester="bob")
        self.assertEqual(["ann", "bob"], self.holders())
        self.assertEqual(
            [{"released": 2, "left": 0}], self.release(everybody=True, requester="bob")["answers"]
        )

        self.assertEqual(
            [("eve", "bob via local"), ("ann", "bob via local"), ("bob", "bob via local")],
            [(entry.holder, entry.by) for entry in self.it.world.journal.of(Released)],
        )

    def test_both(self) -> None:
        """
        A holder and everybody contradict each other.
        """
        self.assertIsInstance(self.release(everybody=True, holder="ann"), e.BadRequest)
        self.assertEqual(3, len(self.holders()))


class SeenTests(WireCase):
    def test_status(self) -> None:
        """
        Who holds a node stands in its status, and a held node is outstanding.
        """
        self.hold("n2", requester="ann", lasting=60.0, only="on")
        one, two, _ = self.call(x.Status)["page"]
        (outstanding,) = self.call(x.ListOutstanding)["page"]

        self.assertNotIn("holds", one)
        self.assertEqual(
            [
                {
                    "holder": "ann",
                    "reason": "new DIMMs",
                    "since": "2026-01-01T00:00:00+00:00",
                    "only": "on",
                    "until": "2026-01-01T00:01:00+00:00",
                }
            ],
            two["holds"],
        )
        self.assertEqual(two, outstanding)

    def test_actions(self) -> None:
        """
        A node with an action in play that was held meanwhile says so in the list of actions.
        """
        self.it.world.machine().latency = 5.0
        self.it.world.want(Verb.ON)
        self.hold()
        (busy,) = self.call(x.ListActions)["page"]

        self.assertEqual(("n1", "local"), (busy["name"], busy["holds"][0]["holder"]))

    def test_gone(self) -> None:
        """
        A held node that nobody knows any more is outstanding, with who holds it.
        """
        self.hold()
        del self.it.world.roster.nodes["n1"]
        (form,) = self.call(x.ListOutstanding)["page"]

        self.assertEqual(("unconfigured", "new DIMMs"), (form["state"], form["holds"][0]["reason"]))
        self.assertEqual([{"released": 1, "left": 0}], self.release()["answers"])

    def test_long(self) -> None:
        """
        However much is said of one node, its form fits into a box; the rest is counted.
        """
        for number in range(8):
            self.hold("n1", reason="ü" * 500, requester=f"{number}" + "ü" * 127)
        (form,) = self.call(x.Status, nodes=["n1"])["page"]

        self.assertEqual((MAX_HOLDS, 4), (len(form["holds"]), form["more_holds"]))

    def test_told(self) -> None:
        """
        Holding, releasing and the end of a hold are events, told to who asks for them.
        """
        client = self.it.client()
        watch = self.successResultOf(self.carried(client.watch(nodes=["n1"])))
        self.hold("n1", "n2", requester="ann", lasting=60.0)
        self.hold("n1", requester="bob")
        self.release(requester="bob")
        self.it.turn(61, 1)
        events = [self.successResultOf(self.carried(watch.__anext__())) for _ in range(4)]

        self.assertEqual(
            [
                event_from(event_form(entry))
                for entry in self.it.world.journal.entries
                if isinstance(entry, Held | Released) and entry.node == "n1"
            ],
            events,
        )
        self.assertEqual(["ann", "bob"], [entry.hold.holder for entry in events[:2]])

    def carried(self, answer: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(answer)
        self.it.carry()
        return deferred


class HistoryTests(WireCase):
    def test_pages(self) -> None:
        """
        Who held and released a node is told, newest first, page by page.
        """
        for index in range(3):
            self.hold("n1", "n2", requester=f"h{index}")
        self.release(requester="h1")
        said = self.call(x.HoldHistory, nodes=["n1"], limit=3)
        rest = self.call(x.HoldHistory, nodes=["n1"], limit=3, before=said["next"])

        self.assertEqual(
            [("released", "h1"), ("held", "h2"), ("held", "h1"), ("held", "h0")],
            [(form["event"], form["holder"]) for form in [*said["page"], *rest["page"]]],
        )
        self.assertIsNone(rest["next"])
        self.assertEqual(7, len(self.call(x.HoldHistory)["page"]))

    def test_at_once(self) -> None:
        """
        A connection has only so many pages of the past under way, of whichever kind.
        """
        history: Any = self.it.reception.coordinator.history
        history.hold = True
        waiting = [self.peer.callRemote(x.History) for _ in range(MAX_READING)]
        refused = self.call(x.HoldHistory)
        history.hold = False

        self.assertIsInstance(refused, e.BadRequest)
        while history.held:
            history.release()
            self.it.carry()
        for answer in waiting:
            self.successResultOf(answer)


def is_json(value: Any) -> bool:
    """
    Whether JSON has words for it: our own side refuses to say anything else.
    """
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


class OddTests(HypothesisNotes, WireCase):
    @given(
        nodes=anything.filter(is_json),
        reason=st.text(max_size=5),
        until=st.none() | st.text(max_size=30),
        only=st.text(max_size=3),
    )
    def test_anything(self, nodes: Any, reason: str, until: str | None, only: str) -> None:
        """
        Whatever a peer sends is answered, or refused with a reason.
        """
        said = self.call(x.Hold, nodes=nodes, reason=reason, until=until, only=only)

        self.assertIsInstance(said, dict | e.BadRequest)


class ClientTests(WireCase):
    count = 700

    def setUp(self) -> None:
        super().setUp()
        self.client = self.it.client(requester="ann")

    def result(self, deferred: Deferred[Any]) -> Any:
        self.it.carry()
        return self.successResultOf(deferred)

    def test_many(self) -> None:
        """
        Any number of nodes is held and released, with one answer for each, in order.
        """
        names = self.it.world.names()
        held = self.result(self.client.hold([*names, "n0"], "moving", lasting=60, only=Goal.ON))
        self.assertEqual([HeldNode(node=name) for name in names], [*held[:-1]])
        self.assertIsInstance(held[-1].error, e.NoSuchNode)
        self.assertEqual({Goal.ON}, {self.registry.holds.of(name)[0].only for name in names})
        (anew,) = self.result(self.client.hold(["n7"], "moving", until=BEGIN + timedelta(days=1)))
        self.assertTrue(anew.anew)
        freed = self.result(self.client.release(names))

        self.assertEqual([ReleasedNode(node=name, released=1) for name in names], [*freed])
        self.assertEqual([], self.registry.holds.names())

    def test_refusal(self) -> None:
        """
        A refusal arrives as its class, for one node and for many; Status tells who holds it.
        """
        self.result(self.client.hold(["n1"], "moving"))
        outcome = self.client.on("n1")
        self.it.carry()
        self.failureResultOf(outcome, e.Held)
        answers = self.result(
            self.client.submit([self.client.request(name, Verb.OFF) for name in ("n1", "n2")])
        )
        assert isinstance(answers[0], Refused)
        self.assertIsInstance(answers[0].error, e.Held)
        (status,) = self.result(self.client.status(["n1"]))

        self.assertEqual((Hold(holder="ann", reason="moving", since=BEGIN),), status.holds)

    def test_all_refused(self) -> None:
        """
        When 500 held nodes are asked for at once, each refusal still says by whom and why.
        """
        names = self.it.world.names()[:500]
        self.result(self.client.hold(names, "x" * 500, lasting=3600, only=Goal.ON))
        answers = self.result(self.client.submit([self.client.request(name, Verb.ON) for name in names]))

        self.assertEqual(500, sum("held by ann since" in str(answer.error) for answer in answers))
        self.assertEqual(500, sum("only what turns it on: xxx" in str(answer.error) for answer in answers))

    def test_others(self) -> None:
        """
        The holds of somebody else can be released by name, or everybody's.
        """
        for holder in ("bob", "eve", "dan"):
            self.registry.holds.hold(["n1"], Terms(holder=holder, reason="why"), holder)
        (own,) = self.result(self.client.release(["n1"]))
        (bobs,) = self.result(self.client.release(["n1"], holder="bob"))
        (all_,) = self.result(self.client.release(["n1"], everybody=True))

        self.assertEqual([(0, 3), (1, 2), (2, 0)], [(it.released, it.left) for it in (own, bobs, all_)])

    def test_history(self) -> None:
        """
        The past of holds can be cut at a number and at a moment.
        """
        names = self.it.world.names()[:300]
        self.result(self.client.hold(names, "moving"))
        self.it.clock.advance(100)
        self.result(self.client.release(["n1", "n250"]))
        everything = self.result(self.client.hold_history(names, limit=1000))
        late = self.result(self.client.hold_history(names, since=BEGIN + timedelta(seconds=50)))
        few = self.result(self.client.hold_history(limit=3))

        self.assertEqual(302, len(everything))
        self.assertEqual(["n250", "n1"], [each.entry.node for each in late])
        self.assertEqual([302, 301, 300], [each.number for each in few])
        self.assertEqual({Numbered}, {type(each) for each in everything})

    def test_lost_connection(self) -> None:
        """
        A hold whose answer was lost with the connection is sent again, and is one hold all the same.
        """
        holding = self.client.hold(["n1"], "moving")
        self.it.cut()
        self.it.turn(5)

        self.assertEqual("n1", self.successResultOf(holding)[0].node)
        self.assertEqual(["ann"], self.holders())
        self.assertEqual(1, len(self.it.world.journal.of(Held)))
