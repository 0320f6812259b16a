# SPDX-License-Identifier: MIT
"""
The gap between two operations at one endpoint.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import PowerState, Target, Verb
from powercoord.registry.gates import EndpointGate, Priority, Slot
from tests.hypothesis_notes import HypothesisNotes
from tests.registry.sick import ward

ASKS = st.lists(
    st.tuples(st.sampled_from(Priority), st.integers(0, 40), st.integers(0, 30), st.booleans()), max_size=12
)


class GapTests(HypothesisNotes, SynchronousTestCase):
    """
    `EndpointGate` with a gap.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.gate = EndpointGate(self.clock, {"fake": 1}, {"fake": 2.0})
        self.begun: list[tuple[float, str]] = []

    def ask(self, name: str, priority: Priority = Priority.CHANGE) -> Deferred[Slot]:
        """
        Ask, and note when the turn comes.
        """
        granted = self.gate.acquire(Target("fake", "bmc", name, None), priority)
        granted.addCallback(lambda slot: (self.begun.append((self.clock.seconds(), name)), slot)[1])
        return granted

    def test_between_two(self) -> None:
        """
        The next begins when the gap after the end of the last one is over; the first does not wait.
        """
        first, second = self.ask("a"), self.ask("b")
        self.clock.advance(1.5)
        self.successResultOf(first).release()
        self.clock.advance(1.9)
        self.assertNoResult(second)
        self.clock.advance(0.2)

        self.assertEqual(["a", "b"], [name for _, name in self.begun])

    def test_off(self) -> None:
        """
        An off waits for the gap, and for nobody who came before it.
        """
        self.successResultOf(self.ask("a")).release()
        self.ask("query", Priority.QUERY)
        self.ask("on")
        self.clock.advance(1.0)
        self.ask("off", Priority.OFF)
        self.clock.advance(1.0)

        self.assertEqual([(0.0, "a"), (2.0, "off")], self.begun)

    def test_nothing_done(self) -> None:
        """
        A place in which nothing was done is followed by no gap.
        """
        first, second = self.ask("a"), self.ask("b")
        self.successResultOf(first).unused()

        self.successResultOf(second)

    def test_nothing_done_after_something(self) -> None:
        """
        But the gap after the one before goes on.
        """
        self.successResultOf(self.ask("a")).release()
        second, third = self.ask("b"), self.ask("c")
        self.clock.advance(2.0)
        self.successResultOf(second).unused()
        self.assertTrue(third.called)

    def test_forgotten(self) -> None:
        """
        An endpoint that has rested is forgotten, and no timer is left.
        """
        self.successResultOf(self.ask("a")).release()
        self.clock.advance(2.0)

        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual({}, self.gate._endpoints)  # noqa: SLF001 - what must not grow

    def test_reload(self) -> None:
        """
        Another gap holds at once, for the one that is running, too; without one all may go on.
        """
        self.successResultOf(self.ask("a")).release()
        second = self.ask("b")
        self.gate.limit({"fake": 1}, {"fake": 0.5})
        self.clock.advance(0.6)
        self.successResultOf(second).release()
        third = self.ask("c")
        self.assertNoResult(third)
        self.gate.limit({"fake": 1}, {})

        self.successResultOf(third)

    def test_stop(self) -> None:
        """
        A stop leaves no timer.
        """
        self.successResultOf(self.ask("a")).release()
        self.ask("b")
        self.gate.stop()

        self.assertEqual([], self.clock.getDelayedCalls())

    @given(ASKS)
    def test_always(self, asks: list[tuple[Priority, int, int, bool]]) -> None:
        """
        Nothing begins sooner than the gap after the last has ended, and all have their turn, offs at once.
        """
        self.setUp()
        ends: list[float] = []
        waits: list[float] = []

        def begin(slot: Slot, asked: float, off: bool, takes: float, used: bool) -> None:
            now = self.clock.seconds()
            assert all(now >= end + 2.0 - 1e-9 for end in ends), (now, ends)
            if off:
                waits.append(now - asked)
            self.clock.callLater(takes, end, slot, used)

        def end(slot: Slot, used: bool) -> None:
            if used:
                ends.append(self.clock.seconds())
                slot.release()
            else:
                slot.unused()

        offs = sum(priority is Priority.OFF for priority, *_ in asks)
        for number, (priority, after, takes, used) in enumerate(asks):
            self.clock.pump([0.1] * after)
            granted = self.ask(str(number), priority)
            granted.addCallback(begin, self.clock.seconds(), priority is Priority.OFF, takes / 10, used)
        self.clock.pump([0.1] * 800)

        self.assertEqual(len(asks), len(self.begun))
        self.assertTrue(all(wait <= (offs + 1) * (3.0 + 2.0 + 0.2) for wait in waits), waits)
        self.assertEqual([], self.clock.getDelayedCalls())


class SharedTests(SynchronousTestCase):
    """
    What is done to a node, with a gap.
    """

    def test_polls_and_actions(self) -> None:
        """
        Reads on request, and the reads and commands of an action, keep one gap among them.
        """
        world = ward(count=1)
        world.registry.limit(world.fleet, {}, {"fake": 1}, {"fake": 1.0})
        asked = world.registry.query("n1")
        on = world.want(Verb.ON)
        world.turn(10, step=0.05)

        self.assertIs(PowerState.OFF, self.successResultOf(asked).state)
        self.assertIs(PowerState.ON, on.outcome.state)
        times = world.driver.times()
        self.assertEqual(4, len(times))
        self.assertTrue(all(later - at >= 1.0 for at, later in pairwise(times)), times)
