# SPDX-License-Identifier: MIT
"""
Accepting what is durable, and taking back exactly what is not.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Accepted, Answered, Ended
from powercoord.errors import (
    BadRequest,
    JournalUnavailable,
    NoSuchAction,
    PowerActionAlreadyInProgress,
    PowerActionFail,
    Stale,
)
from powercoord.interfaces import ITicket
from powercoord.model import (
    Boot,
    BootDevice,
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    How,
    Interrupted,
    Policy,
    Request,
    Superseded,
    Verb,
    Wait,
)
from powercoord.testing.driver import Fault
from tests.registry.world import PXE, Asked, World, quick

FULL = JournalUnavailable("the disk is full")


class IntakeCase(SynchronousTestCase):
    """
    A world whose journal takes its time, in the middle of a slow on.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick())
        self.world.machine().latency = 4.0

    def waiting(self) -> list[Verb]:
        return [view.verb for view in self.world.registry.view("n1").waiting]

    def refused(self, submitted: Deferred[ITicket]) -> None:
        self.failureResultOf(submitted, JournalUnavailable)

    def held(self, verb: Verb, **options: object) -> Deferred[ITicket]:
        """
        A request whose write is under way.
        """
        self.world.journal.hold = True
        return self.world.ask(verb, **options)

    def fail(self, number: int | None = None) -> None:
        self.world.journal.fail(FULL, number)
        self.world.journal.hold = False
        self.world.journal.release()

    def settle(self, submitted: Deferred[ITicket]) -> Asked:
        return Asked(self.successResultOf(submitted))


