# SPDX-License-Identifier: MIT
"""
The queue before a start: limits per group and for the fleet, and in which order.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Limit
from powercoord.registry.starts import StartGate
from powercoord.registry.starts_slot import StartSlot
from tests.hypothesis_notes import HypothesisNotes

STEPS = ["ask", "ask", "release", "leave"]


class StartTests(SynchronousTestCase):
    """
    `StartGate`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.order: list[str] = []

    def gate(self, fleet: Limit | None = None, **groups: Limit) -> StartGate:
        return StartGate(self.clock, fleet or Limit(), groups)

    def ask(self, gate: StartGate, name: str, *groups: str) -> Deferred[StartSlot]:
        granted = gate.acquire(groups)
        granted.addCallback(lambda slot: (self.order.append(name), slot)[1])
        return granted

    def test_group_limit(self) -> None:
        """
        As many nodes of a group start as it allows, in the order they came; others are not held up.
        """
        gate = self.gate(rack=Limit(2))
        first, _, third = (self.ask(gate, name, "rack") for name in ("a", "b", "c"))
        self.ask(gate, "d", "unlimited")
        self.assertEqual(["a", "b", "d"], self.order)

        self.successResultOf(first).release()

        self.assertEqual(["a", "b", "d", "c"], self.order)
        self.assertEqual(3, gate.starting())
        self.successResultOf(third)

    def test_group_with_room_in_a_full_fleet(self) -> None:
        """
        Who waited for a group that has room now waits for the fleet, if that has been filled by an older one.
        """
        gate = self.gate(Limit(2), rack=Limit(1))
        held = [self.ask(gate, "a", "rack"), self.ask(gate, "b")]
        self.ask(gate, "c")
        self.ask(gate, "d", "rack")

        self.successResultOf(held[0]).release()
        self.assertEqual(["a", "b", "c"], self.order)
        self.successResultOf(held[1]).release()

        self.assertEqual(["a", "b", "c", "d"], self.order)

    def test_other_limits(self) -> None:
        """
        A limit that is raised lets in those who wait; a lower one takes nobody's place away.
        """
        gate = self.gate(Limit(3), rack=Limit(1))
        held = [self.ask(gate, name, "rack") for name in ("a", "b", "c", "d")]
        gate.limit(Limit(3), {"rack": Limit(2)})
        self.assertEqual(["a", "b"], self.order)

        gate.limit(Limit(1), {})
        self.successResultOf(held[0]).release()
        self.assertEqual(["a", "b"], self.order)
        self.successResultOf(held[1]).release()
        self.assertEqual(["a", "b", "c"], self.order)
        gate.limit(Limit(), {})

        self.assertEqual(["a", "b", "c", "d"], self.order)
        self.assertEqual(2, gate.starting())

    def test_fleet_limit(self) -> None:
        """
        The fleet's limit holds over all groups, and the oldest goes first whatever its group.
        """
        gate = self.gate(Limit(1), rack1=Limit(5), rack2=Limit(5))
        held = self.successResultOf(self.ask(gate, "a", "rack1"))
        waiting = [self.ask(gate, "b", "rack2"), self.ask(gate, "c", "rack1"), self.ask(gate, "d")]
        for granted in waiting:
            self.assertFalse(granted.called)
            held.release()
            held = self.successResultOf(granted)

        self.assertEqual(["a", "b", "c", "d"], self.order)

    def test_nested_groups(self) -> None:
        """
        Who waits for one of its groups takes no place in the other.
        """
        gate = self.gate(rack=Limit(1), row=Limit(2))
        first = self.successResultOf(self.ask(gate, "a", "rack", "row"))
        self.ask(gate, "b", "rack", "row")
        other = self.successResultOf(self.ask(gate, "c", "row"))
        self.ask(gate, "d", "row")
        self.assertEqual(["a", "c"], self.order)

        other.release()
        first.release()

        self.assertEqual(["a", "c", "d", "b"], self.order)

    def test_named_twice(self) -> None:
        """
        A node that is twice in a group takes one place in it.
        """
        gate = self.gate(rack=Limit(2))

        self.assertTrue(self.ask(gate, "a", "rack", "rack").called)
        self.assertTrue(self.ask(gate, "b", "rack").called)

    def test_leaving_the_queue(self) -> None:
        """
        Who leaves the queue takes no place, and keeps those behind from none.
        """
        gate = self.gate(rack=Limit(1))
        held = self.successResultOf(self.ask(gate, "a", "rack"))
        leaving = [self.ask(gate, name, "rack") for name in ("b", "c")]
        self.ask(gate, "d", "rack")
        for granted in leaving:
            granted.cancel()
            self.failureResultOf(granted, CancelledError)

        held.release()

        self.assertEqual(["a", "d"], self.order)
        self.assertEqual(1, gate.starting())

    def test_all_have_left(self) -> None:
        """
        A queue that everybody has left is none: the next one starts at once.
        """
        gate = self.gate(rack=Limit(1))
        held = self.successResultOf(self.ask(gate, "a", "rack"))
        leaving = self.ask(gate, "b", "rack")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        held.release()

        self.assertTrue(self.ask(gate, "c", "rack").called)

    def test_settling(self) -> None:
        """
        A node that is seen on keeps its place until its groups and the fleet have settled.
        """
        gate = self.gate(Limit(None, settle=1.0), rack=Limit(1, settle=2.0), slow=Limit(None, settle=3.0))
        slot = self.successResultOf(self.ask(gate, "a", "rack", "slow"))
        self.ask(gate, "b", "rack")
        gate.seen_on(slot)
        self.clock.advance(2.9)
        self.assertEqual(["a"], self.order)

        self.clock.advance(0.2)

        self.assertEqual(["a", "b"], self.order)

    def test_stop(self) -> None:
        """
        Nothing settles any more after a stop: no timer is left, and no place.
        """
        gate = self.gate(rack=Limit(1, settle=2.0))
        gate.seen_on(self.successResultOf(self.ask(gate, "a", "rack")))

        gate.stop()

        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(0, gate.starting())

    def test_through_at_once(self) -> None:
        """
        Ten thousand that give up the moment they may start do not pile up on the stack.
        """
        gate = self.gate(rack=Limit(8))
        holders = [self.successResultOf(self.ask(gate, "holder", "rack")) for _ in range(8)]
        for number in range(10_000):
            self.ask(gate, str(number), "rack").addCallback(StartSlot.release)

        holders[0].release()

        self.assertEqual(10_008, len(self.order))
        self.assertEqual(7, gate.starting())

    def test_left_in_the_middle(self) -> None:
        """
        Lines go by those who still wait in them: a head that has left does not speak for those behind it.
        """
        gate = self.gate(Limit(1), rack=Limit(5))
        held = self.successResultOf(self.ask(gate, "a", "rack"))
        leaving = self.ask(gate, "b", "rack")
        self.ask(gate, "c")
        self.ask(gate, "d", "rack")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)

        held.release()

        self.assertEqual(["a", "c"], self.order)
        self.assertEqual(1, gate.waiting())


