# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.registry.holds`: what a hold forbids, and what it does not.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.entries import Accepted, Drifted, Held, Released
from powercoord.holds import Freed, Hold, Holding, Terms
from powercoord.model import (
    CancelResult,
    Done,
    Goal,
    How,
    OnDrift,
    PowerState,
    Verb,
)
from powercoord.registry.holds import LONGEST, MOST_HOLDERS
from tests.hypothesis_notes import HypothesisNotes
from tests.registry.projection import project
from tests.registry.world import PXE, World, quick

# What each kind of hold forbids.
TABLE = """
          every on    off
on        held  held  -
off       held  -     held
soft-off  held  -     held
cycle     held  held  held
reset     held  held  held
boot      held  -     -
"""
KINDS = {"every": None, "on": Goal.ON, "off": Goal.OFF}


class HoldCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(timing=quick())

    @property
    def registry(self) -> Any:
        return self.world.registry

    def hold(self, *names: str, holder: str = "ann", reason: str = "new DIMMs", **terms: Any) -> Any:
        """
        Hold nodes; the one answer, or all.
        """
        said = Terms(holder=holder, reason=reason, **terms)
        answers = self.successResultOf(
            self.registry.holds.hold(names or ("n1",), said, f"{holder} via local")
        )
        return answers if len(names) > 1 else answers[0]

    def release(self, *names: str, holder: str | None = "ann", by: str = "ann via local") -> Any:
        answers = self.successResultOf(self.registry.holds.release(names or ("n1",), holder, by))
        return answers if len(names) > 1 else answers[0]

    def refused(self, verb: Verb, name: str = "n1", **options: Any) -> str:
        """
        Why a request is not accepted: it is held.
        """
        return self.failureResultOf(self.world.ask(verb, name, **options), e.Held).getErrorMessage()

    def restart(self, on_drift: OnDrift = OnDrift.FLAG) -> None:
        """
        Another coordinator begins with what was durable; nothing more is seen of the one before.
        """
        before = self.world
        self.world = World(timing=quick(), clock=Clock(), first_id=before.first_id + 1000)
        self.world.clock.advance(before.clock.seconds())
        nodes = self.world.roster.nodes
        nodes["n1"] = evolve(nodes["n1"], on_drift=on_drift)
        self.world.journal.entries.extend(before.journal.entries)
        self.registry.recover(project(before.journal.entries))


class TableTests(HoldCase):
    def test_table(self) -> None:
        """
        Each kind of hold forbids what it is about and nothing else, whatever the node is doing.
        """
        heads, *rows = TABLE.strip("\n").splitlines()
        for busy in (None, Verb.ON, Verb.SOFT_OFF):
            for row in rows:
                verb, *cells = row.split()
                for kind, expected in zip(heads.split(), cells, strict=True):
                    found = self.asked(Verb(verb), KINDS[kind], busy)
                    self.assertEqual(expected, found, f"{verb} under a hold of {kind}, while {busy}")

    def asked(self, verb: Verb, only: Goal | None, busy: Verb | None) -> str:
        self.world = World(timing=quick())
        self.world.machine().on = verb is not Verb.ON
        if busy is not None:
            self.world.machine().latency = 3.0
            self.world.want(busy)
        self.hold(only=only)
        accepted: list[Any] = []
        self.world.ask(verb, boot=PXE if verb is Verb.BOOT else None).addBoth(accepted.append)
        refused = isinstance(accepted[0], Failure) and accepted[0].check(e.Held)
        return "held" if refused else "-"

    def test_nobody(self) -> None:
        """
        A node that nobody holds, beside one that is held, is changed as ever.
        """
        self.hold("n2")
        asked = self.world.want(Verb.ON)
        self.world.turn(2)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)


