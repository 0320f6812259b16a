# SPDX-License-Identifier: MIT
"""
How long anything may take: queueing is not failing, and a named deadline is one.
"""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Ended
from powercoord.interfaces import IOperation
from powercoord.model import Done, Failed, How, Limit, Policy, PowerState, Request, Target, Verb
from powercoord.registry.patience import Patience
from powercoord.testing.driver import FakeDriver, Fault
from tests.registry.world import World, quick


def patience(*requests: tuple[float, float | None, bool]) -> Patience:
    """
    That of requests by when they came, what they named, and whether they may be forced.
    """
    taken = Patience()
    for accepted_at, deadline, escalate in requests:
        request = Request(node="n1", verb=Verb.SOFT_OFF, request_id="r", deadline=deadline, escalate=escalate)
        taken = taken.with_request(request, accepted_at)
    return taken


class PatienceTests(SynchronousTestCase):
    """
    `Patience`, where the node's own time ends at 100.
    """

    def test_table(self) -> None:
        """
        The latest end wins, the earliest time to force wins, and who names nothing leaves it to the node.
        """
        for requests, end, force, expiry in (
            ([(0, None, True)], 100, 100, None),
            ([(0, None, False)], 100, inf, None),
            ([(5, 20, True)], 25, 25, 25),
            ([(5, 20, False)], 25, inf, 25),
            ([(5, 20, True), (10, 30, True)], 40, 25, 40),
            ([(10, 30, True), (5, 20, False)], 40, 40, 40),
            ([(5, 20, True), (0, None, True)], 100, 25, None),
            ([(5, 200, True), (0, None, True)], 205, 100, None),
            ([(5, 20, True), (0, None, False)], 100, 25, None),
        ):
            taken = patience(*requests)
            self.assertEqual(
                (end, force, expiry), (taken.end(100), taken.force(100), taken.expiry()), requests
            )

    def test_identical_requests_cost_nothing(self) -> None:
        """
        A thousand who name nothing share one value.
        """
        taken = patience((0, None, True))

        self.assertIs(taken, taken.with_request(Request(node="n", verb=Verb.ON, request_id="x"), 5.0))


