# SPDX-License-Identifier: MIT
"""
What is wanted of nodes, when they have drifted, and how they are brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Accepted, Drifted, Ended, Entry, Followed, Observed, Resolved
from powercoord.errors import Draining, JournalUnavailable, NoSuchNode
from powercoord.interfaces import ITicket
from powercoord.model import (
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Node,
    Observation,
    OnDrift,
    Outcome,
    Policy,
    PowerState,
    Request,
    Superseded,
    Target,
    Unknown,
    Verb,
    Wanted,
)
from powercoord.registry import drift_enforcing, drift_looks
from powercoord.registry.wants import Wants
from powercoord.registry.wants_projection import wanted_after
from tests.hypothesis_notes import HypothesisNotes
from tests.journal.projection import Projection
from tests.journal.strategies import APPENDS

START = datetime(2026, 1, 1, tzinfo=UTC)
ON, OFF, UNKNOWN, ERROR = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN, PowerState.ERROR
DONE = Done(How.COMMANDED, ON)
FAILED = Failed("PowerUnverified", "n1: still off")
CANCELLED = Cancelled(CancelResult.STOPPED, "bob")
SUPERSEDED = Superseded("a9", Verb.OFF, CancelResult.STOPPED)
LOST = Unknown("n1: not readable")


@define(eq=False)
class Ticket:
    """
    As much of a ticket as is looked at.
    """

    action: str


@define(eq=False)
class Stage:
    """
    A registry and its journal, as far as what is wanted has to do with them.

    :param nodes: how drift is to be met, by name; a name that is not there is not configured.
    :param asked: what was submitted, and when.
    :param answers: what reads say next; without one, what was seen last.
    :param slow: whether reads take until a test answers them, in ``reading``.
    """

    nodes: dict[str, OnDrift] = field(factory=lambda: {"n1": OnDrift.FLAG})
    clock: Clock = field(factory=Clock)
    states: dict[str, PowerState] = field(factory=dict)
    busy: set[str] = field(factory=set)
    entries: list[Entry] = field(factory=list)
    asked: list[tuple[float, Request]] = field(factory=list)
    reads: list[tuple[float, str]] = field(factory=list)
    answers: list[PowerState] = field(factory=list)
    slow: bool = False
    reading: list[Deferred[Observation]] = field(factory=list)
    full: bool = False
    trouble: str | None = None
    refusal: Exception | None = None
    check: Callable[[Request], None] = lambda _: None
    wants: Wants = field(init=False)
    _ids: count[int] = field(factory=lambda: count(1))

    def __attrs_post_init__(self) -> None:
        self.wants = self.new()
        self.wants.resume()

    def new(self) -> Wants:
        """
        Another beginning, with everything around it as it is.
        """
        return Wants(
            clock=self.clock,
            now=lambda: START + timedelta(seconds=self.clock.seconds()),
            write=self.write,
            jitter=lambda pause: pause,
            find=self.find,
            last=lambda name: Observation(self.states.get(name, PowerState.NEVER_CHECKED)),
            at_rest=lambda name: name not in self.busy,
            submit=self.submit,
            read=self.read,
            new_id=lambda: f"x{next(self._ids)}",
            trouble=lambda: self.trouble,
        )

    def find(self, name: str) -> Node | None:
        if name not in self.nodes:
            return None
        return Node(name, Target("fake", name, "", None), on_drift=self.nodes[name])

    def write(self, entries: Sequence[Entry]) -> Deferred[int]:
        if self.full:
            return fail(JournalUnavailable("the disk is full"))
        self.publish(*entries)
        return succeed(len(self.entries))

    def submit(self, request: Request) -> Deferred[ITicket]:
        self.check(request)
        self.asked.append((self.clock.seconds(), request))
        if self.refusal is not None:
            return fail(self.refusal)
        action = f"e{len(self.asked)}"
        self.accept(request.verb, action, request.node, request.request_id, door=request.door)
        ticket: Any = Ticket(action)
        return succeed(ticket)

    def read(self, name: str) -> Deferred[Observation]:
        if name not in self.nodes:
            raise NoSuchNode(name)
        self.reads.append((self.clock.seconds(), name))
        if self.slow:
            self.reading.append(Deferred())
            return self.reading[-1]
        state = self.answers.pop(0) if self.answers else self.states.get(name, UNKNOWN)
        self.see(state, name)
        return succeed(Observation(state))

    def publish(self, *entries: Entry) -> None:
        self.entries.extend(entries)
        self.wants.published(len(self.entries), entries)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds())

    def accept(self, verb: Verb, action: str, name: str = "n1", request_id: str = "", door: str = "") -> None:
        """
        A request is accepted, and its action is in play.
        """
        self.busy.add(name)
        request = Request(node=name, verb=verb, request_id=request_id or f"r-{action}", door=door)
        self.publish(Accepted(self.now(), request, action, Disposition.STARTED, self.now()))

    def end(self, action: str, outcome: Outcome = DONE, name: str = "n1") -> None:
        """
        An action is over; that is told before the lane is at rest, as it is in the registry.
        """
        self.publish(Ended(self.now(), name, action, outcome))
        self.busy.discard(name)
        self.clock.advance(0)

    def see(self, state: PowerState, name: str = "n1") -> None:
        """
        A read of a node ended; it is written if it is news.
        """
        before, self.states[name] = self.states.get(name), state
        if before is not state:
            self.publish(Observed(self.now(), name, Observation(state)))
        self.clock.advance(0)

    def reach(self, goal: Goal = Goal.ON, name: str = "n1", action: str = "a1") -> None:
        """
        Something is wanted, and is so.
        """
        self.accept(Verb.ON if goal is Goal.ON else Verb.OFF, action, name)
        self.see(ON if goal is Goal.ON else OFF, name)
        self.end(action, name=name)

    def drifts(self) -> list[tuple[str, Goal, PowerState]]:
        """
        What was told of drift.
        """
        return [(e.node, e.wanted, e.seen) for e in self.entries if isinstance(e, Drifted)]

    def asked_at(self) -> list[float]:
        """
        When something was submitted.
        """
        return [at for at, _ in self.asked]

    def turn(self, seconds: float) -> None:
        """
        Let time pass, in steps of a second.
        """
        self.clock.pump([1.0] * round(seconds))


def accepted(verb: Verb, action: str = "a1", **options: Any) -> Accepted:
    request = Request(node="n1", verb=verb, request_id=options.pop("request_id", f"r-{action}"), **options)
    return Accepted(START, request, action, Disposition.STARTED, START)


def ended(action: str, outcome: Outcome) -> Ended:
    return Ended(START, "n1", action, outcome)


def resolved(action: str) -> Resolved:
    return Resolved(START, "n1", action, "carol", "pulled the plug")


# For each: what was written, and the goal and the action that are left.
PROJECTIONS: dict[str, tuple[list[Entry], tuple[Goal, str] | None]] = {
    "on": ([accepted(Verb.ON)], (Goal.ON, "a1")),
    "off": ([accepted(Verb.OFF)], (Goal.OFF, "a1")),
    "soft-off": ([accepted(Verb.SOFT_OFF)], (Goal.OFF, "a1")),
    "cycle": ([accepted(Verb.CYCLE)], (Goal.ON, "a1")),
    "a reset says nothing": ([accepted(Verb.RESET)], None),
    "a reset changes nothing": ([accepted(Verb.OFF), accepted(Verb.RESET, "a2")], (Goal.OFF, "a1")),
    "a boot device says nothing": ([accepted(Verb.BOOT)], None),
    "the newest counts": ([accepted(Verb.ON), accepted(Verb.OFF, "a2")], (Goal.OFF, "a2")),
    "done": ([accepted(Verb.ON), ended("a1", DONE)], (Goal.ON, "a1")),
    "failed": ([accepted(Verb.ON), ended("a1", FAILED)], (Goal.ON, "a1")),
    "unknown": ([accepted(Verb.ON), ended("a1", LOST)], (Goal.ON, "a1")),
    "cancelled": ([accepted(Verb.ON), ended("a1", CANCELLED)], None),
    "another one cancelled": ([accepted(Verb.ON), ended("a0", CANCELLED)], (Goal.ON, "a1")),
    "what was before does not come back": (
        [accepted(Verb.ON), accepted(Verb.OFF, "a2"), ended("a2", CANCELLED)],
        None,
    ),
    "superseded": (
        [accepted(Verb.ON), accepted(Verb.OFF, "a2"), ended("a1", SUPERSEDED)],
        (Goal.OFF, "a2"),
    ),
    "resolved": ([accepted(Verb.ON), resolved("a1"), ended("a1", LOST)], None),
    "another one resolved": ([accepted(Verb.ON), resolved("a0")], (Goal.ON, "a1")),
    "followed": ([accepted(Verb.ON), Followed(START, "n1", "r-a1", "a2")], (Goal.ON, "a2")),
    "followed and cancelled": (
        [accepted(Verb.ON), Followed(START, "n1", "r-a1", "a2"), ended("a2", CANCELLED)],
        None,
    ),
    "another one followed": ([accepted(Verb.ON), Followed(START, "n1", "r-a0", "a2")], (Goal.ON, "a1")),
    "brought back": ([accepted(Verb.ON), accepted(Verb.ON, "a2", door="enforce")], (Goal.ON, "a2")),
    "bringing back cancelled": (
        [accepted(Verb.ON), accepted(Verb.ON, "a2", door="enforce"), ended("a2", CANCELLED)],
        None,
    ),
    "bringing back is no wish": ([accepted(Verb.ON, "a2", door="enforce")], None),
}


class ProjectionTests(HypothesisNotes, SynchronousTestCase):
    def test_table(self) -> None:
        """
        On, off, soft-off and cycle say what is wanted; who cancels or resolves that takes it back.
        """
        for title, (entries, expected) in PROJECTIONS.items():
            stage = Stage()
            for entry in entries:
                stage.publish(entry)
            wanted = stage.wants.of("n1")

            self.assertEqual(expected, wanted and (wanted.goal, wanted.action), title)

    def test_who(self) -> None:
        """
        It is known who wanted it, when and how, also after it was brought back.
        """
        stage = Stage()
        options: dict[str, Any] = {"requester": "alice", "door": "amp", "sequence": 7}
        expected = Wanted(
            goal=Goal.ON,
            since=START,
            action="a1",
            request_id="r-a1",
            requester="alice",
            door="amp",
            sequence=7,
        )

        stage.publish(accepted(Verb.ON, **options))
        self.assertEqual(expected, stage.wants.of("n1"))
        stage.publish(accepted(Verb.ON, "a2", requester="powercoord", door="enforce"))
        self.assertEqual(evolve(expected, action="a2"), stage.wants.of("n1"))

    @given(st.data())
    def test_like_a_naive_one(self, data: st.DataObject) -> None:
        """
        Whatever is written, what is wanted is what the whole history says.
        """
        actions = st.sampled_from(["a1", "a2", "a3"])
        entry = st.one_of(
            st.builds(
                accepted,
                st.sampled_from(Verb),
                actions,
                request_id=st.sampled_from(["r1", "r2"]),
                door=st.sampled_from(["amp", "enforce"]),
            ),
            st.builds(ended, actions, st.sampled_from([DONE, FAILED, CANCELLED, SUPERSEDED, LOST])),
            st.builds(Followed, st.just(START), st.just("n1"), st.sampled_from(["r1", "r2"]), actions),
            st.builds(resolved, actions),
        )
        entries = data.draw(st.lists(entry, max_size=12))
        stage = Stage()
        before: Wanted | None = None
        for each in entries:
            before = wanted_after(before, each)
        stage.publish(*entries)
        wanted = stage.wants.of("n1")

        self.assertEqual(before, wanted)
        self.assertEqual(naive(entries), wanted and (wanted.goal, wanted.request_id, wanted.action))

    @given(APPENDS)
    def test_like_the_journal(self, appends: Sequence[Sequence[Entry]]) -> None:
        """
        Whatever is written, a restart finds wanted what was wanted before it.
        """
        stage, judge = Stage(), Projection()
        for entries in appends:
            stage.publish(*entries)
            for entry in entries:
                judge.add(entry)

        names = {name for name in {*judge.wanted, "n1", "n2", "ä-[1]"} if stage.wants.of(name)}
        self.assertEqual(judge.wanted, {name: stage.wants.of(name) for name in names})


def naive(entries: Sequence[Entry]) -> tuple[Goal, str, str] | None:
    """
    What is wanted of n1: the last wish, unless anybody has taken it back since.
    """
    goals = {Verb.ON: Goal.ON, Verb.CYCLE: Goal.ON, Verb.OFF: Goal.OFF, Verb.SOFT_OFF: Goal.OFF}
    wishes = [
        number
        for number, each in enumerate(entries)
        if isinstance(each, Accepted) and each.request.verb in goals and each.request.door != "enforce"
    ]
    if not wishes:
        return None
    wish = entries[wishes[-1]]
    assert isinstance(wish, Accepted)
    action = wish.action
    for each in entries[wishes[-1] + 1 :]:
        match each:
            case Accepted(request=Request(door="enforce", verb=verb)) if verb in goals:
                action = each.action
            case Followed(request_id=wish.request.request_id):
                action = each.action
            case Resolved(action=known) | Ended(action=known, outcome=Cancelled()) if known == action:
                return None
    return goals[wish.request.verb], wish.request.request_id, action


Step = Callable[[Stage], None]


def reached(goal: Goal = Goal.ON, action: str = "a1") -> Step:
    return lambda stage: stage.reach(goal, action=action)


def seen(*states: PowerState) -> Step:
    def step(stage: Stage) -> None:
        for state in states:
            stage.see(state)

    return step


def begins(verb: Verb, action: str) -> Step:
    return lambda stage: stage.accept(verb, action)


def ends(action: str, outcome: Outcome) -> Step:
    return lambda stage: stage.end(action, outcome)


FROM_ON = ("n1", Goal.ON, OFF)
FROM_OFF = ("n1", Goal.OFF, ON)

# For each: what happens, what is told of drift, and whether the node has drifted in the end.
EPISODES: dict[str, tuple[list[Step], list[tuple[str, Goal, PowerState]], bool]] = {
    "as wanted": ([reached()], [], False),
    "nothing is wanted": ([seen(ON, OFF)], [], False),
    "turned off by somebody": ([reached(), seen(OFF)], [FROM_ON], True),
    "turned on by somebody": ([reached(Goal.OFF), seen(ON)], [FROM_OFF], True),
    "told once": ([reached(), seen(OFF, OFF, OFF)], [FROM_ON], True),
    "reads that fail say nothing": ([reached(), seen(UNKNOWN, ERROR)], [], False),
    "one episode, with reads that fail": ([reached(), seen(OFF, UNKNOWN, OFF)], [FROM_ON], True),
    "still drifted while unreadable": ([reached(), seen(OFF, UNKNOWN)], [FROM_ON], True),
    "came back": ([reached(), seen(OFF, ON)], [FROM_ON], False),
    "two episodes": ([reached(), seen(OFF, ON, OFF)], [FROM_ON, FROM_ON], True),
    "not while something is done": ([reached(), begins(Verb.CYCLE, "a2"), seen(OFF)], [], False),
    "failed to come on": ([seen(OFF), begins(Verb.ON, "a1"), ends("a1", FAILED)], [FROM_ON], True),
    "told once, though it failed twice": (
        [
            seen(OFF),
            begins(Verb.ON, "a1"),
            ends("a1", FAILED),
            begins(Verb.ON, "a2"),
            ends("a2", FAILED),
        ],
        [FROM_ON],
        True,
    ),
    "a cycle's second half failed": (
        [reached(), begins(Verb.CYCLE, "a2"), seen(OFF), ends("a2", FAILED)],
        [FROM_ON],
        True,
    ),
    "something else is wanted": ([reached(), seen(OFF), begins(Verb.OFF, "a2")], [FROM_ON], False),
    "and is reached": ([reached(), seen(OFF), begins(Verb.OFF, "a2"), ends("a2", DONE)], [FROM_ON], False),
    "nothing is wanted any more": (
        [reached(), seen(OFF), begins(Verb.ON, "a2"), ends("a2", CANCELLED)],
        [FROM_ON],
        False,
    ),
    "a refused reset changes nothing": (
        [reached(), seen(OFF), begins(Verb.RESET, "a2"), ends("a2", FAILED)],
        [FROM_ON],
        True,
    ),
}


class DriftTests(SynchronousTestCase):
    def test_table(self) -> None:
        """
        A node at rest that is seen with other power than is wanted has drifted, and that is told once.
        """
        for title, (steps, told, drifted) in EPISODES.items():
            stage = Stage()
            for step in steps:
                step(stage)

            self.assertEqual(told, stage.drifts(), title)
            self.assertEqual(drifted, stage.wants.drifted("n1"), title)
            self.assertEqual(["n1"] if drifted else [], stage.wants.drifting(), title)
            self.assertEqual([], stage.asked, title)

    def test_repeated_reads(self) -> None:
        """
        Being told of each read tells nothing new.
        """
        stage = Stage()
        stage.reach()
        stage.see(OFF)
        for _ in range(5):
            stage.wants.saw("n1")
            stage.clock.advance(0)

        self.assertEqual([FROM_ON], stage.drifts())
        self.assertEqual([], stage.clock.getDelayedCalls())

    def test_written_later(self) -> None:
        """
        What could not be written is written as soon as it can be, once.
        """
        stage = Stage()
        stage.reach()
        stage.full = True
        stage.see(OFF)
        stage.turn(100)
        self.assertTrue(stage.wants.drifted("n1"))
        self.assertEqual([], stage.drifts())

        stage.full = False
        stage.turn(100)

        self.assertEqual([FROM_ON], stage.drifts())
        self.assertEqual([], stage.clock.getDelayedCalls())

    def test_written_at_the_next_sight(self) -> None:
        """
        What could not be written is written when the node is seen again.
        """
        stage = Stage()
        stage.reach()
        stage.full = True
        stage.see(OFF)
        stage.full = False
        stage.wants.saw("n1")
        stage.clock.advance(0)
        self.assertEqual([FROM_ON], stage.drifts())

        stage.turn(100)
        self.assertEqual([FROM_ON], stage.drifts())

    def test_over_before_it_was_written(self) -> None:
        """
        What is over is not written any more.
        """
        stage = Stage()
        stage.reach()
        stage.full = True
        stage.see(OFF)
        stage.see(ON)
        self.assertEqual([], stage.clock.getDelayedCalls())
        stage.full = False
        stage.turn(100)

        self.assertEqual([], stage.drifts())

    def test_not_configured(self) -> None:
        """
        A node that is taken out of the configuration has not drifted, until it is back; what is wanted stays.
        """
        stage = Stage()
        stage.reach()
        del stage.nodes["n1"]
        stage.see(OFF)
        self.assertEqual([], stage.drifts())

        stage.nodes["n1"] = OnDrift.FLAG
        stage.wants.saw("n1")
        stage.clock.advance(0)
        self.assertTrue(stage.wants.drifted("n1"))
        del stage.nodes["n1"]

        self.assertFalse(stage.wants.drifted("n1"))
        self.assertIsNotNone(stage.wants.of("n1"))


class BeginningTests(SynchronousTestCase):
    def restarted(self, stage: Stage, *, serving: bool = True) -> Wants:
        wanted = {name: each for name in stage.nodes if (each := stage.wants.of(name)) is not None}
        stage.wants.stop()
        stage.wants = stage.new()
        stage.wants.begin(wanted)
        if serving:
            stage.wants.resume()
        return stage.wants

    def test_known(self) -> None:
        """
        What was wanted, and what had drifted, is known at once after a restart, and not told again.
        """
        stage = Stage()
        stage.reach()
        stage.see(OFF)
        before = stage.wants.of("n1")
        wants = self.restarted(stage)

        self.assertEqual(before, wants.of("n1"))
        self.assertEqual(["n1"], wants.drifting())
        stage.turn(100)
        self.assertEqual([FROM_ON], stage.drifts())
        self.assertEqual([], stage.reads)

    def test_unknown(self) -> None:
        """
        A node that could not be read before the restart is read after it.
        """
        stage = Stage()
        stage.accept(Verb.ON, "a1")
        stage.see(UNKNOWN)
        stage.end("a1", LOST)
        self.restarted(stage)
        stage.answers = [OFF]
        stage.turn(60)

        self.assertEqual(1, len(stage.reads))
        self.assertEqual([FROM_ON], stage.drifts())

    def test_enforced(self) -> None:
        """
        A node that is to be brought back is read first, and then brought back.
        """
        stage = Stage({"n1": OnDrift.ENFORCE, "n2": OnDrift.ENFORCE})
        stage.reach()
        stage.reach(name="n2", action="a2")
        stage.states["n1"] = OFF
        self.restarted(stage)
        stage.turn(10)

        self.assertEqual(["n1", "n2"], [name for _, name in stage.reads])
        self.assertEqual([Verb.ON], [request.verb for _, request in stage.asked])

    def test_not_before_serving(self) -> None:
        """
        Until the service serves nothing is read nor brought back, but it is known what has drifted.
        """
        stage = Stage({"n1": OnDrift.ENFORCE})
        stage.reach()
        stage.states["n1"] = OFF
        wants = self.restarted(stage, serving=False)
        stage.turn(1000)
        self.assertEqual((["n1"], [], []), (wants.drifting(), stage.reads, stage.asked))
        self.assertEqual([], stage.clock.getDelayedCalls())

        wants.resume()
        stage.turn(1)
        self.assertEqual((1, 1), (len(stage.reads), len(stage.asked)))

    def test_busy(self) -> None:
        """
        A node whose action goes on is left to that.
        """
        stage = Stage({"n1": OnDrift.ENFORCE})
        stage.accept(Verb.ON, "a1")
        stage.states["n1"] = OFF
        wants = self.restarted(stage)
        stage.turn(1)
        self.assertEqual([], [*wants.drifting(), *stage.reads])

        stage.end("a1", FAILED)
        self.assertEqual([FROM_ON], stage.drifts())


class EnforcingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage = Stage({"n1": OnDrift.ENFORCE})
        self.stage.reach()

    def brought_back(self) -> None:
        """
        What was submitted does what it says.
        """
        self.stage.see(ON)
        self.stage.end(f"e{len(self.stage.asked)}")

    def test_once(self) -> None:
        """
        A node that was turned off is brought back once, by a request that disturbs nobody.
        """
        self.stage.see(OFF)
        self.stage.turn(1)
        self.brought_back()
        self.stage.turn(10_000)

        ((_, request),) = self.stage.asked
        self.assertEqual((Verb.ON, "n1", Policy.REJECT), (request.verb, request.node, request.policy))
        self.assertEqual(("enforce", "powercoord"), (request.door, request.requester))
        self.assertEqual([], self.stage.clock.getDelayedCalls())

    def test_off(self) -> None:
        """
        A node that was turned on is brought back off.
        """
        self.stage.reach(Goal.OFF, action="a2")
        self.stage.see(ON)
        self.stage.turn(1)

        self.assertEqual([Verb.OFF], [request.verb for _, request in self.stage.asked])

    def test_never_forced(self) -> None:
        """
        Whoever wanted a soft-off that may not be forced gets no other.
        """
        for escalate, verb in ((False, Verb.SOFT_OFF), (True, Verb.OFF)):
            stage = Stage({"n1": OnDrift.ENFORCE})
            stage.publish(accepted(Verb.SOFT_OFF, escalate=escalate), ended("a1", DONE))
            stage.see(ON)
            stage.turn(1)
            ((_, request),) = stage.asked

            self.assertEqual((verb, escalate), (request.verb, request.escalate))

    def test_backs_off(self) -> None:
        """
        A node that drifts at once each time is left alone for twice as long each time, and at most an hour.
        """
        self.stage.see(OFF)
        for _ in range(9):
            while len(self.stage.asked) == len(self.stage.drifts()) - 1:
                self.stage.clock.advance(1)
            self.brought_back()
            self.stage.see(OFF)

        at = self.stage.asked_at()
        pauses = [later - earlier for earlier, later in pairwise(at)]
        self.assertEqual([60, 120, 240, 480, 960, 1920, 3600, 3600], pauses)

    def test_failing(self) -> None:
        """
        The pause counts from the end of a try that took long and failed.
        """
        self.stage.see(OFF)
        self.stage.turn(180)
        self.stage.end("e1", FAILED)
        self.stage.turn(59)
        self.assertEqual(1, len(self.stage.asked))
        self.stage.turn(2)
        self.assertEqual(2, len(self.stage.asked))

    def test_held_too_briefly(self) -> None:
        """
        A node that held only for a moment has not held, however long the next try takes.
        """
        self.stage.see(OFF)
        self.stage.turn(1)
        self.brought_back()
        self.stage.turn(10)
        self.stage.see(OFF)
        self.stage.turn(300)
        self.assertEqual([0, 61], self.stage.asked_at())

        self.stage.end("e2", FAILED)
        self.stage.turn(119)
        self.assertEqual([0, 61], self.stage.asked_at())

    def test_another_wish(self) -> None:
        """
        What somebody else wants has patience of its own.
        """
        self.stage.see(OFF)
        self.stage.turn(1)
        self.brought_back()
        self.stage.reach(Goal.OFF, action="a2")
        self.stage.see(ON)
        self.stage.turn(1)

        self.assertEqual([Verb.ON, Verb.OFF], [request.verb for _, request in self.stage.asked])

    def test_begins_anew(self) -> None:
        """
        A node that held for as long as the pause is brought back at once the next time.
        """
        for _ in range(3):
            self.stage.see(OFF)
            self.stage.turn(1)
            self.brought_back()
            self.stage.turn(drift_enforcing.SHORTEST_PAUSE)

        self.assertEqual([0, 61, 122], self.stage.asked_at())

    def test_not_while_draining(self) -> None:
        """
        While it is paused nothing is begun and no timer runs; then everything goes on, each thing once.
        """
        self.stage.wants.pause()
        self.stage.see(OFF)
        self.stage.turn(4000)
        self.assertEqual([], self.stage.asked)
        self.assertEqual([], self.stage.clock.getDelayedCalls())
        self.assertEqual([FROM_ON], self.stage.drifts())

        for _ in range(10):
            self.stage.wants.resume()
            self.stage.wants.pause()
            self.stage.wants.resume()
        self.assertEqual(1, len(self.stage.clock.getDelayedCalls()))
        self.stage.turn(1)
        self.assertEqual(1, len(self.stage.asked))

    def test_not_in_trouble(self) -> None:
        """
        Nothing is submitted while the journal cannot be written.
        """
        self.stage.trouble = "the disk is full"
        self.stage.see(OFF)
        self.stage.turn(1000)
        self.assertEqual([], self.stage.asked)

        self.stage.trouble = None
        self.stage.turn(100)
        self.assertEqual(1, len(self.stage.asked))

    def test_not_before_it_is_told(self) -> None:
        """
        It is written that a node has drifted before it is brought back.
        """
        self.stage.full = True
        self.stage.see(OFF)
        self.stage.turn(20)
        self.assertEqual([], self.stage.asked)

        self.stage.full = False
        self.stage.turn(20)
        self.assertEqual(1, len(self.stage.asked))

    def test_not_when_busy(self) -> None:
        """
        What a caller has asked for meanwhile is not disturbed.
        """
        self.stage.wants.pause()
        self.stage.see(OFF)
        self.stage.accept(Verb.BOOT, "a2")
        self.stage.wants.resume()
        self.stage.turn(10)
        self.assertEqual([], self.stage.asked)

        self.stage.end("a2")
        self.stage.turn(1)
        self.assertEqual(1, len(self.stage.asked))

    def test_refused(self) -> None:
        """
        What is refused is tried again after the pause.
        """
        self.stage.refusal = Draining("n1: not accepted")
        self.stage.see(OFF)
        self.stage.turn(30)
        self.stage.refusal = None
        self.stage.turn(31)

        self.assertEqual([0, 60], self.stage.asked_at())

    def test_reload(self) -> None:
        """
        Whether to bring a node back is asked of the configuration each time.
        """
        self.stage.nodes["n1"] = OnDrift.FLAG
        self.stage.see(OFF)
        self.stage.turn(10)
        self.assertEqual([], self.stage.asked)
        self.stage.nodes["n1"] = OnDrift.ENFORCE
        self.stage.wants.reconsider()
        self.stage.turn(1)
        self.assertEqual(1, len(self.stage.asked))
        self.stage.end("e1", FAILED)

        self.stage.nodes["n1"] = OnDrift.FLAG
        self.stage.turn(100)
        self.assertEqual(1, len(self.stage.asked))

    def test_taken_out(self) -> None:
        """
        A node that is taken out of the configuration is not brought back.
        """
        self.stage.wants.pause()
        self.stage.see(OFF)
        del self.stage.nodes["n1"]
        self.stage.wants.resume()
        self.stage.turn(10_000)

        self.assertEqual([], self.stage.asked)
        self.assertEqual([], self.stage.clock.getDelayedCalls())

    def test_cancelled(self) -> None:
        """
        Whoever cancels the bringing back does not want it any more.
        """
        self.stage.see(OFF)
        self.stage.turn(1)
        self.stage.end("e1", CANCELLED)
        self.stage.turn(10_000)

        self.assertEqual(1, len(self.stage.asked))
        self.assertIsNone(self.stage.wants.of("n1"))


class LookingTests(SynchronousTestCase):
    def lost(self, stage: Stage) -> None:
        stage.accept(Verb.ON, "a1")
        stage.see(UNKNOWN)
        stage.end("a1", LOST)

    def test_until_something_is_seen(self) -> None:
        """
        A node whose action ended unknown is read again, ever more rarely, until something is seen.
        """
        stage = Stage(answers=[UNKNOWN] * 9 + [ON])
        self.lost(stage)
        stage.turn(10_000)

        at = [0.0, *(when for when, _ in stage.reads)]
        pauses = [later - earlier for earlier, later in pairwise(at)]
        self.assertEqual([5, 5, 10, 20, 40, 80, 160, 320, 600, 600], pauses)
        self.assertEqual([], stage.drifts())
        self.assertEqual([], stage.clock.getDelayedCalls())

    def test_never_hammered(self) -> None:
        """
        A BMC that refuses us is not asked again.
        """
        stage = Stage(answers=[ERROR])
        self.lost(stage)
        stage.turn(5000)

        self.assertEqual(1, len(stage.reads))

    def test_seen_by_somebody_else(self) -> None:
        """
        What another read has seen needs no look.
        """
        stage = Stage()
        self.lost(stage)
        stage.see(ON)
        stage.turn(5000)

        self.assertEqual([], stage.reads)

    def test_busy(self) -> None:
        """
        While something is in play, that looks.
        """
        stage = Stage()
        self.lost(stage)
        stage.accept(Verb.BOOT, "a2")
        stage.turn(100)
        self.assertEqual([], stage.reads)

        stage.end("a2")
        stage.turn(drift_looks.FIRST_LOOK + 1)
        self.assertEqual(1, len(stage.reads))

    def test_late_answer(self) -> None:
        """
        The answer to a look that is no longer needed is not heeded.
        """
        stage = Stage(slow=True)
        self.lost(stage)
        stage.turn(6)
        stage.see(ON)
        (reading,) = stage.reading
        reading.callback(Observation(UNKNOWN))
        stage.turn(5000)

        self.assertEqual(1, len(stage.reads))
        self.assertEqual([], stage.clock.getDelayedCalls())

    def test_resolved(self) -> None:
        """
        What a person has declared settled is not asked about.
        """
        declared, over = resolved("a1"), ended("a1", LOST)
        for parts in ([[declared, over]], [[over, declared]], [[declared], [over]], [[over], [declared]]):
            stage = Stage()
            stage.accept(Verb.ON, "a1")
            stage.see(UNKNOWN)
            for part in parts:
                stage.publish(*part)
            stage.busy.clear()
            stage.turn(5000)

            self.assertEqual([], stage.reads)

    def test_taken_out(self) -> None:
        """
        A node that is taken out of the configuration is not read.
        """
        stage = Stage()
        self.lost(stage)
        del stage.nodes["n1"]
        stage.turn(5000)

        self.assertEqual([], stage.reads)
        self.assertEqual([], stage.clock.getDelayedCalls())

    def test_paused(self) -> None:
        """
        While it is paused nothing is read and no timer runs.
        """
        stage = Stage()
        self.lost(stage)
        stage.wants.pause()
        self.assertEqual([], stage.clock.getDelayedCalls())
        stage.turn(5000)
        self.assertEqual([], stage.reads)

        stage.answers = [ON]
        stage.wants.resume()
        stage.turn(1)
        self.assertEqual(1, len(stage.reads))


class StoppingTests(HypothesisNotes, SynchronousTestCase):
    def test_no_timer(self) -> None:
        """
        After a stop no timer is left, and none comes back.
        """
        stage = Stage({"n1": OnDrift.ENFORCE, "n2": OnDrift.FLAG, "n3": OnDrift.FLAG})
        for number in (1, 2, 3):
            stage.reach(name=f"n{number}", action=f"a{number}")
        stage.full = True
        stage.see(OFF, "n1")
        stage.accept(Verb.ON, "a4", "n2")
        stage.end("a4", LOST, "n2")
        stage.states["n3"] = OFF
        stage.wants.saw("n3")
        self.assertEqual(3, len(stage.clock.getDelayedCalls()))

        stage.wants.stop()
        self.assertEqual([], stage.clock.getDelayedCalls())
        stage.full = False
        stage.wants.resume()
        stage.wants.saw("n1")
        stage.publish(ended("a9", LOST))
        self.assertEqual([], stage.clock.getDelayedCalls())

    @given(
        st.lists(
            st.one_of(
                st.sampled_from([ON, OFF, UNKNOWN, ERROR]),
                st.sampled_from([Verb.ON, Verb.OFF, Verb.CYCLE, Verb.RESET]),
                st.sampled_from([DONE, FAILED, CANCELLED, LOST]),
                st.sampled_from(["pause", "resume", "full", "writable", "flag", "enforce", "gone"]),
                st.integers(1, 400),
            ),
            max_size=30,
        )
    )
    def test_whatever_happens(self, events: list[Any]) -> None:
        """
        A node that is busy, agrees, is flagged or paused is let be, and each episode is told once.
        """
        stage = Stage({"n1": OnDrift.ENFORCE})
        allowed = {"paused": False}

        def check(request: Request) -> None:
            wanted = stage.wants.of("n1")
            assert wanted is not None
            self.assertFalse(stage.busy or allowed["paused"])
            self.assertEqual(OnDrift.ENFORCE, stage.nodes.get("n1"))
            self.assertEqual(wanted.goal.value, request.verb.value)
            self.assertNotEqual(wanted.goal.value, stage.states["n1"].value)

        stage.check = check
        for number, event in enumerate(events):
            if isinstance(event, PowerState):
                stage.see(event)
            elif isinstance(event, Verb):
                stage.accept(event, f"a{number}")
            elif isinstance(event, int):
                stage.turn(event)
            elif isinstance(event, str):
                self.switch(stage, allowed, event)
            elif stage.busy:
                stage.end(last_action(stage), event)
        self.assertEqual([], told_twice(stage.entries))
        stage.wants.stop()
        self.assertEqual([], stage.clock.getDelayedCalls())

    def switch(self, stage: Stage, allowed: dict[str, bool], event: str) -> None:
        if event in ("pause", "resume"):
            allowed["paused"] = event == "pause"
            (stage.wants.pause if event == "pause" else stage.wants.resume)()
        elif event in ("full", "writable"):
            stage.full = event == "full"
        elif event == "gone":
            stage.nodes.pop("n1", None)
        else:
            stage.nodes["n1"] = OnDrift(event)


def last_action(stage: Stage) -> str:
    return next(entry.action for entry in reversed(stage.entries) if isinstance(entry, Accepted))


def told_twice(entries: Sequence[Entry]) -> list[Drifted]:
    """
    Drifts told although the one before was not over.
    """
    twice = []
    going_on: Goal | None = None
    wanted: Wanted | None = None
    for entry in entries:
        after = wanted_after(wanted, entry)
        if (after and after.goal) is not (wanted and wanted.goal):
            going_on = None
        wanted = after
        match entry:
            case Observed(observation=Observation(state=state)) if going_on is not None:
                if state.value == going_on.value:
                    going_on = None
            case Drifted() if going_on is entry.wanted:
                twice.append(entry)
            case Drifted():
                going_on = entry.wanted
    return twice