class RefusalTests(HoldCase):
    def test_text(self) -> None:
        """
        The refusal names node, verb, holder, reason, since when and until when.
        """
        self.world.clock.advance(90)
        self.hold(until=self.world.now() + timedelta(hours=3), only=Goal.OFF)

        self.assertEqual(
            "n1: off is refused, it is held by ann since 2026-01-01 00:01:30 UTC"
            " until 2026-01-01 03:01:30 UTC, only what turns it off: new DIMMs",
            self.refused(Verb.OFF),
        )

    def test_several(self) -> None:
        """
        It says one hold in full, and names who else forbids it; who does not is not named.
        """
        self.hold()
        self.hold(holder="bob", reason="x" * 500)
        self.hold(holder="eve", only=Goal.OFF)
        text = self.refused(Verb.ON)

        self.assertIn("held by ann since 2026-01-01 00:00:00 UTC, and by bob: new DIMMs", text)
        self.assertNotIn("eve", text)
        self.release()
        self.assertLess(len(self.refused(Verb.ON)), 220)

    def test_nothing_happens(self) -> None:
        """
        What is refused leaves no trace, and may be asked again, with the same id, when the hold is gone.
        """
        self.hold()
        self.refused(Verb.OFF, request_id="mine", sequence=7)
        self.assertEqual([], self.world.journal.of(Accepted))
        self.assertIsNone(self.registry.view("n1").wanted)
        self.assertTrue(e.Held.retryable)
        self.release()
        self.world.want(Verb.OFF, request_id="mine", sequence=6)

    def test_same_turn(self) -> None:
        """
        A hold counts for what is asked after it, also in the same write, and not for what came before.
        """
        self.world.journal.hold = True
        self.world.ask(Verb.ON, "n3")  # its write is under way: what follows shares the next one
        before = self.world.ask(Verb.ON)
        held = self.registry.holds.hold(["n1"], Terms(holder="ann", reason="hands inside"), "ann")
        after = self.world.ask(Verb.OFF)
        free = self.registry.holds.release(["n1"], "ann", "ann")
        again = self.world.ask(Verb.OFF)
        self.world.journal.release()
        self.assertNoResult(held)
        self.world.journal.release()

        self.successResultOf(before)
        self.assertEqual((("a2",),), tuple(each.going_on for each in self.successResultOf(held)))
        self.failureResultOf(after, e.Held)
        self.assertEqual(1, len(self.successResultOf(free)[0].released))
        self.successResultOf(again)

    def test_durable_first(self) -> None:
        """
        Who holds hears it when it is durable; if it cannot be written nothing is held, and that is said.
        """
        self.world.journal.hold = True
        held = self.registry.holds.hold(["n1"], Terms(holder="ann", reason="hands inside"), "ann")
        self.assertNoResult(held)
        self.world.journal.fail(e.JournalUnavailable("the disk is full"))
        self.failureResultOf(held, e.JournalUnavailable)
        self.world.journal.hold = False

        self.assertEqual((), self.registry.holds.of("n1"))
        self.world.want(Verb.ON)

    def test_release_not_written(self) -> None:
        """
        What could not be written down as released is held on.
        """
        self.hold()
        self.world.journal.failing = e.JournalUnavailable("the disk is full")
        self.failureResultOf(self.registry.holds.release(["n1"], "ann", "ann"), e.JournalUnavailable)
        self.world.journal.failing = None

        self.refused(Verb.ON)