class EveryStartTests(HypothesisNotes, SynchronousTestCase):
    """
    `StartGate`, against one that looks at everybody each time.
    """

    @given(
        st.lists(
            st.tuples(st.sampled_from(["ask", "ask", "release", "leave"]), st.integers(0, 11)), max_size=60
        )
    )
    def test_oldest_who_can(self, steps: list[tuple[str, int]]) -> None:
        """
        At any time the oldest who has room everywhere is let in, and nobody waits who has.
        """
        limits = {"a": Limit(1), "b": Limit(2), "c": Limit(3)}
        gate = StartGate(Clock(), Limit(4), limits)
        kinds = [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"), ()]
        asked: list[tuple[tuple[str, ...], Deferred[StartSlot]]] = []
        waiting: list[int] = []
        inside: list[int] = []

        def room(groups: tuple[str, ...]) -> bool:
            used = [asked[number][0] for number in inside]
            return len(used) < 4 and all(
                sum(group in each for each in used) < (limits[group].max_starting or 0) for group in groups
            )

        def let_in() -> None:
            while found := [number for number in waiting if room(asked[number][0])]:
                waiting.remove(found[0])
                inside.append(found[0])

        for what, number in steps:
            if what == "ask":
                groups = kinds[number % len(kinds)]
                asked.append((groups, gate.acquire(groups)))
                waiting.append(len(asked) - 1)
            elif what == "release" and inside:
                self.successResultOf(asked[inside.pop(number % len(inside))][1]).release()
            elif what == "leave" and waiting:
                leaving = asked[waiting.pop(number % len(waiting))][1]
                leaving.cancel()
                self.failureResultOf(leaving, CancelledError)
            let_in()
            let_in_by_gate = {index for index, (_, granted) in enumerate(asked) if granted.called}
            self.assertTrue(set(inside) <= let_in_by_gate)
            self.assertFalse(set(waiting) & let_in_by_gate)
