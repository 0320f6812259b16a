# SPDX-License-Identifier: MIT
"""
Any graph of nodes, any requests and faults, on a virtual clock.
"""

from __future__ import annotations

from typing import Any

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import RequestRefused
from powercoord.holds import Terms
from powercoord.model import Goal, Limit, Outcome, Policy, Ready, Verb
from powercoord.testing.driver import Fault
from tests.hypothesis_notes import HypothesisNotes, run_state_machine
from tests.registry.chassis import Chassis
from tests.registry.rack import glide, unbalanced
from tests.registry.site import ADDRESSES, Site
from tests.registry.world import quick

NAMES = tuple(f"n{number}" for number in range(7))
SETTLE = 1.5
VERBS = st.sampled_from([Verb.ON, Verb.ON, Verb.OFF, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE, Verb.RESET])
FAULTS = st.sampled_from(
    [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.STUCK, Fault.BUSY, Fault.REFUSED, Fault.LATE]
)
LONGEST = 3000.0
MOST = 100


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """
    Each node requires some of those before it, so there is no circle.
    """
    return {
        name: tuple(draw(st.sets(st.sampled_from(NAMES[:index]), max_size=3))) if index else ()
        for index, name in enumerate(NAMES)
    }


class Family(RuleBasedStateMachine):
    """
    Seven nodes that require one another in any way, few of which may start at once.
    """

    world: Chassis

    @initialize(graph=graphs(), on=st.sets(st.sampled_from(NAMES)), most=st.integers(1, 3))
    def begin(self, graph: dict[str, tuple[str, ...]], on: set[str], most: int) -> None:
        """
        What is on has all that it requires.
        """
        self.world = world = Chassis(
            timing=quick(),
            requires=graph,
            ready={name: Ready(after=SETTLE) for name in NAMES[:3]},
            fleet=Limit(most),
        )
        self.outcomes: dict[str, list[Outcome]] = {}
        self.meant: set[str] = set()
        self.wrong: list[str] = []
        world.driver.watch = self.watch
        world.driver.late_by = 1.0
        for name in NAMES:
            below = all(world.machine(required).on for required in graph[name])
            world.machine(name).on = below and name in on
            world.machine(name).latency = 0.3
        world.look()

    @rule(
        name=st.sampled_from(NAMES),
        verb=VERBS,
        policy=st.sampled_from(Policy),
        with_children=st.booleans(),
        deadline=st.sampled_from([None, None, 3.0, 20.0]),
        escalate=st.booleans(),
    )
    def ask(self, name: str, verb: Verb, *, with_children: bool, **options: Any) -> None:
        """
        Anybody asks for anything.
        """
        with_children = with_children and verb in (Verb.OFF, Verb.SOFT_OFF)
        if with_children and verb is Verb.OFF:
            self.meant |= {name} | self.world.above(name)
        answer = self.world.ask(verb, name, with_children=with_children, **options)
        answer.addCallbacks(self._accepted, lambda failure: failure.trap(RequestRefused) and None)

    @rule(name=st.sampled_from(NAMES), faults=st.lists(FAULTS, min_size=1, max_size=3))
    def break_commands(self, name: str, faults: list[Fault]) -> None:
        """
        The next commands of a node go wrong.
        """
        self.world.machine(name).faults += faults

    @rule(name=st.sampled_from(NAMES), times=st.integers(1, 4))
    def break_reads(self, name: str, times: int) -> None:
        """
        The next reads of a node have no answer.
        """
        self.world.machine(name).read_faults += [Fault.LOST_REQUEST] * times

    @rule(name=st.sampled_from(NAMES), only=st.sampled_from([None, Goal.ON, Goal.OFF]), held=st.booleans())
    def hold(self, name: str, only: Goal | None, *, held: bool) -> None:
        """
        Somebody holds a node, or releases it.
        """
        holds = self.world.registry.holds
        if held:
            holds.hold([name], Terms(holder="alice", reason="hands", only=only), "alice")
        else:
            holds.release([name], "alice", "alice")

    @rule(index=st.integers(0, 50))
    def cancel(self, index: int) -> None:
        """
        Somebody cancels something that is going on.
        """
        actions = list(self.world.registry._course.actions)  # noqa: SLF001 - whatever there is
        if actions:
            self.world.registry.cancel(actions[index % len(actions)], "bob").addErrback(lambda _: None)

    @rule(seconds=st.sampled_from([0.0, 0.006, 0.1, 1.0, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        glide(self.world.clock, seconds)

    def watch(self, name: str, command: str, on: frozenset[str]) -> None:
        """
        Nobody starts unless all it requires is on and settled; nobody's power is cut unasked.
        """
        now = self.world.clock.seconds()
        if command == "on":
            for required in self.world.requires[name]:
                if required not in on or self.world.settled_at(required) > now:
                    self.wrong.append(f"{now}: {name} told to start on {required}, which does not carry it")
        elif command in ("off", "soft") and name not in self.meant:
            carried = self.world.above(name) & on
            if carried:
                self.wrong.append(f"{now}: {name} told to go {command} beneath {carried}")

    @invariant()
    def all_is_well(self) -> None:
        """
        None of that has happened.
        """
        assert not hasattr(self, "wrong") or not self.wrong, self.wrong

    def teardown(self) -> None:
        """
        Everything ends, and each request was answered once.
        """
        if not hasattr(self, "world"):
            return
        glide(self.world.clock, LONGEST)
        note(f"{self.world.registry.busy()}")
        assert not self.world.registry.pending
        assert all(len(each) == 1 for each in self.outcomes.values()), self.outcomes
        assert not unbalanced(self.world.journal.entries)
        self.all_is_well()
        self.world.registry.stop("over")
        glide(self.world.clock, 100.0)
        assert not self.flushed_faults()

    def flushed_faults(self) -> list[str]:
        """
        Outcomes that a fault of ours has made.
        """
        everything = [outcome for each in self.outcomes.values() for outcome in each]
        return [each.text for each in everything if "fault in" in getattr(each, "text", "")]

    def _accepted(self, ticket: Any) -> None:
        ticket.wait().addCallback(self.outcomes.setdefault(ticket.request_id, []).append)


class KilledFamily(RuleBasedStateMachine):
    """
    A chain and one beside it, and a coordinator that is killed at any write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.site = Site(requires={"n2": ("n1",), "n3": ("n2",), "n4": ("n1",)})
        self.meant: set[str] = set()
        self.down = 0.0
        for name in ADDRESSES:
            self.site.machine(name).latency = 0.3

    @rule(
        name=st.sampled_from(sorted(ADDRESSES)),
        verb=st.sampled_from([Verb.ON, Verb.ON, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE]),
        with_children=st.booleans(),
    )
    def ask(self, name: str, verb: Verb, *, with_children: bool) -> None:
        """
        A caller asks, and asks again after a restart.
        """
        if with_children and verb is Verb.OFF:
            self.meant |= set(ADDRESSES)
        self.site.ask(node=name, verb=verb, with_children=with_children and verb in (Verb.OFF, Verb.SOFT_OFF))

    @rule(seconds=st.sampled_from([0.0, 0.006, 0.1, 0.5, 3.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        glide(self.site.clock, seconds)

    @rule(writes=st.integers(1, 8), keeps=st.booleans(), down=st.sampled_from([0.0, 0.1, 20.0]))
    def kill_at_a_write(self, writes: int, keeps: bool, down: float) -> None:
        """
        It is killed when it writes, and another begins after a while.
        """
        self.site.journal.fuse, self.site.journal.keeps = writes, keeps
        self.down = down

    @precondition(lambda self: self.site.death.dead)
    @rule()
    def begin(self) -> None:
        """
        Another begins.
        """
        glide(self.site.clock, self.down)
        self.site.begin()

    @invariant()
    def nobody_without_footing(self) -> None:
        """
        No machine comes on that requires one that is off, nor is one cut off unasked.
        """
        on = {name for name in ADDRESSES if self.site.machine(name).on}
        for name, required in self.site.requires.items():
            assert self.meant or name not in on or on.issuperset(required), f"{name} is on without {required}"

    def teardown(self) -> None:
        """
        After the last restart everything ends, and is heard.
        """
        self.site.journal.fuse = None
        if self.site.death.dead:
            self.site.begin()
        glide(self.site.clock, LONGEST)
        self.nobody_without_footing()
        assert not self.site.registry.pending
        self.site.die()


class FamilyTests(HypothesisNotes, SynchronousTestCase):
    def test_any_history(self) -> None:
        """
        No history makes a node start without what it requires, cuts a running one off, or never ends.
        """
        run_state_machine(Family, settings(settings(), max_examples=MOST, stateful_step_count=30))

    def test_any_kill(self) -> None:
        """
        Whenever it is killed, no node comes on without what it requires, and every on and off ends.
        """
        run_state_machine(KilledFamily, settings(settings(), max_examples=MOST, stateful_step_count=30))