class GoingOnTests(HoldCase):
    def test_said(self) -> None:
        """
        What is in play or waits when a hold comes goes on to its end, and the holder is told of it.
        """
        self.world.machine().latency = 1.0
        off = self.world.want(Verb.OFF)
        on = self.world.want(Verb.ON)
        held = self.hold()
        self.world.turn(20)

        self.assertEqual((off.ticket.action, on.ticket.action), held.going_on)
        self.assertTrue(off.outcomes and on.outcomes)
        self.assertIn("on", self.world.commands())
        self.assertEqual((), self.hold("n2").going_on)

    def test_force_step(self) -> None:
        """
        The force of a soft-off that was accepted before the hold comes all the same.
        """
        self.world.machine().on = True
        self.world.machine().obeys_soft = False
        asked = self.world.want(Verb.SOFT_OFF)
        self.world.turn(1)
        self.hold()
        self.world.turn(30)

        self.assertEqual(["soft", "off"], self.world.commands())
        self.assertEqual(How.FORCED, asked.outcome.how)  # type: ignore[union-attr]

    def test_second_half(self) -> None:
        """
        A cycle that was accepted before the hold comes on again.
        """
        self.world.machine().on = True
        self.world.want(Verb.CYCLE)
        self.world.turn(0.1)
        self.hold()
        self.world.turn(10)

        self.assertEqual(["off", "on"], self.world.commands())

    def test_repeated_request(self) -> None:
        """
        Who asks under an id that was accepted before hears how that ends, held or not.
        """
        self.world.machine().latency = 1.0
        self.world.want(Verb.ON, request_id="mine")
        self.hold()
        again = self.world.want(Verb.ON, request_id="mine")
        self.world.turn(10)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), again.outcome)
        self.refused(Verb.ON, request_id="another")

    def test_never_held(self) -> None:
        """
        Reading, cancelling and resolving are never held.
        """
        self.world.machine().latency = 1.0
        self.world.machine("n2").latency = 1.0
        first, second = self.world.want(Verb.ON), self.world.want(Verb.ON, "n2")
        self.hold("n1", "n2", "n3")
        reading = self.registry.query("n3")
        cancelled = self.registry.cancel(first.ticket.action, "bob")
        resolved: Deferred[Any] = self.registry.resolve(second.ticket.action, "bob", "unplugged")
        self.world.turn(20)

        self.assertIs(PowerState.OFF, self.successResultOf(reading).state)
        self.assertIsInstance(self.successResultOf(cancelled), CancelResult)
        self.assertIsInstance(self.successResultOf(resolved), CancelResult)

    def test_left_over(self) -> None:
        """
        What a restart has interrupted goes on under a hold that came meanwhile.
        """
        self.world.machine().latency = 2.0
        self.world.want(Verb.ON)
        self.world.turn(0.1)
        self.hold()
        self.restart()
        self.world.turn(20)

        self.assertTrue(self.world.machine().on)
        self.refused(Verb.OFF)

    def test_while_draining(self) -> None:
        """
        Nodes can be held and released during a drain.
        """
        self.registry.drain("moving", "ann")

        self.assertIsInstance(self.hold(), Holding)
        self.assertIsInstance(self.release(), Freed)


