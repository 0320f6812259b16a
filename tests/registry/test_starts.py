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
from powercoord.registry.starts_elder import PATIENCE
from powercoord.registry.starts_slot import StartSlot
from powercoord.registry.starts_turns import Turns
from tests.hypothesis_notes import HypothesisNotes

STEPS = ["ask", "ask", "release", "leave"]


class GateTests(SynchronousTestCase):
    """
    What tests of `StartGate` share.
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


class StartTests(GateTests):
    """
    How many may start.
    """

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


class NestedTests(GateTests):
    """
    Groups inside of groups.
    """

    def test_slot_in_each(self) -> None:
        """
        A start takes a slot in its group and in each around that, and waits for the first that is full.
        """
        gate = self.gate(
            feed=Limit(2),
            pdu=Limit(None, parent="feed"),
            rack1=Limit(1, parent="pdu"),
            rack2=Limit(5, parent="pdu"),
        )
        first = self.ask(gate, "a", "rack1")
        self.ask(gate, "b", "rack2")
        waiting = [self.ask(gate, "c", "rack2"), self.ask(gate, "d", "rack1")]

        self.assertEqual(
            ["feed: 2 of 2 starting", "rack1: 1 of 1 starting"], [gate.obstacle(each) for each in waiting]
        )
        self.successResultOf(first).release()
        self.assertEqual(["a", "b", "c"], self.order)

    def test_settles_for_all(self) -> None:
        """
        A slot is kept as long as the slowest of the groups around it needs to settle.
        """
        gate = self.gate(feed=Limit(1, settle=5.0), rack=Limit(parent="feed", settle=1.0))
        slot = self.successResultOf(self.ask(gate, "a", "rack"))
        gate.seen_on(slot)
        self.clock.advance(4.9)
        self.assertFalse(self.ask(gate, "b", "rack").called)

        self.clock.advance(0.1)

        self.assertEqual(["a", "b"], self.order)

    def test_other_tree(self) -> None:
        """
        Whoever is inside when a group gets another parent counts there, too; who waits, waits for that.
        """
        gate = self.gate(rack=Limit(1), pdu=Limit(1))
        held, waiting = self.ask(gate, "a", "rack"), self.ask(gate, "b", "rack")
        gate.limit(Limit(), {"rack": Limit(2, parent="pdu"), "pdu": Limit(1)})
        self.assertEqual("pdu: 1 of 1 starting", gate.obstacle(waiting))

        self.successResultOf(held).release()

        self.assertEqual(["a", "b"], self.order)

    def test_new_limit(self) -> None:
        """
        A group that had no limit counts those that are starting in it once it has one.
        """
        gate = self.gate()
        held = self.ask(gate, "a", "rack")
        gate.limit(Limit(), {"rack": Limit(1)})
        self.assertFalse(self.ask(gate, "b", "rack").called)

        self.successResultOf(held).release()

        self.assertEqual(["a", "b"], self.order)


class IntervalTests(GateTests):
    """
    The time between two starts.
    """

    def start(self, gate: StartGate, name: str, *groups: str) -> None:
        self.ask(gate, name, *groups).addCallback(lambda slot: (slot.commanded(), slot)[1])

    def test_apart(self) -> None:
        """
        One start follows another after the interval, and other groups do not wait for that.
        """
        gate = self.gate(rack=Limit(start_interval=2.0))
        for name in ("a", "b", "c"):
            self.start(gate, name, "rack")
        self.start(gate, "d", "other")
        found = [list(self.order)]
        for _ in range(3):
            self.clock.advance(1.99)
            found.append(list(self.order))
            self.clock.advance(0.01)

        self.assertEqual([["a", "d"], ["a", "d"], ["a", "d", "b"], ["a", "d", "b", "c"]], found)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_counts_from_the_command(self) -> None:
        """
        Who may start and has not been told to keeps the next one out: the interval begins then.
        """
        gate = self.gate(rack=Limit(start_interval=2.0))
        slot = self.successResultOf(self.ask(gate, "a", "rack"))
        waiting = self.ask(gate, "b", "rack")
        self.clock.advance(10)
        self.assertEqual((["a"], "rack: a start every 2 s"), (self.order, gate.obstacle(waiting)))
        slot.commanded()
        self.clock.advance(1.9)
        self.assertEqual(["a"], self.order)
        self.clock.advance(0.1)

        self.assertEqual(["a", "b"], self.order)

    def test_never_told(self) -> None:
        """
        Who leaves without having been told to start makes nobody wait.
        """
        gate = self.gate(rack=Limit(start_interval=2.0))
        slot = self.successResultOf(self.ask(gate, "a", "rack"))
        self.ask(gate, "b", "rack")
        slot.release()

        self.assertEqual(["a", "b"], self.order)

    def test_told_again(self) -> None:
        """
        Who must be told again goes before those who wait, and not before the interval is over.
        """
        gate = self.gate(rack=Limit(start_interval=2.0))
        slot = self.successResultOf(self.ask(gate, "a", "rack"))
        slot.commanded()
        self.ask(gate, "b", "rack")
        self.clock.advance(1)
        self.assertFalse(slot.may_be_told())
        self.clock.advance(1)
        self.assertEqual(["a"], self.order)
        self.assertTrue(slot.may_be_told())
        slot.commanded()
        self.clock.advance(2)

        self.assertEqual(["a", "b"], self.order)

    def test_reload(self) -> None:
        """
        Another interval counts from the last start; a stop leaves no timer.
        """
        gate = self.gate(rack=Limit(start_interval=60.0))
        self.start(gate, "a", "rack")
        self.start(gate, "b", "rack")
        self.start(gate, "c", "rack")
        self.clock.advance(1)
        gate.limit(Limit(), {"rack": Limit(start_interval=3.0)})
        self.clock.advance(1.9)
        self.assertEqual(["a"], self.order)
        self.clock.advance(0.1)
        self.assertEqual(["a", "b"], self.order)

        gate.stop()

        self.assertEqual([], self.clock.getDelayedCalls())


class WattsTests(GateTests):
    """
    What may be drawn.
    """

    def draw(self, gate: StartGate, name: str, watts: int, *groups: str) -> Deferred[StartSlot]:
        granted = gate.acquire(groups, watts)
        return granted.addCallback(lambda slot: (self.order.append(name), slot)[1])

    def test_room(self) -> None:
        """
        As many start as the limit has watts for.
        """
        gate = self.gate(rack=Limit(max_watts=1000))
        first = self.draw(gate, "a", 600, "rack")
        self.draw(gate, "b", 400, "rack")
        waiting = self.draw(gate, "c", 300, "rack")
        self.assertEqual("rack: 1000 of 1000 W starting", gate.obstacle(waiting))

        self.successResultOf(first).release()

        self.assertEqual(["a", "b", "c"], self.order)

    def test_large_one(self) -> None:
        """
        Small ones do not pass a large one that waits for watts: it would wait for ever.
        """
        gate = self.gate(rack=Limit(max_watts=1000), shelf=Limit(5, parent="rack"))
        held = [self.draw(gate, name, 300, "shelf") for name in ("a", "b", "c")]
        self.draw(gate, "large", 1000, "rack")
        self.draw(gate, "d", 100, "shelf")
        for each in held:
            self.assertEqual(["a", "b", "c"], self.order)
            self.successResultOf(each).release()

        self.assertEqual(["a", "b", "c", "large"], self.order)

    def test_reserved_for_a_younger(self) -> None:
        """
        What is reserved for one is its own also when an older one comes there to wait after that.
        """
        gate = self.gate(rack=Limit(max_watts=1000), shelf=Limit(1, parent="rack"))
        held = [self.draw(gate, "a", 100, "shelf"), self.draw(gate, "b", 500, "rack")]
        self.draw(gate, "older", 600, "shelf")
        self.draw(gate, "large", 900, "rack")
        self.successResultOf(held[0]).release()
        self.assertEqual(["a", "b"], self.order)
        self.successResultOf(held[1]).release()

        self.assertEqual(["a", "b", "large"], self.order)

    def test_large_one_leaves(self) -> None:
        """
        What was reserved for one that leaves is there for the others.
        """
        gate = self.gate(rack=Limit(max_watts=1000))
        self.draw(gate, "a", 600, "rack")
        leaving = self.draw(gate, "large", 1000, "rack")
        self.draw(gate, "b", 400, "rack")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)

        self.assertEqual(["a", "b"], self.order)

    def test_above_the_limit(self) -> None:
        """
        One that a reload has left above the limit starts alone, and not never.
        """
        gate = self.gate(rack=Limit(max_watts=1000))
        held = self.draw(gate, "a", 600, "rack")
        self.draw(gate, "b", 900, "rack")
        gate.limit(Limit(), {"rack": Limit(max_watts=500)})
        self.assertEqual(["a"], self.order)

        self.successResultOf(held).release()

        self.assertEqual(["a", "b"], self.order)


class CallersTests(GateTests):
    """
    Whose turn it is.
    """

    def call(self, gate: StartGate, caller: str, group: str = "rack") -> None:
        def started(slot: StartSlot) -> None:
            self.order.append(caller)
            self.clock.callLater(1, slot.release)

        gate.acquire((group,), 0, caller).addCallback(started)

    def test_one_beside_thousands(self) -> None:
        """
        One of a caller's goes after one of the other's five thousand, in the same group as in another.
        """
        for group in ("rack", "other"):
            self.setUp()
            gate = self.gate(Limit(1), rack=Limit(3), other=Limit(3))
            for _ in range(5000):
                self.call(gate, "many")
            self.clock.pump([1.0] * 10)
            self.call(gate, "one", group)
            self.clock.pump([1.0] * 3)

            self.assertIn("one", self.order[11:13])

    def test_turns(self) -> None:
        """
        Callers take turns, however many each asks for, and whoever comes later begins in the next round.
        """
        gate = self.gate(rack=Limit(1))
        for caller in "aaaaabbb":
            self.call(gate, caller)
        self.clock.pump([1.0] * 3)
        self.call(gate, "c")
        self.clock.pump([1.0] * 10)

        self.assertEqual("aabababca", "".join(self.order))

    def test_weights(self) -> None:
        """
        In each round a caller has as many starts as its weight says.
        """
        gate = StartGate(self.clock, Limit(1), {}, Turns({"region": 3}))
        slots: list[StartSlot] = []
        for caller in ["first", *(["region", "op"] * 6)]:
            granted = gate.acquire((), caller=caller)
            granted.addCallback(slots.append)
            granted.addCallback(lambda _, caller=caller: self.order.append(caller))
        while slots:
            slots.pop().release()

        rounds = [sorted(self.order[begin : begin + 4]) for begin in (1, 5)]
        self.assertEqual([["op", "region", "region", "region"]] * 2, rounds)
        self.assertEqual(["op"] * 4, self.order[9:])

    def test_nothing_to_be_won(self) -> None:
        """
        Who comes again and again with one does not pass who waits with many.
        """
        gate = self.gate(rack=Limit(1))
        for _ in range(20):
            self.call(gate, "many")
        for _ in range(20):
            self.call(gate, "again")
            self.clock.advance(1)

        self.assertGreater(self.order.count("many"), 7)

    def test_nothing_is_kept(self) -> None:
        """
        Of callers who wait no longer nothing is known.
        """
        gate = self.gate(rack=Limit(1))
        for number in range(100):
            self.call(gate, f"c{number}")
        self.clock.pump([1.0] * 101)

        self.assertEqual((100, 0, 0), (len(self.order), gate.waiting(), gate.starting()))
        self.assertEqual({}, gate._turns._next)  # noqa: SLF001 - what is not there cannot be seen


class CrossingTests(GateTests):
    """
    A start that needs places in groups that have nothing to do with each other.
    """

    def setUp(self) -> None:
        super().setUp()
        self.inside: dict[str, StartSlot] = {}

    def enter(self, gate: StartGate, group: str) -> None:
        """
        Somebody asks for a place in one group.
        """
        granted = self.ask(gate, group, group)
        granted.addCallback(lambda slot: self.inside.__setitem__(group, slot))

    def stream(self, gate: StartGate) -> bool:
        """
        In each group somebody comes, and then somebody goes; whether all who go are followed at once.
        """
        followed = []
        for group in ("a", "b"):
            self.enter(gate, group)
            slot = self.inside.pop(group, None)
            if slot is not None:
                slot.release()
            followed.append(group in self.inside)
        return all(followed)

    def test_does_not_starve(self) -> None:
        """
        It gets in though both groups are never free at the same moment, and then all others do.
        """
        gate = self.gate(a=Limit(1), b=Limit(1))
        self.enter(gate, "a")
        self.enter(gate, "b")
        crossing = self.ask(gate, "crossing", "a", "b")
        for _ in range(10):
            self.stream(gate)
        slot = self.successResultOf(crossing)
        self.assertEqual(({}, 1), (self.inside, gate.starting()))
        slot.release()

        self.assertEqual({"a", "b"}, set(self.inside))

    def test_interval(self) -> None:
        """
        So it does where both must keep an interval.
        """
        gate = self.gate(a=Limit(1, start_interval=3.0), b=Limit(1, start_interval=5.0), c=Limit())
        waiting = [self.ask(gate, "a", "a"), self.ask(gate, "b", "b"), self.ask(gate, "crossing", "a", "b")]
        for _ in range(60):
            self.clock.advance(1.0)
            for granted in [each for each in waiting if each.called]:
                waiting.remove(granted)
                slot = self.successResultOf(granted)
                name = self.order[-1]
                slot.commanded()
                slot.release()
                waiting.append(self.ask(gate, name, *(("a", "b") if name == "crossing" else (name,))))

        self.assertIn("crossing", self.order)

    def test_leaves(self) -> None:
        """
        One that goes away gives back what it kept.
        """
        gate = self.gate(a=Limit(1), b=Limit(1))
        self.enter(gate, "a")
        self.enter(gate, "b")
        crossing = self.ask(gate, "crossing", "a", "b")
        crossing.addErrback(lambda failure: failure.trap(CancelledError) and None)
        for group in ("a", "b") * PATIENCE:
            self.enter(gate, group)
            self.inside.pop(group).release()
            if group not in self.inside:
                break
        self.assertEqual(1, len(self.inside))
        crossing.cancel()

        self.assertEqual({"a", "b"}, set(self.inside))


class BegunTests(GateTests):
    """
    What a restart has interrupted.
    """

    def test_counts(self) -> None:
        """
        One that may be starting already is counted, whatever the limit, and does not wait.
        """
        gate = self.gate(rack=Limit(1))
        held = [self.successResultOf(gate.acquire(("rack",), begun=True)) for _ in range(3)]
        self.ask(gate, "a", "rack")
        for slot in held:
            self.assertEqual([], self.order)
            slot.release()

        self.assertEqual(["a"], self.order)


class EveryCrossingTests(HypothesisNotes, SynchronousTestCase):
    """
    Random groups, and no end of others.
    """

    @given(
        limits=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 2), min_size=2),
        wanted=st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=5),
        fleet=st.sampled_from([None, 1, 2, 3]),
        data=st.data(),
    )
    def test_all_get_in(
        self, limits: dict[str, int], wanted: list[set[str]], fleet: int | None, data: st.DataObject
    ) -> None:
        """
        Everybody gets in whatever comes after them, no limit is exceeded, and nothing is kept at the end.
        """
        clock = Clock()
        gate = StartGate(clock, Limit(fleet), {name: Limit(most) for name, most in limits.items()})
        inside: list[tuple[StartSlot, set[str]]] = []

        def ask(groups: set[str], told: list[int]) -> None:
            def let_in(slot: StartSlot) -> None:
                told.append(1)
                inside.append((slot, groups))

            gate.acquire(tuple(sorted(groups))).addCallback(let_in)

        for name in limits:
            ask({name}, [])
        answers: list[list[int]] = [[] for _ in wanted]
        for groups, told in zip(wanted, answers, strict=True):
            ask(groups, told)
        for _ in range(300):
            if all(answers):
                break
            index = data.draw(st.integers(0, len(inside) - 1))
            slot, groups = inside.pop(index)
            if len(groups) == 1:
                ask(groups, [])
            slot.release()
            for name, most in limits.items():
                self.assertLessEqual(sum(name in each for _, each in inside), most)
            self.assertLessEqual(len(inside), fleet or len(inside))
            self.assertTrue(inside)
        else:
            # Whose groups are released at random must come to their turn by then.
            self.assertTrue(all(answers), answers)
        while inside:
            inside.pop()[0].release()
        self.assertEqual((0, 0), (gate.starting(), gate.waiting()))
        self.assertTrue(all(not room.starting for room in gate._rooms._rooms.values()))  # noqa: SLF001


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
