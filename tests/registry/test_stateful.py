# SPDX-License-Identifier: MIT
"""
Any requests, faults and moments, in any order, on a virtual clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Entered, Observed
from powercoord.errors import JournalUnavailable, NoSuchAction
from powercoord.model import Boot, BootDevice, Interrupted, Phase, Policy, PowerState, Verb, Wait
from powercoord.registry.lattice import MOST_WAITING
from powercoord.testing.driver import Fault
from tests.hypothesis_notes import HypothesisNotes, run_state_machine
from tests.registry.rack import (
    ENDPOINT_LIMITS,
    FLEET,
    GROUPS,
    PLACES,
    START,
    TIMING,
    Rack,
    glide,
    most_starting,
    neighbours,
    unbalanced,
    wants,
)
from tests.unmeasured import unmeasured

T = TypeVar("T")
NODES = st.sampled_from(sorted(PLACES))
BOOTS = st.sampled_from([Boot(BootDevice.PXE), Boot(BootDevice.DISK)])
BOOTABLE = {Verb.ON, Verb.CYCLE, Verb.RESET}
SMALL_STEPS = st.sampled_from([0.0, 0.004, 0.006, 0.01, 0.05, 0.11, 0.5, 1.0])
LARGE_STEPS = st.sampled_from([2.0, 3.0, 7.0, 13.0, 31.0, 61.0])

# What one operation can take at worst: a deaf driver is torn down after its time and the time to cancel.
OPERATION = 2.0 + TIMING.cancel


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """
    Anything that somebody may ask: mostly plain things, and all of them of few nodes, so that they meet.
    """
    verb = draw(st.sampled_from(list(Verb)))
    asked: dict[str, Any] = {"node": draw(NODES), "verb": verb}
    if verb is Verb.BOOT or (verb in BOOTABLE and draw(st.integers(0, 3)) == 0):
        asked["boot"] = draw(BOOTS)
    if draw(st.integers(0, 3)) == 0:
        asked["policy"] = draw(st.sampled_from(Policy))
    if draw(st.integers(0, 3)) == 0:
        asked["wait"] = Wait.NONE
    if draw(st.integers(0, 5)) == 0:
        asked["deadline"] = draw(st.sampled_from([0.5, 3.0, 20.0, 100.0]))
    if draw(st.integers(0, 5)) == 0:
        asked["sequence"] = draw(st.integers(0, 5))
    if verb is Verb.SOFT_OFF and draw(st.integers(0, 3)) == 0:
        asked["escalate"] = False
    return asked


def pick(data: st.DataObject, choices: Sequence[T]) -> T:
    """
    One of them; only its number is told in a report.
    """
    return choices[data.draw(st.integers(0, len(choices) - 1), "number")]


class RegistryMachine(RuleBasedStateMachine):
    """
    Everything that can happen to a registry.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rack = Rack()
        self.smooth_since = 0.0
        self.stopped = False

    # What callers do

    @rule(asked=requests())
    def submit(self, asked: dict[str, Any]) -> None:
        self._submit(asked)

    @rule(asked=st.lists(requests(), min_size=2, max_size=5))
    def submit_many(self, asked: list[dict[str, Any]]) -> None:
        self._submit(*asked)

    @rule(node=NODES, times=st.integers(2, 8), verbs=st.permutations([Verb.ON, Verb.OFF]))
    def click(self, node: str, times: int, verbs: list[Verb]) -> None:
        for number in range(times):
            self._submit({"node": node, "verb": verbs[number % 2]})

    @precondition(lambda self: self.rack.wanted)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        request = pick(data, self.rack.wanted).request
        self._submit({name: getattr(request, name) for name in ("node", "verb", "boot", "request_id")})

    @precondition(lambda self: any(one.waiting and not one.settled for one in self.rack.wanted))
    @rule(data=st.data(), answer=st.sampled_from(["submit", "cancel", "query", "nothing"]))
    def go_away(self, data: st.DataObject, answer: str) -> None:
        """
        A waiter goes, and what it hears then makes it do something else at once.
        """
        one = pick(data, [one for one in self.rack.wanted if one.waiting and not one.settled])
        assert one.waiting is not None
        one.gone = True
        one.waiting.addBoth(lambda _: self._react(answer, one.request.node))
        one.waiting.cancel()

    @precondition(lambda self: any(one.waiting and not one.settled for one in self.rack.wanted))
    @rule(data=st.data(), answer=st.sampled_from(["submit", "cancel", "query", "leave"]))
    def react(self, data: st.DataObject, answer: str) -> None:
        """
        A waiter will do something else the moment it is told.
        """
        one = pick(data, [one for one in self.rack.wanted if one.waiting and not one.settled])
        assert one.waiting is not None
        one.waiting.addCallback(lambda _: self._react(answer, one.request.node))

    @rule(data=st.data(), number=st.integers(1, 60))
    def cancel(self, data: st.DataObject, number: int) -> None:
        ids = [view.id for busy in self.rack.registry.busy() for view in self._actions(busy.node.name)]
        self._cancel(pick(data, ids) if ids else f"a{number}")

    @rule(node=NODES, then=st.sampled_from(["nothing", "leave", "query", "submit", "cancel"]))
    def query(self, node: str, then: str) -> None:
        asked = self.rack.registry.query(node)
        told = self.rack.expect(f"query {node}", asked)
        told.addCallbacks(
            lambda _: self._react(then, node) if then != "leave" else None,
            lambda gone: gone.trap(CancelledError) and None,
        )
        if then == "leave":
            asked.cancel()

    @rule(asked=requests(), seconds=SMALL_STEPS)
    def drain(self, asked: dict[str, Any], seconds: float) -> None:
        self.rack.registry.drain("a test", "nobody")
        self._submit(asked)
        glide(self.rack.clock, seconds)
        self.rack.registry.resume("nobody")

    @precondition(lambda self: len(self.rack.wanted) > 25 and not self.stopped)
    @rule()
    def stop(self) -> None:
        self.rack.taint(*PLACES)
        self.stopped = True
        self.rack.expect("stop", self.rack.registry.stop("a test"))

    # What time does

    @rule(seconds=SMALL_STEPS)
    def wait_a_little(self, seconds: float) -> None:
        glide(self.rack.clock, seconds)

    @rule(seconds=LARGE_STEPS)
    def wait_long(self, seconds: float) -> None:
        """
        No journal takes that long.
        """
        self.release_journal(0, goes_on=False)
        glide(self.rack.clock, seconds)

    @rule(seconds=st.sampled_from([0.3, 5.0, 40.0]))
    def hang(self, seconds: float) -> None:
        """
        The reactor is held up: everything that was due happens late, and at once.
        """
        self.rack.taint(*PLACES)
        self.rack.clock.advance(seconds)
        self.smooth_since = self.rack.clock.seconds()

    # What machines and BMCs do

    @rule(node=NODES, faults=st.lists(st.sampled_from(Fault), min_size=1, max_size=4))
    def spoil_commands(self, node: str, faults: list[Fault]) -> None:
        self.rack.taint(*neighbours(node))
        self.rack.machine(node).faults.extend(faults)

    @rule(node=NODES, faults=st.lists(st.sampled_from(Fault), min_size=1, max_size=4))
    def spoil_reads(self, node: str, faults: list[Fault]) -> None:
        self.rack.taint(*neighbours(node))
        self.rack.machine(node).read_faults.extend(faults)

    @rule(node=NODES, seconds=st.sampled_from([0.0, 0.3, 2.0, 6.0]))
    def change_latency(self, node: str, seconds: float) -> None:
        self.rack.machine(node).latency = seconds

    @rule(node=NODES)
    def change_obedience(self, node: str) -> None:
        machine = self.rack.machine(node)
        machine.obeys_soft = not machine.obeys_soft

    @rule(node=NODES)
    def press_button(self, node: str) -> None:
        self.rack.taint(node)
        machine = self.rack.machine(node)
        machine.on = not machine.on

    # What the journal does

    @rule()
    def hold_journal(self) -> None:
        self.rack.journal.hold = True

    @precondition(lambda self: self.rack.journal.hold)
    @rule(number=st.integers(1, 9), goes_on=st.booleans())
    def release_journal(self, number: int, goes_on: bool) -> None:
        self.rack.journal.hold = goes_on
        self.rack.journal.release(number if goes_on else len(self.rack.journal.held))
        self.smooth_since = self.rack.clock.seconds()

    @precondition(lambda self: self.rack.journal.held)
    @rule(number=st.integers(1, 3))
    def fail_journal(self, number: int) -> None:
        self.rack.taint(*PLACES)
        self.rack.journal.fail(JournalUnavailable("the disk is full"), number)
        self.smooth_since = self.rack.clock.seconds()

    @rule(number=st.integers(1, 4))
    def break_journal(self, number: int) -> None:
        self.rack.taint(*PLACES)
        self.rack.journal.breaks = number

    # What always holds

    @invariant()
    def one_change_at_a_time(self) -> None:
        for driver in self.rack.drivers.values():
            self._none("overlaps", driver.overlaps)

    @invariant()
    def endpoints_are_spared(self) -> None:
        for name, driver in self.rack.drivers.items():
            assert all(most <= ENDPOINT_LIMITS[name] for most in driver.busiest.values()), driver.busiest

    @invariant()
    def lanes_are_short(self) -> None:
        for name in PLACES:
            assert len(self.rack.registry.view(name).waiting) <= MOST_WAITING

    @invariant()
    def nobody_lies(self) -> None:
        self._none("lies", self.rack.lies)

    @invariant()
    def offs_begin(self) -> None:
        """
        An off begins within the time that what was in play may take to become quiet.
        """
        begun = {
            entry.action: (entry.at - START).total_seconds()
            for entry in self.rack.events
            if isinstance(entry, Entered) and entry.phase is Phase.ADMITTED
        }
        now = self.rack.clock.seconds()
        for one in self.rack.wanted:
            if self._is_urgent(one) and one.ticket is not None and one.asked_at >= self.smooth_since:
                ended = now if not one.settled else one.asked_at
                waited = begun.get(one.ticket.action, ended) - one.asked_at
                assert waited <= TIMING.cancel + 0.001, f"{one} began after {waited} s"

    # How it ends

    def teardown(self) -> None:
        self._let_everything_end()
        rack = self.rack
        self._none("not answered", [what for what, _, results in rack.answers if len(results) != 1])
        self._none("waiting", [one for one in rack.wanted if not one.settled])
        self._none("answered twice", [one for one in rack.wanted if len(one.outcomes) > 1])
        self._none("busy", rack.registry.busy())
        self._none("timers", rack.clock.getDelayedCalls())
        self._none("leaks", rack.leaks())
        self._check_limits()
        if not rack.journal.ever_failed:
            self._none("wrong records", unbalanced(rack.journal.entries))
            assert rack.events == rack.journal.entries
        if not self.stopped:
            self._check_states()
            interrupted = [
                one for one in rack.wanted if any(isinstance(o, Interrupted) for o in one.outcomes)
            ]
            self._none("interrupted by nobody", interrupted)

    @staticmethod
    def _none(what: str, found: Sequence[object]) -> None:
        assert not found, f"{what}: {found}"

    def _let_everything_end(self) -> None:
        rack = self.rack
        rack.journal.breaks = 0
        rack.journal.hold = False
        for _ in range(2000):
            rack.journal.release(len(rack.journal.held))
            if rack.all_quiet():
                return
            glide(rack.clock, 1.0)
        note(f"not quiet: {[str(call) for call in rack.clock.getDelayedCalls()]}")

    def _check_limits(self) -> None:
        events = self.rack.events
        if self.rack.journal.ever_failed:
            return
        assert most_starting(events, lambda _: True, FLEET.settle) <= (FLEET.max_starting or 0)
        for name, limit in GROUPS.items():
            if limit.max_starting is not None:
                most = most_starting(events, lambda node, name=name: name in PLACES[node][2], limit.settle)
                assert most <= limit.max_starting, f"{most} of {name} at once"

    def _check_states(self) -> None:
        """
        What was not interfered with is what its last accepted request asked for.
        """
        last: dict[str, bool] = {}
        for one in self.rack.wanted:
            wanted = wants(one.request)
            if one.ticket is not None and wanted is not None and not one.again:
                last[one.request.node] = wanted
        for name, wanted in last.items():
            if name not in self.rack.tainted:
                assert self.rack.machine(name).on is wanted, f"{name} should be {'on' if wanted else 'off'}"
                seen = [e for e in self.rack.events if isinstance(e, Observed) and e.node == name]
                state = PowerState.ON if wanted else PowerState.OFF
                assert seen[-1].observation.state is state

    # Helpers

    def _submit(self, *asked: dict[str, Any]) -> None:
        for each in asked:
            if "deadline" in each or not each.get("escalate", True):
                self.rack.taint(each["node"])
        self.rack.submit(*asked)

    def _cancel(self, action: str) -> None:
        self.rack.taint(*(name for name in PLACES if action in [view.id for view in self._actions(name)]))
        try:
            cancelled = self.rack.registry.cancel(action, "a test")
        except NoSuchAction:
            return
        self.rack.expect(f"cancel {action}", cancelled).addErrback(
            lambda unavailable: unavailable.trap(JournalUnavailable) and None
        )

    def _react(self, answer: str, node: str) -> None:
        if answer == "submit":
            self._submit({"node": node, "verb": Verb.OFF}, {"node": node, "verb": Verb.ON})
        elif answer == "cancel":
            for view in self._actions(node):
                self._cancel(view.id)
        elif answer == "query":
            self.rack.expect(f"query {node} again", self.rack.registry.query(node))
        elif answer == "leave":
            for one in self.rack.wanted:
                if one.waiting is not None and not one.settled:
                    one.gone = True
                    one.waiting.cancel()

    def _actions(self, node: str) -> list[Any]:
        view = self.rack.registry.view(node)
        return [*([view.in_play] if view.in_play else []), *view.waiting]

    def _is_urgent(self, one: Any) -> bool:
        request = one.request
        alone = PLACES[request.node][1] not in ("host", "bar")
        return (
            alone
            and not one.again
            and request.verb is Verb.OFF
            and request.policy is Policy.SUPERSEDE
            and not one.gone
        )


class RegistryTests(HypothesisNotes, SynchronousTestCase):
    """
    The registry under anything.
    """

    @unmeasured
    def test_anything(self) -> None:
        """
        Whatever happens in whatever order, one change at a time, every answer once, and nothing left behind.
        """
        chosen = settings()
        more = settings(
            chosen,
            max_examples=max(300, chosen.max_examples),
            stateful_step_count=max(50, chosen.stateful_step_count),
        )
        run_state_machine(RegistryMachine, more)
        self.flushLoggedErrors(ZeroDivisionError, CancelledError, OSError, JournalUnavailable)