class HolderTests(HoldCase):
    def test_own(self) -> None:
        """
        Everybody has a hold of their own: releasing one leaves the others, and says so.
        """
        self.hold()
        self.hold(holder="bob", reason="fan")
        freed = self.release(holder="bob", by="bob")

        self.assertEqual(
            (["bob"], ["ann"]), ([h.holder for h in freed.released], [h.holder for h in freed.left])
        )
        self.refused(Verb.ON)
        self.assertEqual(((), ("ann",)), self.holders(self.release(holder="bob", by="bob")))
        self.refused(Verb.ON)
        self.assertEqual((("ann",), ()), self.holders(self.release()))
        self.world.want(Verb.ON)

    def holders(self, freed: Freed) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(h.holder for h in freed.released), tuple(h.holder for h in freed.left)

    def test_somebody_elses(self) -> None:
        """
        Anybody may release what somebody else holds, by name or all of it; who did is written down.
        """
        self.hold()
        self.hold(holder="bob")
        self.hold(holder="eve")
        self.release(holder="eve", by="dan via local")
        self.release(holder=None, by="dan via local")

        self.assertEqual(
            [("eve", "dan via local"), ("ann", "dan via local"), ("bob", "dan via local")],
            [(entry.holder, entry.by) for entry in self.world.journal.of(Released)],
        )
        self.assertEqual([], self.registry.holds.names())
        self.world.want(Verb.ON)

    def test_anew(self) -> None:
        """
        Who holds again says it anew: reason, end and kind change, the beginning does not.
        """
        self.hold(lasting=60)
        self.world.clock.advance(10)
        held = self.hold(reason="and a fan", only=Goal.ON)
        (hold,) = self.registry.holds.of("n1")

        self.assertEqual("new DIMMs", held.before.reason)
        self.assertEqual(("and a fan", Goal.ON, None), (hold.reason, hold.only, hold.until))
        self.assertEqual(held.before.since, hold.since)
        self.world.turn(100, 1)
        self.refused(Verb.ON)

    def test_repeated(self) -> None:
        """
        The very same said again is written once.
        """
        until = self.world.now() + timedelta(hours=1)
        self.hold(until=until)
        self.hold(until=until)

        self.assertEqual(1, len(self.world.journal.of(Held)))

    def test_not_held(self) -> None:
        """
        Releasing what nobody holds is harmless, and nothing is written.
        """
        self.assertEqual(Freed(), self.release())
        self.assertEqual([], self.world.journal.entries)

    def test_unknown(self) -> None:
        """
        A node that does not exist is neither held nor released, and the others of the call are.
        """
        held, unknown = self.hold("n1", "n9")
        self.assertIsInstance(unknown, e.NoSuchNode)
        self.assertIsInstance(held, Holding)
        freed, unknown = self.release("n1", "n9")
        self.assertIsInstance(unknown, e.NoSuchNode)
        self.assertEqual(1, len(freed.released))

    def test_gone(self) -> None:
        """
        A node that is gone from the configuration stays held, is told of, and can be released.
        """
        self.hold()
        node = self.world.roster.nodes.pop("n1")
        self.assertEqual(["n1"], self.registry.outstanding())
        self.world.roster.nodes["n1"] = node
        self.refused(Verb.ON)
        del self.world.roster.nodes["n1"]

        self.assertEqual(1, len(self.release().released))
        self.assertEqual([], self.registry.outstanding())

    def test_too_many(self) -> None:
        """
        So many people can hold one node, and no more; who is among them can say it anew.
        """
        for number in range(MOST_HOLDERS):
            self.hold(holder=f"h{number}")

        self.assertIsInstance(self.hold(holder="one more"), e.BadRequest)
        self.assertIsInstance(self.hold(holder="h0", reason="still"), Holding)


class EndTests(HoldCase):
    def test_by_itself(self) -> None:
        """
        A hold ends by itself at its time, and that is told; no timer is left.
        """
        self.hold(lasting=60)
        self.hold(holder="bob", until=self.world.now() + timedelta(seconds=90))
        self.world.turn(59, 1)
        self.assertEqual(2, len(self.registry.holds.of("n1")))
        self.world.turn(2, 0.5)
        self.assertEqual(
            [("ann", "")], [(entry.holder, entry.by) for entry in self.world.journal.of(Released)]
        )
        self.refused(Verb.ON)
        self.world.turn(31, 1)

        self.assertEqual(["ann", "bob"], [entry.holder for entry in self.world.journal.of(Released)])
        self.assertEqual([], self.world.clock.getDelayedCalls())
        self.world.want(Verb.ON)

    def test_at_its_time(self) -> None:
        """
        It forbids nothing from that moment on, even if that could not be written yet.
        """
        self.hold(lasting=60)
        self.world.journal.failing = OSError("the disk is full")
        self.world.turn(70, 1)
        self.assertEqual((), self.registry.holds.of("n1"))
        self.assertEqual([], self.registry.holds.names())
        self.world.journal.failing = None
        self.world.want(Verb.ON)
        self.assertEqual([], self.world.journal.of(Released))
        self.world.turn(40, 1)
        self.flushLoggedErrors()

        self.assertEqual(1, len(self.world.journal.of(Released)))

    def test_clock_set_back(self) -> None:
        """
        A wall clock that is set back keeps a hold until it shows its end.
        """
        real, back = self.world.now, timedelta(0)
        self.registry.holds.now = lambda: real() - back
        self.hold(lasting=60)
        back = timedelta(hours=1)
        self.world.turn(100, 1)
        self.refused(Verb.ON)
        self.world.turn(3600, 10)

        self.assertEqual(1, len(self.world.journal.of(Released)))
        self.world.want(Verb.ON)

    def test_clock_set_on(self) -> None:
        """
        A wall clock that is set on ends a hold at once, and that is told within the hour.
        """
        real, on = self.world.now, timedelta(0)
        self.registry.holds.now = lambda: real() + on
        self.hold(lasting=86400.0)
        on = timedelta(days=1)
        self.assertEqual((), self.registry.holds.of("n1"))
        self.world.turn(3610, 10)

        self.assertEqual(1, len(self.world.journal.of(Released)))

    def test_bad_times(self) -> None:
        """
        An end in the past, at two times, or beyond a year is refused, saying what would be right.
        """
        now = self.world.now()
        for terms in (
            {"until": now},
            {"until": now - timedelta(seconds=1)},
            {"until": now + timedelta(seconds=LONGEST + 1)},
            {"lasting": 0.0},
            {"lasting": LONGEST + 1},
            {"lasting": 60.0, "until": now + timedelta(seconds=60)},
        ):
            refused = self.hold(**terms)
            self.assertIsInstance(refused, e.BadRequest, terms)
            self.assertIn("a hold ends", str(refused))

    def test_stopped(self) -> None:
        """
        A registry that was stopped leaves no timer for a hold.
        """
        self.hold(lasting=60)
        self.successResultOf(self.registry.stop("enough"))

        self.assertEqual([], self.world.clock.getDelayedCalls())


