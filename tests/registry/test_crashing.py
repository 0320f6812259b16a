# SPDX-License-Identifier: MIT
"""
Any requests and any moments to be killed at, on a virtual clock: what was accepted is done, once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Accepted, Answered, Entered
from powercoord.errors import JournalUnavailable, NoSuchAction
from powercoord.model import Done, Goal, Phase, Verb, Wait
from powercoord.registry.lattice import goal
from powercoord.testing.driver import Fault
from tests.hypothesis_notes import HypothesisNotes, run_state_machine
from tests.registry.rack import glide, most_starting, unbalanced
from tests.registry.site import ADDRESSES, FLEET, Site
from tests.registry.world import PXE as BOOT
from tests.unmeasured import unmeasured

NODES = st.sampled_from(sorted(ADDRESSES))
VERBS = st.sampled_from([*Verb, Verb.ON, Verb.OFF, Verb.CYCLE])
STEPS = st.sampled_from([0.0, 0.004, 0.006, 0.01, 0.05, 0.11, 0.5, 1.0, 3.0])
DOWN = st.sampled_from([0.0, 0.02, 1.0, 7.0, 100.0])
HARMLESS = [Fault.LOST_REQUEST, Fault.LOST_ANSWER]


class CrashMachine(RuleBasedStateMachine):
    """
    Everything that a coordinator can be killed in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.site = Site()
        for name in ("n2", "n4"):
            self.site.machine(name).on = True
        self.down = 0.0
        self.longest_down = 0.0
        self.cancelled: set[str] = set()

    @rule(node=NODES, verb=VERBS, wait=st.sampled_from([Wait.POWER, Wait.POWER, Wait.NONE]))
    def ask(self, node: str, verb: Verb, wait: Wait) -> None:
        asked: dict[str, Any] = {"boot": BOOT} if verb is Verb.BOOT else {}
        self.site.ask(node=node, verb=verb, wait=wait, **asked)

    @rule(node=NODES)
    def ask_for_all(self, node: str) -> None:
        for verb in (Verb.ON, Verb.OFF, Verb.ON):
            self.site.ask(node=node, verb=verb)

    @precondition(lambda self: not self.site.death.dead)
    @rule(node=NODES, resolve=st.booleans())
    def cancel(self, node: str, resolve: bool) -> None:
        view = self.site.registry.view(node)
        action = view.in_play or (view.waiting[0] if view.waiting else None)
        if action is None:
            return
        self.cancelled.add(node)
        registry = self.site.registry
        try:
            ended = registry.resolve(action.id, "ann", "x") if resolve else registry.cancel(action.id, "ann")
        except NoSuchAction:
            return
        ended.addErrback(lambda failure: failure.trap(JournalUnavailable) and None)

    @rule(seconds=STEPS)
    def wait(self, seconds: float) -> None:
        glide(self.site.clock, seconds)

    @rule(node=NODES, latency=st.sampled_from([0.0, 0.3, 1.5]), obeys=st.booleans())
    def change_machine(self, node: str, latency: float, obeys: bool) -> None:
        self.site.machine(node).latency = latency
        self.site.machine(node).obeys_soft = obeys

    @rule(node=NODES, faults=st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=2), reads=st.booleans())
    def lose(self, node: str, faults: list[Fault], reads: bool) -> None:
        machine = self.site.machine(node)
        coming = machine.read_faults if reads else machine.faults
        coming[:] = [*coming, *faults][:2]

    @rule()
    def hold_journal(self) -> None:
        self.site.journal.hold = True

    @precondition(lambda self: self.site.journal.held)
    @rule()
    def release_journal(self) -> None:
        self.site.journal.hold = False
        self.site.journal.release()

    @rule(held=st.integers(0, 3), down=DOWN)
    def kill(self, held: int, down: float) -> None:
        self.site.die(held)
        self.down = down

    @rule(writes=st.integers(1, 6), keeps=st.booleans(), down=DOWN)
    def kill_at_a_write(self, writes: int, keeps: bool, down: float) -> None:
        self.site.journal.fuse, self.site.journal.keeps = writes, keeps
        self.down = down

    @rule(
        node=NODES,
        verbs=st.lists(VERBS, min_size=1, max_size=3),
        pause=STEPS,
        writes=st.integers(1, 12),
        keeps=st.booleans(),
        down=st.sampled_from([0.0, 0.02, 1.0]),
    )
    def killed_in_the_middle(
        self, node: str, verbs: list[Verb], pause: float, writes: int, keeps: bool, down: float
    ) -> None:
        """
        What hurts most: a busy node, one of its writes, and a new coordinator at once.
        """
        self.release_journal()
        self.kill_at_a_write(writes, keeps, down)
        for verb in verbs:
            self.ask(node, verb, Wait.POWER)
            glide(self.site.clock, pause)
        glide(self.site.clock, 1.0)
        self.site.die()
        self.restart()

    @precondition(lambda self: not self.site.death.dead)
    @rule(down=DOWN, quiet=st.booleans())
    def stop(self, down: float, quiet: bool) -> None:
        self.site.journal.hold = False
        self.site.journal.release()
        self.site.registry.stop("upgrade")
        if quiet:
            glide(self.site.clock, 15.0)
        self.site.die()
        self.down = down

    @precondition(lambda self: self.site.death.dead)
    @rule()
    def restart(self) -> None:
        glide(self.site.clock, self.down)
        self.longest_down = max(self.longest_down, self.down)
        self.site.begin()

    @invariant()
    def one_change_at_a_time(self) -> None:
        assert not self.site.overlaps

    def teardown(self) -> None:
        site = self.site
        self._let_everything_end()
        wrong = unbalanced(site.entries, went_on=True)
        assert not wrong, wrong
        assert not site.registry.busy(), site.registry.busy()
        assert most_starting(site.entries, lambda _: True, 0.0) <= (FLEET.max_starting or 0)
        answers = {e.request_id: e.outcome for e in site.entries if isinstance(e, Answered)}
        assert {r: o for r, o in site.heard.items() if answers[r] != o} == {}
        self._check_once()
        self._check_power(answers)

    def _let_everything_end(self) -> None:
        site = self.site
        site.journal.fuse, site.journal.hold = None, False
        site.journal.release()
        if site.death.dead:
            site.begin()
        for _ in range(600):
            if not site.clock.getDelayedCalls():
                return
            glide(site.clock, 1.0)
        raise AssertionError(f"not quiet: {[str(call) for call in site.clock.getDelayedCalls()]}")

    def _check_once(self) -> None:
        """
        No reset and no cycle's off is sent again once it may have had its effect.
        """
        resets = Counter(
            node
            for node, _ in {
                (e.node, e.action)
                for e in self.site.entries
                if isinstance(e, Entered) and (e.phase, e.half) == (Phase.ADMITTED, "reset")
            }
        )
        offs = Counter(
            e.request.node
            for e in self.site.entries
            if isinstance(e, Accepted) and e.request.verb in (Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE)
        )
        for name in ADDRESSES:
            sent = [what for _, what in self.site.machine(name).commands if what == "reset"]
            assert len(sent) <= resets[name], f"{name}: {len(sent)} resets for {resets[name]}"
            turned_off = self.site.turned_off.get(self.site.place(name), 0)
            assert turned_off <= offs[name], f"{name} went off {turned_off} times, asked {offs[name]} times"

    def _check_power(self, answers: dict[str, Any]) -> None:
        """
        The last that was asked for is so, or it is said that nobody knows.
        """
        last = {
            e.request.node: e.request
            for e in self.site.entries
            if isinstance(e, Accepted)
            and goal(e.request.verb) is not None
            and e.request.verb is not Verb.RESET
        }
        for name, request in last.items():
            if name in self.cancelled:
                continue
            outcome = answers[request.request_id]
            if self.longest_down > 3.0 and goal(request.verb) is Goal.ON and not isinstance(outcome, Done):
                continue  # its time was over, and it says so
            assert isinstance(outcome, Done), f"{request}: {outcome}"
            assert self.site.machine(name).on is (goal(request.verb) is Goal.ON), f"{request}: {outcome}"


class CrashTests(HypothesisNotes, SynchronousTestCase):
    """
    The registry, killed.
    """

    @unmeasured
    def test_any_moment(self) -> None:
        """
        Whenever it is killed, what was accepted is answered once, nothing runs twice, the last wish holds.
        """
        chosen = settings()
        more = settings(
            chosen,
            max_examples=max(120, chosen.max_examples),
            stateful_step_count=max(25, chosen.stateful_step_count),
        )
        run_state_machine(CrashMachine, more)
        self.flushLoggedErrors(CancelledError)
