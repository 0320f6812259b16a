# SPDX-License-Identifier: MIT
"""
What becomes of every action that a restart has interrupted, whatever its node is found in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Left, Pending, Record, Recovered, Seen
from powercoord.entries import Answered, Ended, Entered, Observed, Resolved
from powercoord.errors import BadRequest, JournalUnavailable, NoSuchAction, Stale
from powercoord.model import (
    Boot,
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Interrupted,
    Limit,
    Outcome,
    Phase,
    PowerState,
    Request,
    Superseded,
    Target,
    Unknown,
    Verb,
    Wanted,
)
from powercoord.registry.running import RESUMED
from powercoord.testing.driver import Fault
from tests.registry.projection import project
from tests.registry.rack import glide, most_starting
from tests.registry.world import PXE, Asked, World, quick

BEFORE = 5.0
Q, A, S, V, C = Phase.QUEUED, Phase.ADMITTED, Phase.SENT, Phase.VERIFYING, Phase.CANCELLING
ON, OFF, SOFT, CYCLE, RESET, BOOT = Verb.ON, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE, Verb.RESET, Verb.BOOT


def left(world: World, verb: Verb, phase: Phase = Q, half: str = "", *sent: str, **more: Any) -> Left:
    """
    An action that was begun some seconds ago, with one request.
    """
    ago = more.pop("ago", BEFORE)
    action, node = more.pop("action", "x1"), more.pop("node", "n1")
    request_id, options = more.pop("request_id", f"q-{action}"), more.pop("options", {})
    at = world.now() - timedelta(seconds=ago)
    boot: Boot | None = PXE if verb is BOOT else None
    request = Request(node=node, verb=verb, request_id=request_id, boot=boot, **options)
    whole = Left(
        action=action,
        node=node,
        verb=verb,
        boot=boot,
        since=at,
        phase=phase,
        half=half,
        at=at,
        turn=None if phase is Q else at,
        sent=sent,
        pending=(Pending(request, at),),
    )
    return evolve(whole, **more)


def recovering(**options: Any) -> World:
    """
    A world whose clock has been running for a while.
    """
    world = World(timing=quick(), **options)
    world.clock.advance(1000)
    return world


def again(world: World, one: Left) -> Asked:
    """
    Whoever asked for it asks again, and hears how it ends.
    """
    request = one.pending[0].request
    return world.want(one.verb, one.node, request_id=request.request_id, boot=request.boot)


def brief(outcome: Outcome) -> str:
    """
    What matters of it here.
    """
    match outcome:
        case Done(how=how):
            return how.value
        case Failed(code=code):
            return code
        case Cancelled(cancel=cancel) | Superseded(cancel=cancel):
            return f"{type(outcome).__name__.lower()} {cancel.value}"
        case _:
            return type(outcome).__name__.lower()


# The verb, how far it had come, and what becomes of it on a node that is found off and one that is found on:
# the commands that are sent, and the outcome.
TABLE: list[tuple[Verb, Phase, str, tuple[str, ...], tuple[str, str], tuple[str, str]]] = [
    (ON, Q, "", (), ("on", "commanded"), ("", "already")),
    (ON, A, "on", (), ("on", "commanded"), ("", "already")),
    (ON, S, "on", ("on",), ("on", "commanded"), ("", "commanded")),
    (ON, V, "on", ("on",), ("on", "commanded"), ("", "commanded")),
    (ON, C, "", (), ("", "cancelled not-started"), ("", "cancelled not-started")),
    (ON, C, "", ("on",), ("", "cancelled unknown"), ("", "cancelled unknown")),
    (OFF, Q, "", (), ("off", "forced"), ("off", "forced")),
    (OFF, A, "off", (), ("off", "forced"), ("off", "forced")),
    (OFF, S, "off", ("off",), ("", "forced"), ("off", "forced")),
    (OFF, V, "off", ("off",), ("", "forced"), ("off", "forced")),
    (OFF, C, "", ("off",), ("", "cancelled unknown"), ("", "cancelled unknown")),
    (SOFT, Q, "", (), ("soft", "graceful"), ("soft", "graceful")),
    (SOFT, A, "off", (), ("soft", "graceful"), ("soft", "graceful")),
    (SOFT, S, "soft", ("soft",), ("", "graceful"), ("off", "forced")),
    (SOFT, V, "soft", ("soft",), ("", "graceful"), ("off", "forced")),
    (SOFT, S, "off", ("soft", "off"), ("", "forced"), ("off", "forced")),
    (SOFT, V, "off", ("soft", "off"), ("", "forced"), ("off", "forced")),
    (SOFT, C, "", ("soft",), ("", "cancelled unknown"), ("", "cancelled unknown")),
    (CYCLE, Q, "", (), ("on", "commanded"), ("off on", "commanded")),
    (CYCLE, A, "off", (), ("on", "commanded"), ("off on", "commanded")),
    (CYCLE, S, "off", ("off",), ("on", "commanded"), ("off on", "commanded")),
    (CYCLE, V, "off", ("off",), ("on", "commanded"), ("off on", "commanded")),
    (CYCLE, A, "on", ("off",), ("on", "commanded"), ("", "external")),
    (CYCLE, S, "on", ("off", "on"), ("on", "commanded"), ("", "commanded")),
    (CYCLE, V, "on", ("off", "on"), ("on", "commanded"), ("", "commanded")),
    (CYCLE, C, "", ("off",), ("", "cancelled unknown"), ("", "cancelled unknown")),
    (RESET, Q, "", (), ("", "PowerRefusedError"), ("reset", "commanded")),
    (RESET, A, "reset", (), ("", "PowerRefusedError"), ("reset", "commanded")),
    (RESET, S, "reset", ("reset",), ("", "unknown"), ("", "unknown")),
    (RESET, V, "reset", ("reset",), ("", "unknown"), ("", "unknown")),
    (RESET, C, "", ("reset",), ("", "cancelled unknown"), ("", "cancelled unknown")),
    (BOOT, Q, "", (), ("boot pxe", "commanded"), ("boot pxe", "commanded")),
    (BOOT, S, "boot", ("boot",), ("boot pxe", "commanded"), ("boot pxe", "commanded")),
]


class TableTests(SynchronousTestCase):
    """
    Every verb, in every phase and half.
    """

    def settle(self, row: int, *, on: bool, **more: Any) -> tuple[World, Asked]:
        """
        Recover one row of the table, and let it come to its end.
        """
        verb, phase, half, sent, _, _ = TABLE[row]
        world = recovering()
        world.machine().on = on
        if phase is C:
            more["cancelled_by"] = "ann"
        one = left(world, verb, phase, half, *sent, **more)
        world.registry.recover(Recovered(left=[one]))
        asked = again(world, one)
        glide(world.clock, 45)
        return world, asked

    def test_found_off_and_on(self) -> None:
        """
        A node that is found off, or on, gets exactly the commands that are missing, and the waiter the truth.
        """
        for row, (verb, phase, half, sent, off, on) in enumerate(TABLE):
            for state, expected in ((False, off), (True, on)):
                world, asked = self.settle(row, on=state)
                found = (" ".join(world.commands()), brief(asked.outcome))
                self.assertEqual(expected, found, f"{verb} {phase} {half} {sent}, found {state}")

    def test_observed(self) -> None:
        """
        Of everything that may have been sent it is written in what state its node was found.
        """
        for row, (verb, _, _, sent, _, _) in enumerate(TABLE):
            if sent and verb is not BOOT:
                world, _ = self.settle(row, on=True)
                self.assertTrue(world.journal.of(Observed), TABLE[row])

    def test_ends_once(self) -> None:
        """
        Each has one end and one answer, and nothing is left.
        """
        for row in range(len(TABLE)):
            world, _ = self.settle(row, on=True)
            counts = (len(world.journal.of(Ended)), len(world.journal.of(Answered)))
            self.assertEqual((1, 1), counts, TABLE[row])
            self.assertEqual([], list(world.registry.busy()))
            self.assertEqual([], world.clock.getDelayedCalls())

    def test_goes_on_where_it_was(self) -> None:
        """
        The history says where each one went on.
        """
        for row, (_, phase, half, _, _, _) in enumerate(TABLE):
            if phase not in (Q, C):
                world, _ = self.settle(row, on=True)
                first = world.journal.of(Entered)[0]
                self.assertEqual((phase, half, RESUMED), (first.phase, first.half, first.text), TABLE[row])

    def test_unreachable(self) -> None:
        """
        A BMC that does not answer until the deadline leaves it unknown, if anything may have been sent.
        """
        for row, (verb, phase, _, sent, _, _) in enumerate(TABLE):
            if phase in (Q, C) or verb is BOOT:
                continue
            world = recovering()
            world.machine().read_faults = [Fault.LOST_REQUEST] * 1000
            world.machine().faults = [Fault.WRONG_PASSWORD] * 1000 if verb in (OFF, SOFT) else []
            one = left(world, verb, phase, TABLE[row][2], *sent)
            world.registry.recover(Recovered(left=[one]))
            asked = again(world, one)
            glide(world.clock, 60)
            expected = Unknown if sent else Failed
            self.assertIsInstance(asked.outcome, expected, TABLE[row])
            self.assertEqual([], world.commands(), TABLE[row])

    def test_comes_back(self) -> None:
        """
        A BMC that answers again before the deadline is waited for.
        """
        world = recovering()
        world.machine().on = True
        world.machine().read_faults = [Fault.LOST_REQUEST] * 4
        one = left(world, ON, S, "on", "on")
        world.registry.recover(Recovered(left=[one]))
        asked = again(world, one)
        glide(world.clock, 24)
        self.assertEqual("commanded", brief(asked.outcome))

    def test_slow(self) -> None:
        """
        What was sent before a restart and takes effect only now is not sent again.
        """
        for verb, half, sent, target in (
            (ON, "on", ("on",), True),
            (OFF, "off", ("off",), False),
            (SOFT, "soft", ("soft",), False),
            (CYCLE, "on", ("off", "on"), True),
        ):
            world = recovering()
            machine = world.machine()
            machine.on = not target
            world.clock.callLater(1.2, setattr, machine, "on", target)
            one = left(world, verb, S, half, *sent)
            world.registry.recover(Recovered(left=[one]))
            asked = again(world, one)
            glide(world.clock, 30)
            self.assertEqual([], world.commands(), verb)
            self.assertIsInstance(asked.outcome, Done, verb)


class OrderTests(SynchronousTestCase):
    """
    Lanes, limits and what comes after.
    """

    def test_the_peers_case(self) -> None:
        """
        Killed during a power-off whose command was sent: the node is off, and off is what is wanted of it.
        """
        world = recovering()
        world.machine().on = True
        off = world.want(OFF)
        world.machine().latency = 1.0
        world.turn(0.03)
        self.assertEqual(["off"], world.commands())
        after = recovering()
        after.machine().on = False
        after.registry.recover(project(world.journal.entries))
        heard = after.want(OFF, request_id=off.ticket.request_id)
        glide(after.clock, 10)

        self.assertEqual(([], "forced"), (after.commands(), brief(heard.outcome)))
        wanted = after.registry.view("n1").wanted
        self.assertEqual(Goal.OFF, wanted.goal if wanted else None)
        self.assertEqual([], list(after.registry.outstanding()))

    def test_inrush(self) -> None:
        """
        Five hundred left-over ons never start more nodes at once than the limit says, sent ones first of all.
        """
        world = recovering(count=500, fleet=Limit(8))
        lefts = []
        for number, name in enumerate(world.names()):
            world.machine(name).latency = 1.0
            begun = (S, "on", "on") if number >= 492 else (Q, "")
            lefts.append(left(world, ON, *begun, action=f"x{number}", node=name))
        for one in lefts[492:]:
            world.clock.callLater(1.0, setattr, world.machine(one.node), "on", True)
        world.registry.recover(Recovered(left=lefts))
        glide(world.clock, 150)
        most = most_starting(world.journal.entries, lambda _: True, 0.0)
        self.assertEqual(8, most)
        self.assertEqual([], list(world.registry.busy()))
        self.assertEqual({True}, {world.machine(name).on for name in world.names()})
        self.assertEqual([[]] * 8, [world.commands(one.node) for one in lefts[492:]])

    def test_lane(self) -> None:
        """
        What waited behind waits again; what was superseded, or whose turn was over, does not run.
        """
        world = recovering()
        world.machine().on = True
        world.registry.recover(
            Recovered(
                left=[
                    left(world, RESET, S, "reset", "reset", action="x0"),
                    left(world, ON, S, "on", "on", action="x1", superseded_by=("x2", OFF)),
                    left(world, OFF, action="x2"),
                ]
            )
        )
        asked = [world.want(verb, request_id=f"q-x{n}") for n, verb in enumerate((RESET, ON, OFF))]
        glide(world.clock, 10)
        self.assertEqual(["unknown", "superseded unknown", "forced"], [brief(one.outcome) for one in asked])
        self.assertEqual(["off"], world.commands())

    def test_end_not_written(self) -> None:
        """
        An on whose end was not durable is not run again when the off behind it had begun.
        """
        world = recovering()
        lefts = [left(world, ON, V, "on", "on", action="x0"), left(world, OFF, S, "off", "off")]
        world.registry.recover(Recovered(left=lefts))
        asked = [again(world, one) for one in lefts]
        glide(world.clock, 20)
        self.assertEqual(["unknown", "forced"], [brief(one.outcome) for one in asked])
        self.assertEqual([], world.commands())

    def test_minimum_off(self) -> None:
        """
        A cycle found off is left off for its minimum time: nobody knows since when it is.
        """
        world = recovering()
        world.registry.recover(Recovered(left=[left(world, CYCLE, S, "off", "off")]))
        glide(world.clock, 20)
        ((at, what),) = world.machine().commands
        self.assertEqual(("on", True), (what, at >= 1001.0))

    def test_new_requests(self) -> None:
        """
        A recovered action is joined, superseded and refused for like any other.
        """
        world = recovering()
        one = left(world, ON, S, "on", "on")
        world.registry.recover(Recovered(left=[one], sequences={"n1": 7}))
        first = again(world, one)
        joined, off = world.want(ON), world.want(OFF)
        self.failureResultOf(world.ask(ON, sequence=6), Stale)
        glide(world.clock, 10)
        self.assertEqual(Disposition.JOINED, joined.ticket.disposition)
        self.assertEqual(["superseded unknown"] * 2, [brief(each.outcome) for each in (first, joined)])
        self.assertEqual(("forced", ["off"]), (brief(off.outcome), world.commands()))

    def test_late_on(self) -> None:
        """
        An off that was to come next does not trust "off": the on before it may still land.
        """
        world = recovering()
        world.clock.callLater(1.0, setattr, world.machine(), "on", True)
        world.registry.recover(Recovered(left=[left(world, OFF)]))
        glide(world.clock, 10)
        self.assertFalse(world.machine().on)

    def test_states(self) -> None:
        """
        What was seen before is known, with its age, and what is seen next is news even if it is the same.
        """
        world = recovering()
        world.machine().on = True
        seen = Seen(world.now() - timedelta(seconds=60), PowerState.ON)
        world.registry.recover(Recovered(seen={"n1": seen}))
        self.assertEqual(
            (PowerState.ON, 60.0), (world.registry.view("n1").observed.state, world.registry.view("n1").age)
        )
        for _ in range(2):
            world.registry.query("n1")
            world.turn(0.1)
        self.assertEqual(1, len(world.journal.of(Observed)))


class DeadlineTests(SynchronousTestCase):
    """
    Deadlines do not begin anew.
    """

    def outcome(self, one: Left, world: World, seconds: float) -> Outcome:
        """
        How it ends, within so many seconds.
        """
        world.registry.recover(Recovered(left=[one]))
        asked = again(world, one)
        glide(world.clock, seconds)
        return asked.outcome

    def test_passed(self) -> None:
        """
        What had its turn, and whose time is over with nothing sent, fails.
        """
        world = recovering()
        outcome = self.outcome(left(world, ON, A, "on", ago=31), world, 0.1)
        self.assertEqual("PowerActionFail", brief(outcome))
        self.assertEqual([], world.commands())

    def test_named(self) -> None:
        """
        A deadline that a caller named counts from when it was accepted.
        """
        world = recovering()
        outcome = self.outcome(left(world, ON, ago=31, options={"deadline": 30.0}), world, 0.1)
        self.assertEqual(("PowerActionFail", []), (brief(outcome), world.commands()))

    def test_sent(self) -> None:
        """
        What was sent is looked at once, however late it is, and not sent again.
        """
        world = recovering()
        outcome = self.outcome(left(world, ON, S, "on", "on", ago=100), world, 5)
        self.assertEqual(("PowerUnverified", []), (brief(outcome), world.commands()))

    def test_off(self) -> None:
        """
        An off is done, however late it is.
        """
        for phase, sent, options in ((Q, (), {"deadline": 1.0}), (A, (), {}), (S, ("off",), {})):
            world = recovering()
            world.machine().on = True
            world.machine().latency = 3.0
            half = "" if phase is Q else "off"
            outcome = self.outcome(left(world, OFF, phase, half, *sent, ago=5000, options=options), world, 20)
            self.assertEqual(("forced", ["off"]), (brief(outcome), world.commands()))

    def test_soft(self) -> None:
        """
        A soft-off is forced when that was due, not a whole time later.
        """
        world = recovering()
        world.machine().on = True
        world.machine().obeys_soft = False
        self.outcome(left(world, SOFT, S, "soft", "soft", ago=4), world, 10)
        ((at, what),) = world.machine().commands
        self.assertEqual("off", what)
        self.assertLess(abs(at - 1006.0), 0.3)

    def test_clock_set_back(self) -> None:
        """
        Times to come, which a clock that was set back leaves behind, count as now.
        """
        world = recovering()
        outcome = self.outcome(left(world, ON, A, "on", ago=-1000), world, 40)
        self.assertEqual("commanded", brief(outcome))


class ResolvingTests(SynchronousTestCase):
    """
    `Registry.resolve`.
    """

    def test_in_play(self) -> None:
        """
        What is on the wire is torn down, the waiters hear who says so and why, and the lane goes on.
        """
        world = recovering()
        world.machine().faults = [Fault.DEAF]
        asked, behind = world.want(ON), world.want(RESET)
        world.turn(1)
        resolved = world.registry.resolve(asked.ticket.action, "ann", "pulled the plug")
        world.turn(1)
        self.assertEqual(CancelResult.UNKNOWN, self.successResultOf(resolved))
        self.assertEqual(Unknown("resolved by ann: pulled the plug"), asked.outcome)
        self.assertEqual([("ann", "pulled the plug")], [(e.by, e.text) for e in world.journal.of(Resolved)])
        self.assertEqual("PowerRefusedError", brief(behind.outcome))
        self.assertEqual([], world.commands())

    def test_waiting(self) -> None:
        """
        What waits is ended there and then.
        """
        world = recovering()
        world.machine().latency = 5.0
        first, second = world.want(ON), world.want(RESET)
        resolved = world.registry.resolve(second.ticket.action, "ann", "")
        self.assertEqual(CancelResult.NOT_STARTED, self.successResultOf(resolved))
        self.assertEqual(Unknown("resolved by ann: no reason given"), second.outcome)
        glide(world.clock, 8)
        self.assertEqual("commanded", brief(first.outcome))

    def test_unreachable(self) -> None:
        """
        A recovered action whose BMC does not answer can be resolved.
        """
        world = recovering()
        world.machine().read_faults = [Fault.LOST_REQUEST] * 99
        world.registry.recover(Recovered(left=[left(world, ON, S, "on", "on")]))
        world.turn(3)
        self.assertEqual(["n1"], list(world.registry.outstanding()))
        resolved = world.registry.resolve("x1", "ann", "it is scrap")
        self.assertEqual(CancelResult.UNKNOWN, self.successResultOf(resolved))
        self.assertEqual([], list(world.registry.outstanding()))
        self.assertRaises(NoSuchAction, world.registry.resolve, "x1", "ann", "again")

    def test_not_durable(self) -> None:
        """
        Who resolves or cancels hears it when that is not durable; it is written when it can be.
        """
        for end in ("cancel", "resolve"):
            world = recovering()
            asked = world.want(ON)
            world.turn(0.02)
            world.journal.breaks = 3
            arguments = ("ann", "x") if end == "resolve" else ("ann",)
            ended = getattr(world.registry, end)(asked.ticket.action, *arguments)
            world.turn(0.1)
            self.failureResultOf(ended, JournalUnavailable)
            self.assertEqual([], world.journal.of(Ended))
            world.turn(20)
            self.assertEqual((1, 1), (len(world.journal.of(Ended)), len(world.journal.of(Answered))))
        self.flushLoggedErrors(OSError, JournalUnavailable)


class StoppingTests(SynchronousTestCase):
    """
    A stop with work left.
    """

    def test_goes_on(self) -> None:
        """
        Interrupted is not an end: after the restart it goes on, and the same request hears how it ended.
        """
        world = recovering()
        world.machine("n1").latency = 5.0
        asked = [world.want(ON, "n1"), world.want(RESET, "n1"), world.want(OFF, "n2", request_id="z")]
        world.turn(0.5)
        self.successResultOf(world.registry.stop("upgrade"))
        self.assertEqual([Interrupted("upgrade")] * 2, [one.outcome for one in asked[:2]])
        self.assertEqual(["z"], [entry.request_id for entry in world.journal.of(Answered)])
        interrupted = [e.action for e in world.journal.of(Entered) if e.phase is Phase.INTERRUPTED]
        self.assertEqual({one.ticket.action for one in asked[:2]}, set(interrupted))
        self.assertEqual([], [call for call in world.clock.getDelayedCalls() if call.getTime() > 1010])

        after = recovering()
        after.machine("n1").on = True
        after.registry.recover(project(world.journal.entries))
        requests = [(verb, one.ticket.request_id) for verb, one in zip((ON, RESET), asked, strict=False)]
        again = [after.want(verb, request_id=request_id) for verb, request_id in requests]
        glide(after.clock, 10)
        self.assertEqual(["commanded", "commanded"], [brief(one.outcome) for one in again])
        self.assertEqual(["reset"], after.commands("n1"))

    def test_heard_at_once(self) -> None:
        """
        Waiters hear of a stop before what is on the wire is quiet.
        """
        world = recovering()
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(ON)
        world.turn(0.1)
        stopped = world.registry.stop("upgrade")
        self.assertEqual(Interrupted("upgrade"), asked.outcome)
        self.assertNoResult(stopped)
        world.turn(3)
        self.successResultOf(stopped)

    def test_cancelled_for_good(self) -> None:
        """
        What was being cancelled when the stop came ends as cancelled.
        """
        world = recovering()
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(ON)
        world.turn(0.1)
        world.registry.cancel(asked.ticket.action, "ann")
        stopped = world.registry.stop("upgrade")
        world.turn(3)
        self.successResultOf(stopped)
        self.assertEqual("cancelled unknown", brief(asked.outcome))

    def test_put_off(self) -> None:
        """
        What has not begun can be left to the time after the restart, while the rest comes to its end.
        """
        world = recovering(fleet=Limit(1))
        world.machine("n1").latency = 1.0
        asked = [world.want(ON, "n1"), world.want(ON, "n2"), world.want(RESET, "n1")]
        world.turn(0.5)
        self.successResultOf(world.registry.put_off("upgrade"))
        world.turn(3)
        self.assertEqual(["commanded", "interrupted", "interrupted"], [brief(one.outcome) for one in asked])
        self.assertEqual([], world.commands("n2"))


@define(eq=False)
class Shelf:
    """
    A history that says what it is told to.
    """

    records: list[Record] = field(factory=list)
    broken: bool = False
    asked: list[list[str]] = field(factory=list)
    held: list[Deferred[Sequence[Record]]] = field(factory=list)
    hold: bool = False

    def answered(self, request_ids: Sequence[str]) -> Deferred[Sequence[Record]]:
        """
        Those that it has.
        """
        self.asked.append(list(request_ids))
        if self.broken:
            return fail(OSError("cannot read"))
        if self.hold:
            self.held.append(Deferred())
            return self.held[-1]
        return succeed([each for each in self.records if each.request.request_id in request_ids])


class RememberingTests(SynchronousTestCase):
    """
    Request ids outlive the process, and the last ten thousand answers.
    """

    def setUp(self) -> None:
        self.shelf = Shelf()
        self.world = recovering(history=self.shelf)
        self.world.journal.known = {"old", "older"}
        self.shelf.records = [self.record("old"), self.record("older", OFF)]

    def record(self, request_id: str, verb: Verb = ON) -> Record:
        """
        A request that was answered.
        """
        request = Request(node="n1", verb=verb, request_id=request_id)
        done = Done(How.COMMANDED, PowerState.ON, text="then")
        at = self.world.now() - timedelta(days=9)
        return Record(
            number=1,
            at=at,
            request=request,
            action="a0",
            disposition=Disposition.STARTED,
            answered=at,
            outcome=done,
        )

    def test_loaded(self) -> None:
        """
        A request answered before the restart is answered again, and nothing runs.
        """
        self.world.registry.recover(Recovered(answered=[self.record("r")]))
        asked = self.world.want(ON, request_id="r")
        self.assertEqual("then", asked.outcome.text)
        self.assertEqual([], self.shelf.asked)
        self.world.turn(1)
        self.assertEqual(0, self.world.machine().reads)

    def test_read_from_the_disk(self) -> None:
        """
        Many that only the disk knows cost one reading, and are answered as they were.
        """
        asked = self.world.registry.submit_many(
            [
                Request(node="n1", verb=verb, request_id=name)
                for name, verb in (("old", ON), ("older", OFF), ("new", ON))
            ]
        )
        tickets = self.successResultOf(asked)
        self.assertEqual([["old", "older"]], self.shelf.asked)
        self.assertEqual(["then"] * 2, [self.successResultOf(ticket.wait()).text for ticket in tickets[:2]])
        self.assertEqual(Disposition.STARTED, tickets[2].disposition)

    def test_order(self) -> None:
        """
        What comes while the disk is read is decided after it.
        """
        self.shelf.hold = True
        first = self.world.ask(ON, request_id="old")
        second = self.world.ask(OFF)
        self.assertNoResult(second)
        self.shelf.held[0].callback([self.record("old")])
        self.successResultOf(first)
        self.assertEqual(Disposition.STARTED, self.successResultOf(second).disposition)

    def test_not_there(self) -> None:
        """
        What the journal only seemed to know runs.
        """
        self.shelf.records = []
        self.assertEqual(Disposition.STARTED, self.world.want(ON, request_id="old").ticket.disposition)

    def test_other_request(self) -> None:
        """
        An id that was used for something else is refused.
        """
        self.failureResultOf(self.world.ask(CYCLE, request_id="old"), BadRequest)

    def test_unreadable(self) -> None:
        """
        A request that may have run before is not run when that cannot be read, not even an off; a new one is.
        """
        self.shelf.broken = True
        for verb in (ON, OFF):
            self.failureResultOf(self.world.ask(verb, request_id="old"), JournalUnavailable)
        self.assertEqual(Disposition.STARTED, self.world.want(OFF).ticket.disposition)
        self.assertEqual(2, len(self.flushLoggedErrors(OSError)))


class AbsentTests(SynchronousTestCase):
    """
    Nodes of which only the name is known after a restart.
    """

    def setUp(self) -> None:
        self.world = recovering()
        self.node = self.world.roster.nodes.pop("n2")

    def recover(self, *lefts: Left) -> list[Asked]:
        """
        Recover, and ask again.
        """
        self.world.registry.recover(Recovered(left=lefts, wanted={"n2": self.wanted()}))
        return [again(self.world, one) for one in lefts]

    def wanted(self) -> Wanted:
        """
        That n2 be on.
        """
        return Wanted(goal=Goal.ON, since=self.world.now(), action="x1", request_id="q-x1")

    def test_brought(self) -> None:
        """
        It is outstanding, can be seen, and goes on as soon as somebody names a node that the roster knows.
        """
        (asked,) = self.recover(left(self.world, ON, S, "on", "on", node="n2"))
        self.world.turn(3)
        self.assertEqual(["n2"], list(self.world.registry.outstanding()))
        view = self.world.registry.view("n2")
        self.assertEqual(("x1", Target("", "", "", None)), (view.waiting[0].id, view.node.target))
        self.world.roster.nodes["n2"] = self.node
        self.world.registry.query("n2")
        glide(self.world.clock, 10)
        self.assertEqual(("commanded", ["on"]), (brief(asked.outcome), self.world.commands("n2")))
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_superseded(self) -> None:
        """
        The request that brings the node can take its place.
        """
        (asked,) = self.recover(left(self.world, ON, S, "on", "on", node="n2"))
        self.world.roster.nodes["n2"] = self.node
        off = self.world.want(OFF, "n2")
        glide(self.world.clock, 10)
        self.assertEqual(("superseded unknown", "forced"), (brief(asked.outcome), brief(off.outcome)))

    def test_never_brought(self) -> None:
        """
        Nobody names it until its deadline: then it is unknown, and says whether anything was sent.
        """
        sent, unsent = self.recover(
            left(self.world, ON, S, "on", "on", node="n2"), left(self.world, RESET, action="x2", node="n2")
        )
        self.world.clock.advance(200)
        self.assertIn("on may have been sent", sent.outcome.text)
        self.assertIn("nothing was sent", unsent.outcome.text)
        self.assertIsInstance(sent.outcome, Unknown)
        self.assertEqual([], list(self.world.registry.busy()))

    def test_cancelled_and_resolved(self) -> None:
        """
        It can be cancelled and resolved meanwhile.
        """
        first, second = self.recover(
            left(self.world, ON, S, "on", "on", node="n2"), left(self.world, RESET, action="x2", node="n2")
        )
        self.assertEqual(CancelResult.UNKNOWN, self.successResultOf(self.world.registry.cancel("x1", "ann")))
        self.assertEqual(
            CancelResult.NOT_STARTED, self.successResultOf(self.world.registry.resolve("x2", "ann", "gone"))
        )
        self.assertEqual("cancelled unknown", brief(first.outcome))
        self.assertEqual(Unknown("resolved by ann: gone"), second.outcome)
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_not_waited_for(self) -> None:
        """
        A stop does not wait for it, and leaves it to the next restart.
        """
        self.recover(left(self.world, ON, S, "on", "on", node="n2"))
        self.successResultOf(self.world.registry.idle())
        self.successResultOf(self.world.registry.stop("upgrade"))
        self.assertEqual([], self.world.journal.of(Ended))


class JournalTests(SynchronousTestCase):
    """
    A journal that fails while it is being recovered from.
    """

    def test_sent(self) -> None:
        """
        What has begun is brought to its end, which is written when that is possible.
        """
        world = recovering()
        world.machine().on = True
        world.journal.failing = OSError("no space")
        one = left(world, ON, S, "on", "on")
        world.registry.recover(Recovered(left=[one]))
        asked = again(world, one)
        glide(world.clock, 5)
        self.assertEqual("commanded", brief(asked.outcome))
        world.journal.failing = None
        glide(world.clock, 20)
        self.assertEqual(1, len(world.journal.of(Ended)))
        self.assertEqual([], world.clock.getDelayedCalls())
        self.flushLoggedErrors(OSError, JournalUnavailable)