class RestartTests(HoldCase):
    def test_still_held(self) -> None:
        """
        After a restart everybody's hold is as it was, with its beginning and its end.
        """
        self.hold(lasting=60, only=Goal.OFF)
        self.hold(holder="bob")
        self.hold("n2")
        self.release("n2")
        before = self.registry.holds.of("n1")
        self.world.turn(30, 1)
        self.restart()

        self.assertEqual(before, self.registry.holds.of("n1"))
        self.assertEqual((), self.registry.holds.of("n2"))
        self.refused(Verb.ON)
        self.release(holder="bob")
        self.refused(Verb.OFF)
        self.world.turn(31, 1)
        self.world.want(Verb.OFF)

    def test_ended_meanwhile(self) -> None:
        """
        A hold whose time came while the coordinator was down is told as over.
        """
        self.hold(lasting=60)
        self.world.clock.advance(100)
        self.restart()
        self.world.want(Verb.ON)
        self.world.turn(1)

        self.assertEqual(["ann"], [entry.holder for entry in self.world.journal.of(Released)])


class DriftTests(HoldCase):
    def setUp(self) -> None:
        super().setUp()
        nodes = self.world.roster.nodes
        nodes["n1"] = evolve(nodes["n1"], on_drift=OnDrift.ENFORCE)
        self.registry.wants.resume()
        self.world.want(Verb.ON)
        self.world.turn(3)

    def drift(self) -> None:
        """
        Somebody turns it off, and it is read now and then.
        """
        self.world.machine().on = False
        for _ in range(4):
            self.registry.query("n1")
            self.world.turn(2)

    def test_not_brought_back(self) -> None:
        """
        A held node that drifts is told of and left alone, and brought back when it is released.
        """
        self.hold()
        self.drift()
        self.world.turn(5000, 10)
        self.assertEqual(["n1"], [entry.node for entry in self.world.journal.of(Drifted)])
        self.assertTrue(self.registry.view("n1").drifted)
        self.assertEqual(["on"], self.world.commands())
        self.assertEqual(1, len(self.world.journal.of(Accepted)))
        self.assertEqual([], self.world.clock.getDelayedCalls())
        self.release()
        self.world.turn(5)

        self.assertEqual(["on", "on"], self.world.commands())

    def test_ends_by_itself(self) -> None:
        """
        The end of the last hold that forbids it brings it back, and not the end of another.
        """
        self.hold(lasting=600)
        self.hold(holder="bob", lasting=300)
        self.drift()
        self.world.turn(400, 1)
        self.assertEqual(["on"], self.world.commands())
        self.world.turn(220, 1)

        self.assertEqual(["on", "on"], self.world.commands())

    def test_other_kind(self) -> None:
        """
        A hold against off does not keep a node from being brought back on.
        """
        self.hold(only=Goal.OFF)
        self.drift()

        self.assertEqual(["on", "on"], self.world.commands())

    def test_after_restart(self) -> None:
        """
        A node that had drifted and is held stays as it is over a restart.
        """
        self.hold()
        self.drift()
        self.restart(OnDrift.ENFORCE)
        self.registry.wants.resume()
        self.world.turn(100, 1)
        self.assertEqual([], self.world.commands())
        self.release()
        self.world.turn(5)

        self.assertEqual(["on"], self.world.commands())


