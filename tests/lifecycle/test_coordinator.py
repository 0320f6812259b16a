# SPDX-License-Identifier: MIT
"""
The order in which a coordinator starts and stops.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from powercoord.interfaces import IDoor
from powercoord.lifecycle import Coordinator, Step, stop_in_order
from powercoord.model import Done, Interrupted, Verb
from tests.registry.world import World, quick


@implementer(IDoor)
@define(eq=False)
class RecordingDoor:
    """
    A door that notes what is done to it, and may fail to.
    """

    events: list[str]
    broken: tuple[str, ...] = ()
    name: str = field(default="door")

    async def open(self) -> None:
        """
        Note it.
        """
        self._note("open")

    async def stop_accepting(self) -> None:
        """
        Note it.
        """
        self._note("stop accepting")

    async def close(self) -> None:
        """
        Note it.
        """
        self._note("close door")

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event in self.broken:
            raise OSError(f"{event} went wrong")


class CoordinatorTests(SynchronousTestCase):
    """
    `Coordinator`.
    """

    def make(self, broken: tuple[str, ...] = (), grace: float = 10.0) -> None:
        """
        A coordinator with one door over a fake fleet.
        """
        self.world = World(timing=quick())
        self.events: list[str] = []
        self.reasons: list[str] = []
        self.door = RecordingDoor(self.events, broken)
        self.coordinator = Coordinator(
            self.world.clock,
            self.world.registry,
            [self.door],
            [self.world.driver],
            self.world.journal,
            grace,
            self.reasons.append,
        )

    def stop(self) -> Deferred[None]:
        """
        Stop it, noting when that is over.
        """
        stopped = self.coordinator.stopService()
        stopped.addCallback(lambda _: self.events.append("stopped"))
        return stopped

    def test_opens_its_doors(self) -> None:
        """
        It is ready once its doors are open.
        """
        self.make()
        self.assertTrue(verifyObject(IDoor, self.door))
        self.coordinator.startService()
        self.successResultOf(self.coordinator.ready)
        self.assertEqual(["open"], self.events)

    def test_a_door_that_does_not_open(self) -> None:
        """
        Without a door it serves nobody, and says which and why.
        """
        self.make(broken=("open",))
        self.coordinator.startService()
        self.assertEqual(["cannot open door: open went wrong"], self.reasons)
        self.assertNoResult(self.coordinator.ready)

    def test_waits_for_actions(self) -> None:
        """
        A stop lets actions end, with the doors still there to answer through.
        """
        self.make()
        self.coordinator.startService()
        self.world.machine().latency = 3
        asked = self.world.want(Verb.ON)
        asked.ticket.wait().addCallback(lambda _: self.events.append("answered"))
        self.world.turn(1)
        self.stop()
        self.world.turn(5)
        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual(["open", "stop accepting", "answered", "close door", "stopped"], self.events)
        self.assertTrue(self.world.driver.closed)

    def test_interrupts_after_the_grace(self) -> None:
        """
        What has not ended by then is interrupted, and its waiters hear so.
        """
        self.make(grace=2)
        self.coordinator.startService()
        self.world.machine().latency = 20
        asked = self.world.want(Verb.ON)
        self.world.turn(1)
        stopped = self.stop()
        self.world.turn(3)
        self.assertEqual(Interrupted("the coordinator stopped"), asked.outcome)
        self.successResultOf(stopped)

    def test_no_grace(self) -> None:
        """
        A grace of 0 does not wait.
        """
        self.make(grace=0)
        self.coordinator.startService()
        self.world.machine().latency = 20
        asked = self.world.want(Verb.ON)
        self.world.turn(1)
        stopped = self.stop()
        self.world.turn(0.1)
        self.assertIsInstance(asked.outcome, Interrupted)
        self.successResultOf(stopped)

    def test_steps_are_independent(self) -> None:
        """
        A step that fails is logged, and those after it still have their turn.
        """
        self.make(broken=("stop accepting", "close door"))
        self.coordinator.startService()
        self.successResultOf(self.stop())
        self.assertEqual(2, len(self.flushLoggedErrors(OSError)))
        self.assertEqual(["open", "stop accepting", "close door", "stopped"], self.events)

    def test_stopping_twice(self) -> None:
        """
        A second stop waits for the first.
        """
        self.make()
        self.coordinator.startService()
        self.stop()
        self.successResultOf(self.stop())
        self.assertEqual(1, self.events.count("close door"))


class StopInOrderTests(SynchronousTestCase):
    """
    `stop_in_order`.
    """

    def test_one_at_a_time(self) -> None:
        """
        A step begins when the one before it is over; failures are named.
        """
        waiting: Deferred[None] = Deferred()
        done: list[str] = []

        async def slow() -> None:
            await waiting
            done.append("slow")

        async def broken() -> None:
            raise ValueError("no")

        async def last() -> None:
            done.append("last")

        steps = [Step("be slow", slow), Step("break", broken), Step("be last", last)]
        result = Deferred.fromCoroutine(stop_in_order(steps))
        self.assertEqual([], done)
        waiting.callback(None)
        self.assertEqual(["break"], self.successResultOf(result))
        self.assertEqual(["slow", "last"], done)
        self.flushLoggedErrors(ValueError)