class QueueingTests(SynchronousTestCase):
    """
    What a deadline means in each queue.
    """

    def test_own_time_counts_from_its_turn(self) -> None:
        """
        An on that waits for its turn to start longer than its node's time is started, and not failed.
        """
        world = World(timing=quick(action=10.0), groups={"rack": Limit(1)})
        for name in world.names():
            world.machine(name).latency = 8.0
        asked = [world.want(Verb.ON, name) for name in world.names()]
        world.turn(30)

        self.assertEqual([How.COMMANDED] * 3, [one.outcome.how for one in asked])

    def test_own_soft_time_counts_from_its_turn(self) -> None:
        """
        A soft-off that waited in its lane gives the operating system its full time.
        """
        world = World(timing=quick(action=30.0, soft=10.0))
        world.machine().latency = 12.0
        world.want(Verb.ON)
        world.turn(0.1)
        soft = world.want(Verb.SOFT_OFF, policy=Policy.QUEUE)
        world.machine().latency = 4.0
        world.turn(20)

        self.assertEqual(["on", "soft"], world.commands())
        self.assertEqual(Done(How.GRACEFUL, PowerState.OFF), soft.outcome)

    def test_named_deadline_in_the_lane(self) -> None:
        """
        A deadline that passes while others are in play ends the wait there and then, and nothing is sent.
        """
        world = World(timing=quick())
        world.machine().latency = 9.0
        world.want(Verb.ON)
        world.turn(0.1)
        reset = world.want(Verb.RESET, deadline=3.0)
        world.turn(2.9)
        self.assertEqual([], reset.outcomes)
        world.turn(0.2)

        text = "n1: the deadline of 3 s passed before its turn came; nothing was sent"
        self.assertEqual(Failed("PowerActionFail", text, retryable=True, timeout=3.0), reset.outcome)
        self.assertEqual(1, len(world.journal.of(Ended)))
        world.turn(10)
        self.assertEqual(["on"], world.commands())
        self.assertEqual([], world.clock.getDelayedCalls())

    def test_named_deadline_before_a_start(self) -> None:
        """
        A deadline that passes in the queue of starts gives the place up.
        """
        world = World(timing=quick(), groups={"rack": Limit(1)})
        world.machine("n1").latency = 9.0
        world.want(Verb.ON, "n1")
        asked, last = world.want(Verb.ON, "n2", deadline=3.0), world.want(Verb.ON, "n3")
        world.turn(3.1)
        self.assertEqual("PowerActionFail", asked.outcome.code)
        world.turn(10)

        self.assertEqual([], world.commands("n2"))
        self.assertIsInstance(last.outcome, Done)

    def test_named_deadline_at_the_endpoint(self) -> None:
        """
        A deadline that passes before the endpoint has time is told as such, and not as the BMC's fault.
        """
        world = World(timing=quick(), shared_endpoint=True)
        world.machine("n1").read_faults = [Fault.LOST_ANSWER]
        world.registry.query("n1")
        asked = world.want(Verb.OFF, "n2", deadline=1.0)
        world.turn(1.1)

        self.assertEqual("PowerActionFail", asked.outcome.code)
        self.assertEqual(0, world.machine("n2").reads)

    def test_patient_one_joins(self) -> None:
        """
        Who joins and names no deadline takes it off the queue; a later one is kept.
        """
        world = World(timing=quick())
        world.machine().latency = 9.0
        world.want(Verb.ON)
        world.turn(0.1)
        hasty = [world.want(Verb.RESET, deadline=seconds) for seconds in (2.0, 5.0)]
        world.turn(4)
        self.assertEqual([[], []], [one.outcomes for one in hasty])
        patient = world.want(Verb.RESET)
        world.turn(8)

        self.assertEqual([How.COMMANDED] * 3, [one.outcome.how for one in [*hasty, patient]])
        self.assertEqual([], world.clock.getDelayedCalls())

    def test_forced_at_once_when_late(self) -> None:
        """
        A soft-off whose time to force has passed in the queue is a hard off: nobody is asked any more.
        """
        world = World(timing=quick())
        world.machine().latency = 6.0
        world.want(Verb.ON)
        world.turn(0.1)
        soft = world.want(Verb.SOFT_OFF, deadline=3.0, policy=Policy.QUEUE)
        world.turn(4)
        self.assertEqual([], soft.outcomes)
        world.turn(12)

        self.assertEqual(["on", "off"], world.commands())
        self.assertEqual(Done(How.FORCED, PowerState.OFF), soft.outcome)

    def test_not_asked_when_late(self) -> None:
        """
        One that may not be forced ends at its deadline, in the queue as elsewhere.
        """
        world = World(timing=quick())
        world.machine().latency = 6.0
        world.want(Verb.ON)
        world.turn(0.1)
        soft = world.want(Verb.SOFT_OFF, deadline=3.0, policy=Policy.QUEUE, escalate=False)
        world.turn(3.1)

        self.assertEqual("PowerActionFail", soft.outcome.code)

    def test_came_on_in_the_queue(self) -> None:
        """
        A node that somebody turned on while it waited to start is not touched.
        """
        world = World(timing=quick(), groups={"rack": Limit(1)})
        world.machine("n1").latency = 3.0
        world.want(Verb.ON, "n1")
        asked = world.want(Verb.ON, "n2")
        world.turn(1)
        world.machine("n2").on = True
        world.turn(5)

        self.assertEqual(How.EXTERNAL, asked.outcome.how)
        self.assertEqual([], world.commands("n2"))


class StrictDriver(FakeDriver):
    """
    A driver that has no answer in less than 50 ms.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        if operation.deadline - self.clock.seconds() < 0.05:
            await self._silence(operation)
        return await super().read(target, operation)


class LookingTests(SynchronousTestCase):
    """
    When a change is looked at.
    """

    def test_last_look_has_time(self) -> None:
        """
        The last look comes early enough to be answered: a node that is stuck is known to be.
        """
        world = World(timing=quick(), make_driver=StrictDriver)
        world.machine().faults = [Fault.STUCK]
        asked = world.want(Verb.ON)
        world.turn(30.1)

        self.assertEqual("n1: still off after 30 s, wanted on", asked.outcome.text)

    def test_last_look_is_late(self) -> None:
        """
        What comes about just before the deadline is seen.
        """
        world = World(timing=quick())
        world.machine().latency = 29.8
        asked = world.want(Verb.ON)
        world.turn(30)

        self.assertEqual(How.COMMANDED, asked.outcome.how)

    def test_joiners_cost_no_reads(self) -> None:
        """
        A thousand who join while a change is looked at do not make it look more often.
        """
        world = World(timing=quick())
        world.machine().latency = 5.0
        world.want(Verb.ON)
        world.turn(3)
        before = world.machine().reads
        for _ in range(100):
            world.want(Verb.ON)
            world.turn(0.01)

        self.assertLessEqual(world.machine().reads - before, 3)

    def test_re_check_after_the_deadline(self) -> None:
        """
        An off that must look again for a late on does so, with time to read, though its deadline has passed.
        """
        world = World(timing=quick(), make_driver=StrictDriver)
        world.machine().faults = [Fault.LATE]
        world.want(Verb.ON)
        world.turn(0.1)
        off = world.want(Verb.OFF, deadline=3.5)
        world.turn(10)

        self.assertIsInstance(off.outcome, Done)
        self.assertFalse(world.machine().on)