class ViewTests(HoldCase):
    def test_seen(self) -> None:
        """
        Who holds a node is in its view, and a held node is outstanding.
        """
        self.hold(lasting=60)
        (hold,) = self.registry.view("n1").holds

        self.assertEqual(
            Hold(
                holder="ann",
                reason="new DIMMs",
                since=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
                until=datetime.fromisoformat("2026-01-01T00:01:00+00:00"),
            ),
            hold,
        )
        self.assertEqual(["n1"], self.registry.outstanding())
        self.assertEqual((), self.registry.view("n2").holds)


MOVES = st.lists(
    st.one_of(
        st.tuples(
            st.just("hold"),
            st.sampled_from(["n1", "n2"]),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from([None, *Goal]),
            st.none() | st.integers(1, 50),
        ),
        st.tuples(st.just("release"), st.sampled_from(["n1", "n2"]), st.sampled_from(["ann", "bob", None])),
        st.tuples(st.just("ask"), st.sampled_from(["n1", "n2"]), st.sampled_from(Verb)),
        st.tuples(st.just("turn"), st.integers(1, 30)),
        st.tuples(st.just("restart")),
    ),
    max_size=25,
)


class RuleTests(HypothesisNotes, HoldCase):
    @given(MOVES)
    def test_any_order(self, moves: list[tuple[Any, ...]]) -> None:
        """
        Whatever is held, released, over and restarted: refused is just what a living hold forbids.
        """
        self.world = World(timing=quick())
        holds: dict[tuple[str, str], tuple[Goal | None, float | None]] = {}
        for move in moves:
            now = self.world.clock.seconds()
            match move:
                case ("hold", node, holder, only, lasting):
                    self.hold(node, holder=holder, only=only, lasting=lasting)
                    holds[node, holder] = (only, None if lasting is None else now + lasting)
                case ("release", node, holder):
                    self.release(node, holder=holder)
                    for key in [key for key in holds if key[0] == node and holder in (None, key[1])]:
                        del holds[key]
                case ("turn", seconds):
                    self.world.turn(seconds, 1)
                case ("restart",):
                    self.restart()
                case ("ask", node, verb):
                    living = [
                        only
                        for (name, _), (only, end) in holds.items()
                        if name == node and (end is None or end > now)
                    ]
                    expected = any(self.forbidden(verb, only) for only in living)
                    self.assertEqual(expected, self.is_refused(node, verb))

    def forbidden(self, verb: Verb, only: Goal | None) -> bool:
        column = [None, Goal.ON, Goal.OFF].index(only)
        row = next(row.split() for row in TABLE.splitlines() if row.startswith(f"{verb.value} "))
        return row[1 + column] == "held"

    def is_refused(self, node: str, verb: Verb) -> bool:
        heard: list[Any] = []
        self.world.ask(verb, node, boot=PXE if verb is Verb.BOOT else None).addBoth(heard.append)
        return isinstance(heard[0], Failure) and heard[0].check(e.Held) is e.Held