class UndoTests(IntakeCase):
    """
    A write that fails was never decided.
    """

    def test_in_play_goes_on(self) -> None:
        """
        What was to be cancelled in play goes on, and its waiters hear how it went.
        """
        on = self.world.want(Verb.ON)
        self.world.turn(1)
        off = self.held(Verb.OFF)
        self.world.turn(0.5)
        self.fail()
        self.refused(off)
        self.world.turn(4)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.assertEqual(["on"], self.world.commands())

    def test_waiting_waits_again(self) -> None:
        """
        What was superseded while it waited waits again, with those who wait for it.
        """
        self.world.want(Verb.OFF)
        on = self.world.want(Verb.ON)
        off = self.held(Verb.OFF)
        self.assertEqual([], self.waiting())
        self.fail()
        self.refused(off)
        self.assertEqual([Verb.ON], self.waiting())
        self.world.turn(6)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.assertTrue(self.world.machine().on)

    def test_followers_go_back(self) -> None:
        """
        Those who followed a superseder that never was are with their own action again.
        """
        self.world.machine().on = True
        self.world.want(Verb.OFF)
        on, reset = self.world.want(Verb.ON), self.world.want(Verb.CYCLE)
        cycle = self.held(Verb.CYCLE, boot=PXE)
        self.fail()
        self.refused(cycle)
        self.assertEqual([Verb.CYCLE], self.waiting())
        self.world.turn(15)

        self.assertEqual(on.outcome, reset.outcome)
        self.assertEqual(["off", "on"], self.world.commands())

    def test_followers_of_what_has_ended(self) -> None:
        """
        A follower whose own action ended meanwhile hears how that ended.
        """
        on = self.world.want(Verb.ON)
        self.world.turn(3)
        cycle = self.held(Verb.CYCLE)
        self.world.turn(3)
        self.assertEqual([], on.outcomes)
        self.fail(1)
        self.refused(cycle)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.assertEqual(["r1"], [entry.request_id for entry in self.world.journal.of(Answered)])

    def test_chain_in_one_call(self) -> None:
        """
        Several requests of one call for one node are taken back together, to the last one's first waiter.
        """
        on = self.world.want(Verb.ON)
        self.world.turn(1)
        self.world.journal.hold = True
        verbs = (Verb.CYCLE, Verb.ON, Verb.OFF, Verb.ON, Verb.SOFT_OFF, Verb.OFF, Verb.CYCLE)
        requests = [Request(node="n1", verb=verb, request_id=f"x{n}") for n, verb in enumerate(verbs)]
        submitted = self.world.registry.submit_many(requests)
        self.fail()
        self.failureResultOf(submitted, JournalUnavailable)
        self.assertEqual([], self.waiting())
        self.world.turn(5)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.assertEqual(1, len(self.world.journal.of(Ended)))

    def test_lane_goes_on(self) -> None:
        """
        A lane whose next action was never accepted goes on to the one behind it.
        """
        self.world.want(Verb.ON)
        self.world.turn(3)
        off = self.world.want(Verb.OFF)
        self.world.turn(0.02)
        on = self.held(Verb.ON)
        self.world.turn(0.1)
        self.fail()
        self.refused(on)
        self.world.turn(8)

        self.assertIsInstance(off.outcome, Done)
        self.assertFalse(self.world.machine().on)

    def test_restored_when_its_turn_has_come(self) -> None:
        """
        What waits again when the lane has become free meanwhile begins at once.
        """
        self.world.machine().on = True
        self.world.want(Verb.OFF)
        self.world.turn(3.9)
        on = self.world.want(Verb.ON)
        soft = self.held(Verb.SOFT_OFF)
        self.assertEqual([], self.waiting())
        self.world.journal.failing = FULL
        self.world.turn(2)
        self.world.journal.failing = None
        self.fail()
        self.refused(soft)
        self.world.turn(5)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.flushLoggedErrors(JournalUnavailable)

    def test_joined_in_play(self) -> None:
        """
        Who joined what is in play and was not accepted has changed nothing, not even its patience.
        """
        self.world.machine().on = True
        self.world.machine().obeys_soft = False
        soft = self.world.want(Verb.SOFT_OFF)
        self.world.turn(1)
        hasty = self.held(Verb.SOFT_OFF, deadline=0.5)
        self.fail()
        self.refused(hasty)
        self.world.turn(8)
        self.assertEqual(["soft"], self.world.commands())
        self.world.turn(8)

        self.assertEqual(How.FORCED, soft.outcome.how)
        self.assertEqual(1, len(self.world.journal.of(Answered)))

    def test_sequence(self) -> None:
        """
        A sequence that was not accepted makes no other stale.
        """
        self.world.want(Verb.ON, sequence=3)
        high = self.held(Verb.ON, sequence=9)
        self.fail()
        self.refused(high)

        self.successResultOf(self.world.ask(Verb.ON, sequence=5))
        self.failureResultOf(self.world.ask(Verb.ON, sequence=4), Stale)

    def test_same_request_again(self) -> None:
        """
        A repeat that comes while the first is being written shares its fate, and is new if that failed.
        """
        first = self.held(Verb.ON, request_id="same")
        again = self.world.ask(Verb.ON, request_id="same")
        self.assertNoResult(again)
        self.fail(1)
        self.refused(first)
        asked = self.settle(again)
        self.assertEqual(Disposition.STARTED, asked.ticket.disposition)
        self.world.turn(6)

        self.assertEqual(How.COMMANDED, asked.outcome.how)

    def test_decided_on_what_is_durable(self) -> None:
        """
        A request that comes during a write that fails is decided as if that had never been.
        """
        first, second = self.held(Verb.CYCLE), self.world.ask(Verb.ON)
        self.fail(1)
        self.refused(first)
        asked = self.settle(second)

        self.assertEqual(Disposition.STARTED, asked.ticket.disposition)
        self.assertEqual([Verb.ON], [entry.request.verb for entry in self.world.journal.of(Accepted)])

    def test_cancel_of_what_waits(self) -> None:
        """
        A cancel that could not be written did not happen.
        """
        self.world.want(Verb.OFF)
        on = self.world.want(Verb.ON)
        self.world.journal.hold = True
        cancelled = self.world.registry.cancel("a2", "ann")
        self.assertNoResult(cancelled)
        self.fail()
        self.failureResultOf(cancelled, JournalUnavailable)
        self.world.turn(6)

        self.assertEqual(How.COMMANDED, on.outcome.how)


