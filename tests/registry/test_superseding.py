# SPDX-License-Identifier: MIT
"""
Requests that meet each other: joining, superseding, cancelling, refusing.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Accepted, Answered, Ended
from powercoord.errors import (
    BadRequest,
    Draining,
    JournalUnavailable,
    NoSuchAction,
    NoSuchNode,
    PowerActionAlreadyInProgress,
    PowerActionFail,
    Stale,
)
from powercoord.model import (
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    How,
    Interrupted,
    Phase,
    Policy,
    PowerState,
    Request,
    Superseded,
    Verb,
)
from powercoord.registry.requests import SeenRequests
from powercoord.registry.waiters import Waiter
from powercoord.testing.driver import Fault
from tests.registry.world import PXE, World, quick


class JoiningTests(SynchronousTestCase):
    """
    Identical requests share one action.
    """

    def test_a_thousand_clicks(self) -> None:
        """
        A thousand identical requests cost one command and get equal answers.
        """
        world = World(timing=quick())
        world.machine().latency = 2
        asked = [world.want(Verb.ON) for _ in range(1000)]
        world.turn(4)
        self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, {one.outcome for one in asked})
        self.assertEqual(["on"], world.commands())
        self.assertEqual(1000, len(world.journal.of(Answered)))

    def test_a_waiter_goes_away(self) -> None:
        """
        Who stops waiting stops nothing else.
        """
        world = World(timing=quick())
        ticket = self.successResultOf(world.ask(Verb.ON))
        gone, staying = ticket.wait(), ticket.wait()
        gone.cancel()
        world.turn(2)
        self.failureResultOf(gone)
        self.assertIsInstance(self.successResultOf(staying), Done)

    def test_the_same_request_again(self) -> None:
        """
        A repeated request id never runs again, and gets the recorded outcome.
        """
        world = World(timing=quick())
        first = world.want(Verb.CYCLE, request_id="same")
        world.turn(5)
        again = world.want(Verb.CYCLE, request_id="same")
        self.assertEqual(first.outcome, again.outcome)
        self.assertEqual(["on"], world.commands())
        refused = self.failureResultOf(world.ask(Verb.OFF, request_id="same"), BadRequest)
        self.assertIn("was used for cycle of n1", str(refused.value))


class SupersedingTests(SynchronousTestCase):
    """
    Off beats on, in flight.
    """

    def test_off_during_a_slow_on(self) -> None:
        """
        The on's waiters hear Superseded; the node is off and stays off.
        """
        world = World(timing=quick())
        world.machine().latency = 5
        on = world.want(Verb.ON)
        world.turn(1)
        off = world.want(Verb.OFF)
        world.turn(12)
        self.assertEqual(Superseded("a2", Verb.OFF, CancelResult.TOO_LATE), on.outcome)
        self.assertEqual(How.FORCED, off.outcome.how)
        self.assertFalse(world.machine().on)

    def test_alternating_clicks(self) -> None:
        """
        A thousand alternating requests cost at most two actions after the one in play.
        """
        world = World(timing=quick())
        world.machine().latency = 5
        asked = [world.want(verb) for _ in range(500) for verb in (Verb.ON, Verb.OFF)]
        world.turn(20)
        self.assertTrue(all(len(one.outcomes) == 1 for one in asked))
        self.assertLessEqual(len(world.commands()), 3)
        self.assertIsInstance(asked[-1].outcome, Done)
        self.assertFalse(world.machine().on)

    def test_a_hard_off_completes_a_soft_one(self) -> None:
        """
        The soft-off's waiters follow the hard off and hear "forced".
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().obeys_soft = False
        soft = world.want(Verb.SOFT_OFF)
        world.turn(1)
        hard = world.want(Verb.OFF)
        self.assertEqual(Disposition.SUPERSEDING, hard.ticket.disposition)
        world.turn(5)
        self.assertEqual(Done(How.FORCED, PowerState.OFF), soft.outcome)
        self.assertEqual(hard.outcome, soft.outcome)

    def test_a_cycle_completes_an_on(self) -> None:
        """
        The on's waiters follow the cycle.
        """
        world = World(timing=quick())
        world.machine().latency = 3
        on, cycle = world.want(Verb.ON), world.want(Verb.CYCLE)
        world.turn(12)
        self.assertEqual(on.outcome, cycle.outcome)

    def test_an_unanswered_on_is_waited_out(self) -> None:
        """
        No two changes overlap: the off waits until the on's call is quiet.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.LATE]
        world.want(Verb.ON)
        world.turn(1)
        off = world.want(Verb.OFF)
        world.turn(15)
        self.assertEqual([], world.driver.overlaps)
        self.assertIsInstance(off.outcome, Done)
        self.assertFalse(world.machine().on)

    def test_a_deaf_driver_is_torn_down(self) -> None:
        """
        Past the cancel time the channel is torn down and the off goes on.
        """
        world = World(timing=quick(cancel=4))
        world.machine().faults = [Fault.DEAF]
        on = world.want(Verb.ON)
        world.turn(1)
        off = world.want(Verb.OFF)
        world.turn(15)
        self.assertEqual(CancelResult.UNKNOWN, on.outcome.cancel)
        self.assertIsInstance(off.outcome, Done)

    def test_queue_waits(self) -> None:
        """
        With policy=queue what is in play is left alone.
        """
        world = World(timing=quick())
        world.machine().latency = 2
        on, off = world.want(Verb.ON), world.want(Verb.OFF, policy=Policy.QUEUE)
        world.turn(8)
        self.assertIsInstance(on.outcome, Done)
        self.assertIsInstance(off.outcome, Done)
        self.assertEqual(["on", "off"], world.commands())


class RefusingTests(SynchronousTestCase):
    """
    What is not accepted, and that nothing is changed by it.
    """

    def test_reject(self) -> None:
        """
        With policy=reject a busy node refuses, naming what is in progress.
        """
        world = World(timing=quick())
        world.want(Verb.ON)
        refused = self.failureResultOf(
            world.ask(Verb.OFF, policy=Policy.REJECT), PowerActionAlreadyInProgress
        )
        self.assertEqual("n1: on is in progress (action a1); policy was reject", str(refused.value))
        self.assertEqual(1, len(world.journal.of(Accepted)))

    def test_stale(self) -> None:
        """
        A late, older request is refused.
        """
        world = World()
        world.want(Verb.ON, sequence=7)
        refused = self.failureResultOf(world.ask(Verb.OFF, sequence=6), Stale)
        self.assertEqual("n1: sequence 6 came after 7; nothing was done", str(refused.value))
        self.successResultOf(world.ask(Verb.OFF, sequence=7))

    def test_reset_behind_an_off(self) -> None:
        """
        A reset of what is going off is refused at once.
        """
        world = World()
        world.want(Verb.OFF)
        self.failureResultOf(world.ask(Verb.RESET), PowerActionFail)

    def test_unknown_node(self) -> None:
        """
        A node nobody knows is named.
        """
        self.failureResultOf(World().ask(Verb.ON, "n9"), NoSuchNode)

    def test_draining(self) -> None:
        """
        While draining new requests are refused with the reason; known ones are not.
        """
        world = World(timing=quick())
        running = world.want(Verb.ON, request_id="before")
        world.registry.drain("new kernel", "ann")
        refused = self.failureResultOf(world.ask(Verb.OFF), Draining)
        self.assertIn("new kernel (by ann)", str(refused.value))
        self.successResultOf(world.ask(Verb.ON, request_id="before"))
        world.turn(2)
        self.assertIsInstance(running.outcome, Done)
        world.registry.resume("ann")
        self.successResultOf(world.ask(Verb.OFF))


class CancellingTests(SynchronousTestCase):
    """
    `Registry.cancel`, and the truth about it.
    """

    def test_waiting(self) -> None:
        """
        An action that never had its turn was not started.
        """
        world = World(timing=quick())
        world.machine().latency = 2
        world.want(Verb.OFF)
        waiting = world.want(Verb.ON)
        result = world.registry.cancel(waiting.ticket.action, "ann")
        self.assertEqual(CancelResult.NOT_STARTED, self.successResultOf(result))
        self.assertEqual(Cancelled(CancelResult.NOT_STARTED, "ann"), waiting.outcome)

    def test_before_anything_was_sent(self) -> None:
        """
        Cancelled while reading: nothing was sent.
        """
        world = World()
        asked = world.want(Verb.ON)
        world.turn(0.005, step=0.005)
        result = world.registry.cancel("a1", "ann")
        self.assertEqual(CancelResult.NOT_STARTED, self.successResultOf(result))
        self.assertEqual(Cancelled(CancelResult.NOT_STARTED, "ann"), asked.outcome)
        world.turn(5)
        self.assertEqual([], world.commands())

    def test_after_it_was_accepted(self) -> None:
        """
        What the BMC accepted cannot be taken back.
        """
        world = World(timing=quick())
        world.machine().latency = 3
        world.want(Verb.ON)
        world.turn(1)
        self.assertEqual(CancelResult.TOO_LATE, self.successResultOf(world.registry.cancel("a1", "ann")))

    def test_between_the_halves(self) -> None:
        """
        A cycle cancelled while off stays off: stopped.
        """
        world = World(timing=quick(minimum_off=5))
        world.machine().on = True
        world.want(Verb.CYCLE)
        world.turn(2)
        self.assertEqual(CancelResult.STOPPED, self.successResultOf(world.registry.cancel("a1", "ann")))
        world.turn(20)
        self.assertEqual(["off"], world.commands())

    def test_nothing_there(self) -> None:
        """
        An action that has ended, or never was, is named.
        """
        error = self.assertRaises(NoSuchAction, World().registry.cancel, "a7", "ann")
        self.assertIn("a7", str(error))


class StoppingTests(SynchronousTestCase):
    """
    `Registry.stop`.
    """

    def test_all_waiters_hear(self) -> None:
        """
        What is in play and what is waiting is interrupted, and no timer is left.
        """
        world = World(timing=quick())
        for name in ("n1", "n2"):
            world.machine(name).latency = 2
        world.machine("n1").on = True
        asked = [world.want(Verb.OFF, "n1"), world.want(Verb.ON, "n1"), world.want(Verb.ON, "n2")]
        world.turn(0.5)
        late = world.want(Verb.ON, "n3", boot=PXE)
        stopped = world.registry.stop("upgrade")
        world.turn(0.1)
        self.successResultOf(stopped)
        self.assertEqual({Interrupted("upgrade")}, {one.outcome for one in [*asked, late]})
        self.assertEqual([], [call for call in world.clock.getDelayedCalls() if call.getTime() > 3])

    def test_no_way_back(self) -> None:
        """
        After a stop nothing is accepted any more, whoever says "resume".
        """
        world = World(timing=quick())
        world.want(Verb.ON)
        stopped = world.registry.stop("upgrade")
        world.turn(0.01)
        self.successResultOf(stopped)
        world.registry.resume("ann")
        self.failureResultOf(world.ask(Verb.ON), Draining)

    def test_nothing_begins(self) -> None:
        """
        What was being written when the stop came is interrupted, and not begun.
        """
        world = World(timing=quick())
        world.journal.hold = True
        asked = world.ask(Verb.ON)
        stopped = world.registry.stop("upgrade")
        world.journal.hold = False
        world.journal.release()
        self.successResultOf(stopped)
        self.assertEqual(Interrupted("upgrade"), self.successResultOf(self.successResultOf(asked).wait()))
        world.turn(1)
        self.assertEqual(0, world.machine().reads)

    def test_idle(self) -> None:
        """
        Idle is when all is done, what is just being accepted too; answers are told before.
        """
        world = World(timing=quick())
        order: list[str] = []
        world.journal.hold = True
        world.ask(Verb.ON).addCallback(lambda t: t.wait().addCallback(lambda _: order.append("answered")))
        world.registry.idle().addCallback(lambda _: order.append("idle"))
        world.journal.hold = False
        world.journal.release()
        self.assertEqual([], order)
        world.turn(1)
        self.assertEqual(["answered", "idle"], order)
        self.successResultOf(world.registry.idle())


class ViewTests(SynchronousTestCase):
    """
    `Registry.view` and `Registry.busy`.
    """

    def test_lane(self) -> None:
        """
        A view shows what is in play and what waits, with who asked, since when, until when.
        """
        world = World(timing=quick())
        world.machine().latency = 5.0
        world.want(Verb.ON, requester="ann")
        world.turn(1)
        world.want(Verb.RESET, requester="bob", deadline=20.0)
        view = world.registry.view("n1")
        assert view.in_play is not None
        self.assertEqual((Phase.VERIFYING, "on"), (view.in_play.phase, view.in_play.half))
        self.assertEqual("ann", view.in_play.waiters[0].requester)
        self.assertApproximates(30.0, (view.in_play.deadline - view.in_play.since).total_seconds(), 0.1)
        self.assertEqual(["bob"], [request.requester for request in view.waiting[0].waiters])
        self.assertEqual(20.0, (view.waiting[0].deadline - view.waiting[0].since).total_seconds())
        self.assertEqual(["n1"], [busy.node.name for busy in world.registry.busy()])
        self.assertEqual((True, False), (world.registry.is_busy("n1"), world.registry.is_busy("n2")))

    def test_being_superseded(self) -> None:
        """
        What is being cancelled names what takes its place.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.LATE]
        world.want(Verb.ON)
        world.turn(1)
        off = world.want(Verb.OFF)
        view = world.registry.view("n1").in_play
        assert view is not None
        self.assertEqual((Phase.CANCELLING, off.ticket.action), (view.phase, view.superseded_by))

    def test_never_checked(self) -> None:
        """
        A node that was never read says so; one that was read says when.
        """
        world = World(timing=quick())
        self.assertEqual(PowerState.NEVER_CHECKED, world.registry.view("n1").observed.state)
        self.assertEqual(None, world.registry.view("n1").age)
        world.registry.query("n1")
        world.turn(3)
        view = world.registry.view("n1")
        self.assertEqual(PowerState.OFF, view.observed.state)
        self.assertApproximates(3.0, view.age, 0.02)


