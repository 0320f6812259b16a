# SPDX-License-Identifier: MIT
"""
The queues before the wire: who goes first, who waits, and that no place is lost.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Limit, Target
from powercoord.registry.gates import EndpointGate, Priority, Slot, StartGate


def at(selector: str, endpoint: str = "bar", driver: str = "fake") -> Target:
    return Target(driver, endpoint, selector, None)


class EndpointTests(SynchronousTestCase):
    """
    `EndpointGate`.
    """

    def setUp(self) -> None:
        self.gate = EndpointGate({"pair": 2})
        self.order: list[str] = []

    def ask(self, name: str, priority: Priority = Priority.CHANGE, driver: str = "fake") -> Deferred[Slot]:
        """
        Ask for the one endpoint, and note when the turn comes.
        """
        granted = self.gate.acquire(at(name, driver=driver), priority)
        granted.addCallback(lambda slot: (self.order.append(name), slot)[1])
        return granted

    def use_up(self) -> None:
        """
        Let everybody have their turn, one after the other.
        """
        while waiting := [granted for granted in self.granted if granted.called]:
            self.granted.remove(waiting[0])
            self.successResultOf(waiting[0]).release()

    def test_offs_first_and_queries_last(self) -> None:
        """
        Offs go before other changes, these before queries, and equals in the order they came.
        """
        self.granted = [self.ask("holder")]
        for name, priority in [
            ("query1", Priority.QUERY),
            ("on1", Priority.CHANGE),
            ("off1", Priority.OFF),
            ("on2", Priority.CHANGE),
            ("query2", Priority.QUERY),
            ("off2", Priority.OFF),
        ]:
            self.granted.append(self.ask(name, priority))

        self.use_up()

        self.assertEqual(["holder", "off1", "off2", "on1", "on2", "query1", "query2"], self.order)

    def test_limit(self) -> None:
        """
        As many as the driver's limit allows talk at once; one where nothing is said.
        """
        for driver, at_once in (("pair", 2), ("other", 1)):
            granted = [self.gate.acquire(at(name, driver, driver), Priority.CHANGE) for name in "abc"]
            self.assertEqual(at_once, sum(each.called for each in granted))

    def test_one_operation_per_node(self) -> None:
        """
        Two operations of one node wait for each other even where the endpoint has room, and let others by.
        """
        self.granted = [
            self.ask("a", driver="pair"),
            self.ask("a", driver="pair"),
            self.ask("b", driver="pair"),
        ]
        self.assertEqual(["a", "b"], self.order)

        self.use_up()

        self.assertEqual(["a", "b", "a"], self.order)

    def test_endpoints_are_apart(self) -> None:
        """
        Who waits at one endpoint holds up nobody at another.
        """
        self.gate.acquire(at("a", "one"), Priority.QUERY)

        self.assertTrue(self.gate.acquire(at("a", "two"), Priority.QUERY).called)

    def test_leaving_the_queue(self) -> None:
        """
        Who leaves the queue gets no slot and keeps none.
        """
        holder, leaving, next_one = self.ask("a"), self.ask("b"), self.ask("c")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)

        self.successResultOf(holder).release()

        self.successResultOf(next_one).release()
        self.assertTrue(self.ask("d").called)

    def test_released_once(self) -> None:
        """
        Releasing a slot again does not release the next one's.
        """
        slot = self.successResultOf(self.ask("a"))
        slot.release()
        self.ask("b")
        slot.release()

        self.assertFalse(self.ask("c").called)

    def test_forgets_what_is_idle(self) -> None:
        """
        An endpoint that nobody uses costs no memory.
        """
        slots = [self.successResultOf(self.gate.acquire(at("", str(n)), Priority.QUERY)) for n in range(100)]
        left = self.gate.acquire(at("", "0"), Priority.QUERY)
        left.cancel()
        self.failureResultOf(left, CancelledError)
        for slot in slots:
            slot.release()

        self.assertEqual({}, vars_of(self.gate)["_endpoints"])

    def test_through_at_once(self) -> None:
        """
        Thousands whose operations end the moment they begin do not pile up on the stack.
        """
        holder = self.successResultOf(self.ask("holder"))
        for number in range(3000):
            self.ask(str(number)).addCallback(Slot.release)

        holder.release()

        self.assertEqual(["holder", *map(str, range(3000))], self.order)
        self.assertEqual({}, vars_of(self.gate)["_endpoints"])

    def test_freed_while_letting_in(self) -> None:
        """
        Who is let in may end another's operation; those held back for that one are not forgotten.
        """
        held_by_a = self.successResultOf(self.ask("a", driver="pair"))
        blocker = self.successResultOf(self.ask("x", driver="pair"))
        self.ask("a", Priority.OFF, driver="pair")
        self.ask("b", driver="pair").addCallback(lambda _: held_by_a.release())

        blocker.release()

        self.assertEqual(["a", "x", "b", "a"], self.order)


class StartTests(SynchronousTestCase):
    """
    `StartGate`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.order: list[str] = []

    def gate(self, fleet: Limit | None = None, **groups: Limit) -> StartGate:
        return StartGate(self.clock, fleet or Limit(), groups)

    def ask(self, gate: StartGate, name: str, *groups: str) -> Deferred[Slot]:
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
        gate.seen_on(slot, ("rack", "slow"))
        self.clock.advance(2.9)
        self.assertEqual(["a"], self.order)

        self.clock.advance(0.2)

        self.assertEqual(["a", "b"], self.order)

    def test_stop(self) -> None:
        """
        Nothing settles any more after a stop: no timer is left, and no place.
        """
        gate = self.gate(rack=Limit(1, settle=2.0))
        gate.seen_on(self.successResultOf(self.ask(gate, "a", "rack")), ("rack",))

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
            self.ask(gate, str(number), "rack").addCallback(Slot.release)

        holders[0].release()

        self.assertEqual(10_008, len(self.order))
        self.assertEqual(7, gate.starting())


def vars_of(gate: EndpointGate) -> dict[str, object]:
    """
    A slotted object's attributes.
    """
    return {name: getattr(gate, name) for name in ("_endpoints",)}