class AcceptingTests(IntakeCase):
    """
    What is durable, and when.
    """

    def test_one_write_at_a_time(self) -> None:
        """
        What comes during a write is decided after it, all together and with one write.
        """
        first = self.held(Verb.ON)
        rest = [self.world.ask(verb) for verb in (Verb.ON, Verb.OFF, Verb.ON)]
        self.assertEqual(1, len(self.world.journal.held))
        self.world.journal.release(1)
        self.successResultOf(first)
        acceptances = [
            e for _, entries in self.world.journal.held for e in entries if isinstance(e, Accepted)
        ]
        self.assertEqual(3, len(acceptances))
        self.assertEqual(1, len([1 for _, entries in self.world.journal.held if acceptances[0] in entries]))
        self.world.journal.hold = False
        self.world.journal.release()

        for one in rest:
            self.successResultOf(one)

    def test_caller_goes_away(self) -> None:
        """
        A caller that no longer waits for "accepted" takes nothing back, and the journal is left alone.
        """
        submitted = self.held(Verb.ON)
        submitted.cancel()
        self.failureResultOf(submitted, CancelledError)
        self.world.journal.hold = False
        self.world.journal.release()
        self.world.turn(6)

        self.assertEqual(["on"], self.world.commands())
        self.assertEqual(1, len(self.world.journal.of(Answered)))

    def test_nothing_to_write(self) -> None:
        """
        A refusal and a repeat need no journal.
        """
        self.world.want(Verb.ON, request_id="same")
        self.world.journal.failing = FULL

        self.successResultOf(self.world.ask(Verb.ON, request_id="same"))
        self.failureResultOf(self.world.ask(Verb.ON, deadline=-1.0), BadRequest)

    def test_next_waits_for_the_end(self) -> None:
        """
        The next action begins when the end of the one before it is durable.
        """
        self.world.want(Verb.OFF)
        self.world.want(Verb.ON)
        self.world.journal.hold = True
        self.world.turn(0.005, step=0.005)
        self.world.journal.release()
        self.world.turn(0.5)
        reads = self.world.machine().reads
        self.failureResultOf(self.world.ask(Verb.OFF, policy=Policy.REJECT), PowerActionAlreadyInProgress)
        self.world.turn(5)
        self.assertEqual(reads, self.world.machine().reads)
        self.world.journal.hold = False
        self.world.journal.release()
        self.world.turn(6)

        self.assertTrue(self.world.machine().on)

    def test_next_waits_to_be_durable(self) -> None:
        """
        A free lane does not begin what is not durable.
        """
        self.world.want(Verb.ON)
        self.world.turn(3.5)
        reset = self.held(Verb.RESET)
        self.world.journal.failing = FULL
        self.world.turn(2)
        self.assertEqual(["on"], self.world.commands())
        self.world.journal.failing = None
        self.world.journal.hold = False
        self.world.journal.release()
        self.successResultOf(reset)
        self.world.turn(2)

        self.assertEqual(["on", "reset"], self.world.commands())
        self.flushLoggedErrors(JournalUnavailable)

    def test_answer_is_durable_first(self) -> None:
        """
        Nobody hears an answer that is not durable, not even one who asks for it then.
        """
        asked = self.world.want(Verb.OFF)
        self.world.turn(0.005, step=0.005)
        self.world.journal.hold = True
        self.world.turn(1)
        later = asked.ticket.wait()
        self.assertNoResult(later)
        self.assertEqual([], asked.outcomes)
        self.world.journal.release()

        self.assertEqual(asked.outcome, self.successResultOf(later))

    def test_asks_again_on_being_told(self) -> None:
        """
        A waiter may submit, cancel and query the moment it is told.
        """
        asked = self.world.want(Verb.ON)
        more: list[Asked] = []
        asked.ticket.wait().addCallback(
            lambda _: self.world.ask(Verb.OFF).addCallback(lambda t: more.append(Asked(t)))
        )
        self.world.turn(12)

        self.assertIsInstance(more[0].outcome, Done)
        self.assertFalse(self.world.machine().on)

    def test_wait_none_is_remembered_and_forgotten(self) -> None:
        """
        One who asked for no more than "accepted" is among the answered like all others.
        """
        self.world.want(Verb.ON, wait=Wait.NONE)
        self.world.turn(6)
        seen = self.world.registry._acceptance._seen  # noqa: SLF001 - what it remembers has no other use

        self.assertEqual(["r1"], list(seen._answered))  # noqa: SLF001