class RememberingTests(SynchronousTestCase):
    """
    `SeenRequests`.
    """

    def test_forgets_the_oldest_answered(self) -> None:
        """
        All that is unanswered is remembered, and of the answered as many as allowed.
        """
        seen = SeenRequests(2)
        waiters = [
            Waiter(Request(node="n1", verb=Verb.ON, request_id=str(number)), 0.0, "a", seen.answered)
            for number in range(5)
        ]
        for waiter in waiters:
            seen.add(waiter)
        for waiter in waiters[1:]:
            waiter.settle(Interrupted("x"))
            waiter.tell()
        known = [waiter.request.request_id for waiter in waiters if seen.find(waiter.request)]
        self.assertEqual(["0", "3", "4"], known)

    def test_fault_in_a_decision(self) -> None:
        """
        A roster that fails answers with that, and later requests are decided all the same.
        """
        world = World(timing=quick())
        world.registry.roster.nodes = None
        self.failureResultOf(world.ask(Verb.ON), TypeError)
        world.registry.roster.nodes = {"n1": world.node("n1")}
        self.successResultOf(world.ask(Verb.ON))


class DurabilityTests(SynchronousTestCase):
    """
    Nothing is answered or sent before it is written.
    """

    def test_not_accepted_before_it_is_durable(self) -> None:
        """
        The caller hears, and the BMC hears, only when the journal has it.
        """
        world = World(timing=quick())
        world.journal.hold = True
        accepted = world.ask(Verb.ON)
        world.turn(1)
        self.assertNoResult(accepted)
        self.assertEqual(0, world.machine().reads)
        world.journal.hold = False
        world.journal.release()
        self.successResultOf(accepted)
        world.turn(1)
        self.assertEqual(["on"], world.commands())

    def test_a_journal_that_fails(self) -> None:
        """
        What is not durable is refused, and leaves no trace in the lane.
        """
        world = World(timing=quick())
        world.journal.hold = True
        accepted = world.ask(Verb.ON)
        world.journal.fail(OSError("disk full"))
        self.failureResultOf(accepted, JournalUnavailable)
        self.flushLoggedErrors(OSError)
        self.assertEqual((), world.registry.view("n1").waiting)
        self.assertEqual([], list(world.registry.busy()))

    def test_one_terminal_record_each(self) -> None:
        """
        Every accepted request has exactly one Answered, every action one Ended.
        """
        world = World(timing=quick())
        for verb in (Verb.ON, Verb.OFF, Verb.CYCLE, Verb.SOFT_OFF, Verb.OFF, Verb.ON):
            world.want(verb)
            world.turn(0.1)
        world.turn(60)
        requests = [entry.request.request_id for entry in world.journal.of(Accepted)]
        self.assertEqual(sorted(requests), sorted(entry.request_id for entry in world.journal.of(Answered)))
        actions = {entry.action for entry in world.journal.of(Accepted)}
        self.assertEqual(sorted(actions), sorted(entry.action for entry in world.journal.of(Ended)))
