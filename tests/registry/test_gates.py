# SPDX-License-Identifier: MIT
"""
The queue before an endpoint: who goes first, who waits, and that no place is lost.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Target
from powercoord.registry.gates import EndpointGate, Priority, Slot


def at(selector: str, endpoint: str = "bar", driver: str = "fake") -> Target:
    return Target(driver, endpoint, selector, None)


class EndpointTests(SynchronousTestCase):
    """
    `EndpointGate`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.gate = EndpointGate(self.clock, {"pair": 2})
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

    def test_other_limits(self) -> None:
        """
        A limit that is raised lets in those who wait; a lower one takes nobody's place away.
        """
        self.granted = [self.ask(name) for name in ("a", "b", "c")]
        self.gate.limit({"fake": 2}, {})
        self.assertEqual(["a", "b"], self.order)

        self.gate.limit({}, {})
        self.successResultOf(self.granted[0]).release()
        self.assertEqual(["a", "b"], self.order)
        self.successResultOf(self.granted[1]).release()

        self.assertEqual(["a", "b", "c"], self.order)

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


def vars_of(gate: EndpointGate) -> dict[str, object]:
    """
    A slotted object's attributes.
    """
    return {name: getattr(gate, name) for name in ("_endpoints",)}