class BrokenJournalTests(IntakeCase):
    """
    A journal that cannot be written stops what is new, and nothing that has begun.
    """

    def break_it(self) -> None:
        self.world.journal.failing = OSError("the disk is full")

    def tearDown(self) -> None:
        self.flushLoggedErrors(OSError, JournalUnavailable)

    def test_any_failure_is_the_journals(self) -> None:
        """
        Whatever the journal raises, callers hear that it is unavailable.
        """
        self.break_it()

        self.failureResultOf(self.world.ask(Verb.ON), JournalUnavailable)
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    def test_before_anything_was_sent(self) -> None:
        """
        An action that cannot write what it is about to do does not do it.
        """
        asked = self.world.want(Verb.ON)
        self.break_it()
        self.world.turn(6)

        self.assertEqual("JournalUnavailable", asked.outcome.code)
        self.assertEqual([], self.world.commands())

    def test_after_something_was_sent(self) -> None:
        """
        An action that has sent something is brought to its end, and its waiters hear of it.
        """
        self.world.machine().on = True
        cycle, hasty = self.world.want(Verb.CYCLE), self.world.want(Verb.CYCLE, wait=Wait.NONE)
        self.world.turn(1)
        self.break_it()
        self.world.turn(20)

        self.assertEqual(["off", "on"], self.world.commands())
        self.assertEqual(How.COMMANDED, cycle.outcome.how)
        self.assertEqual(Wait.NONE, hasty.outcome.reached)

    def test_end_is_told(self) -> None:
        """
        An end that could not be written is told, and the lane goes on.
        """
        first, second = self.world.want(Verb.ON), self.world.want(Verb.RESET)
        self.world.turn(3.5)
        self.world.journal.breaks = 2
        self.world.turn(6)

        self.assertEqual(How.COMMANDED, first.outcome.how)
        self.assertEqual(How.COMMANDED, second.outcome.how)

    def test_stop(self) -> None:
        """
        A stop ends in spite of the journal, and all waiters hear why.
        """
        asked = [self.world.want(Verb.ON), self.world.want(Verb.RESET)]
        self.world.turn(1)
        self.break_it()
        stopped = self.world.registry.stop("upgrade")
        self.world.turn(1)

        self.successResultOf(stopped)
        self.assertEqual([Interrupted("upgrade")] * 2, [one.outcome for one in asked])


class CancelRaceTests(IntakeCase):
    """
    A cancel that meets something else.
    """

    def test_superseded_just_now(self) -> None:
        """
        Cancelling what a request being written takes the place of is no error, and says it was not started.
        """
        self.world.want(Verb.OFF)
        on = self.world.want(Verb.ON)
        self.held(Verb.OFF)
        cancelled = self.world.registry.cancel("a2", "ann")
        self.world.journal.hold = False
        self.world.journal.release()

        self.assertEqual(CancelResult.NOT_STARTED, self.successResultOf(cancelled))
        self.assertIsInstance(on.outcome, Superseded)

    def test_twice(self) -> None:
        """
        Two who cancel the same hear the same.
        """
        self.world.want(Verb.OFF)
        on = self.world.want(Verb.ON)
        self.world.journal.hold = True
        both = [self.world.registry.cancel("a2", name) for name in ("ann", "bob")]
        self.world.journal.hold = False
        self.world.journal.release()

        self.assertEqual([CancelResult.NOT_STARTED] * 2, [self.successResultOf(one) for one in both])
        self.assertEqual(Cancelled(CancelResult.NOT_STARTED, "ann"), on.outcome)

    def test_ending_just_now(self) -> None:
        """
        Cancelling what has ended and is being written is too late, and says so when that is done.
        """
        asked = self.world.want(Verb.ON)
        self.world.turn(3.5)
        self.world.journal.hold = True
        self.world.turn(2)
        cancelled = self.world.registry.cancel("a1", "ann")
        self.world.journal.hold = False
        self.world.journal.release()

        self.assertEqual(CancelResult.TOO_LATE, self.successResultOf(cancelled))
        self.assertIsInstance(asked.outcome, Done)
        self.assertRaises(NoSuchAction, self.world.registry.cancel, "a1", "ann")

    def test_does_not_wait_for_the_journal(self) -> None:
        """
        What is in play is stopped at once, even while the journal is busy with others.
        """
        self.world.machine().on = True
        self.world.want(Verb.CYCLE)
        self.world.turn(4.5)
        self.world.journal.hold = True
        self.world.ask(Verb.ON, "n2")
        self.world.registry.cancel("a1", "ann")
        self.world.turn(3)

        self.assertEqual(["off"], self.world.commands())

    def test_of_what_is_being_superseded(self) -> None:
        """
        A cancel of what is being superseded waits for that to be durable; if it is not, it is cancelled.
        """
        for durable in (True, False):
            self.setUp()
            on = self.world.want(Verb.ON)
            self.world.turn(1)
            self.held(Verb.OFF)
            self.world.registry.cancel("a1", "ann")
            self.world.journal.hold = False
            if durable:
                self.world.journal.release()
            else:
                self.world.journal.fail(FULL)
            self.world.turn(1)
            self.assertEqual(Superseded if durable else Cancelled, type(on.outcome))

    def test_caller_goes_away(self) -> None:
        """
        Who cancels and goes away has cancelled all the same, and disturbs no other.
        """
        self.world.machine().faults = [Fault.LATE]
        asked = self.world.want(Verb.ON)
        self.world.turn(1)
        first, second = (self.world.registry.cancel("a1", name) for name in ("ann", "bob"))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.world.turn(2)

        self.assertEqual(CancelResult.UNKNOWN, self.successResultOf(second))
        self.assertEqual(Cancelled(CancelResult.UNKNOWN, "ann"), asked.outcome)


class RefusalTests(IntakeCase):
    """
    What is refused leaves the lane as it was.
    """

    def test_nonsense(self) -> None:
        """
        What makes no sense is refused in one line, and jams nothing.
        """
        for verb, options, text in (
            (Verb.ON, {"deadline": 0.0}, "n1: deadline is 0 s; it must be above 0 and at most a year"),
            (
                Verb.ON,
                {"deadline": float("inf")},
                "n1: deadline is inf s; it must be above 0 and at most a year",
            ),
            (
                Verb.ON,
                {"deadline": float("nan")},
                "n1: deadline is nan s; it must be above 0 and at most a year",
            ),
            (Verb.ON, {"deadline": 1e12}, "n1: deadline is 1e+12 s; it must be above 0 and at most a year"),
            (Verb.BOOT, {}, "n1: boot needs a boot device"),
            (Verb.OFF, {"boot": PXE}, "n1: off takes no boot device; on, cycle, reset and boot do"),
            (Verb.SOFT_OFF, {"boot": PXE}, "n1: soft-off takes no boot device; on, cycle, reset and boot do"),
            (Verb.ON, {"request_id": ""}, "n1: a request needs an id of its own (request_id)"),
        ):
            refused = self.failureResultOf(self.world.ask(verb, **options), BadRequest)
            self.assertEqual(text, str(refused.value))
        self.assertEqual([], list(self.world.registry.busy()))
        asked = self.world.want(Verb.ON)
        self.world.turn(6)
        self.assertIsInstance(asked.outcome, Done)

    def test_sequence_zero(self) -> None:
        """
        Zero is a sequence like any other.
        """
        self.world.want(Verb.ON, sequence=1)

        self.failureResultOf(self.world.ask(Verb.OFF, sequence=0), Stale)

    def test_same_id_for_something_else(self) -> None:
        """
        An id that was used is refused for another node, verb or boot device.
        """
        self.world.want(Verb.ON, request_id="same")
        for verb, name, boot in ((Verb.ON, "n2", None), (Verb.CYCLE, "n1", None), (Verb.ON, "n1", PXE)):
            self.failureResultOf(self.world.ask(verb, name, request_id="same", boot=boot), BadRequest)

    def test_one_of_many(self) -> None:
        """
        One refusal in a call of many concerns that one alone.
        """
        requests = [
            Request(node="n1", verb=Verb.OFF, request_id="1"),
            Request(node="n1", verb=Verb.RESET, request_id="2"),
            Request(node="n9", verb=Verb.ON, request_id="3"),
            Request(node="n2", verb=Verb.BOOT, request_id="4", boot=Boot(BootDevice.NONE)),
        ]
        first, second, third, fourth = self.successResultOf(self.world.registry.submit_many(requests))

        self.assertIsInstance(second, PowerActionFail)
        self.assertEqual("NoSuchNode", third.code)
        self.assertEqual(("a1", "a2"), (first.action, fourth.action))
