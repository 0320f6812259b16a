# SPDX-License-Identifier: MIT
"""
Draining and resuming, by whichever way, over a registry with fake machines.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.errors import Draining, JournalUnavailable
from powercoord.lifecycle.lifecycle import Forced, Lifecycle
from powercoord.lifecycle.makers import WorkMakers
from powercoord.lifecycle.record import DrainRecord
from powercoord.model import Done, Verb
from powercoord.stages import ILifecycle, Source, Stage
from tests.registry.world import Asked, World, quick

COMMAND, FILE, SIGNAL = Source.COMMAND, Source.FILE, Source.SIGNAL


class LifecycleCase(SynchronousTestCase):
    """
    A lifecycle over a small fleet, with one timer that makes work.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.begin()

    def begin(self, *, drain_file: bool = True) -> None:
        """
        Begin anew, with what is on the disk.
        """
        self.world = World(timing=quick())
        self.ticks: list[float] = []
        self.timer = LoopingCall(lambda: self.ticks.append(self.world.clock.seconds()))
        self.timer.clock = self.world.clock
        self.makers = WorkMakers()
        self.makers.add("the ticks", lambda: self.timer.start(1, now=False), self.timer.stop)
        record = DrainRecord(self.folder / "drain")
        self.lifecycle = Lifecycle(
            self.world.clock, self.now, self.world.registry, record, self.makers, drain_file
        )
        self.seen: list[Stage] = []
        self.lifecycle.watch(lambda: self.seen.append(self.lifecycle.stage))
        self.lifecycle.restore()

    def serve(self) -> None:
        """
        Open the doors.
        """
        self.lifecycle.opened()

    def now(self) -> datetime:
        """
        The time of day in the world.
        """
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.world.clock.seconds())

    def slow(self, latency: float = 3, name: str = "n1") -> Asked:
        """
        An action that takes so long.
        """
        self.world.machine(name).latency = latency
        asked = self.world.want(Verb.ON, name)
        self.world.turn(0.1)
        return asked

    def drain(self, source: Source = COMMAND) -> None:
        """
        Drain it.
        """
        self.lifecycle.start_drain("a reason", "eve", source)

    def refused(self) -> str:
        """
        Why a new change is refused now.
        """
        return str(self.failureResultOf(self.world.ask(Verb.OFF, "n3"), Draining).value)


class StageTests(LifecycleCase):
    """
    Where it stands.
    """

    def test_interface(self) -> None:
        """
        It is what the doors are given.
        """
        self.assertTrue(verifyObject(ILifecycle, self.lifecycle))

    def test_starts(self) -> None:
        """
        It is starting until the doors are open, and then it serves, and timers run.
        """
        self.assertIs(Stage.STARTING, self.lifecycle.stage)
        self.assertEqual((), self.makers.running)
        self.serve()

        self.assertIs(Stage.SERVING, self.lifecycle.stage)
        self.assertIsNone(self.lifecycle.drain)
        self.assertEqual(("the ticks",), self.makers.running)

    def test_drains(self) -> None:
        """
        A drain refuses changes with its reason, lets accepted ones end, and is over with the last.
        """
        self.serve()
        asked = self.slow()
        self.drain()
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)
        self.assertIn("a reason (by eve)", self.refused())
        self.assertEqual(1, self.lifecycle.pending)
        self.world.turn(5)

        self.assertIsInstance(asked.outcome, Done)
        self.assertIs(Stage.DRAINED, self.lifecycle.stage)
        self.assertEqual(0, self.lifecycle.pending)

    def test_drained_at_once(self) -> None:
        """
        It is drained within the turn of the reactor in which its last action ends.
        """
        self.serve()
        asked = self.slow(2.5)
        self.drain()
        while not asked.outcomes:
            self.assertIs(Stage.DRAINING, self.lifecycle.stage)
            self.world.clock.advance(0.01)

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)

    def test_idle(self) -> None:
        """
        With nothing to do it is drained at once.
        """
        self.serve()
        self.drain()

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)

    def test_being_accepted(self) -> None:
        """
        A request that is being written when the drain begins is accepted, and waited for.
        """
        self.serve()
        self.world.journal.hold = True
        ticket = self.world.ask(Verb.ON)
        self.drain()
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)
        self.world.journal.hold = False
        self.world.journal.release()
        self.successResultOf(ticket)
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)
        self.world.turn(3)

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)

    def test_being_accepted_after_a_resume(self) -> None:
        """
        So is one that was asked for between two drains, while an action of before the first goes on.
        """
        self.serve()
        self.slow(2)
        self.drain()
        self.lifecycle.resume("eve", COMMAND)
        self.world.journal.hold = True
        ticket = self.world.ask(Verb.ON, "n2")
        self.drain()
        while len(self.world.journal.held) < 2:
            self.world.clock.advance(0.1)
        written, *others = self.world.journal.held
        self.world.journal.held = others
        self.world.journal.release()
        while self.lifecycle.pending:
            self.world.journal.release()
            self.world.clock.advance(0.1)
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)

        self.world.journal.hold = False
        self.world.journal.held = [written]
        self.world.journal.release()
        self.successResultOf(ticket)
        self.world.turn(3)
        self.assertIs(Stage.DRAINED, self.lifecycle.stage)

    def test_not_accepted_after_all(self) -> None:
        """
        One that cannot be written was never accepted, and does not hold up the end of the drain.
        """
        self.serve()
        self.world.journal.hold = True
        ticket = self.world.ask(Verb.ON)
        self.drain()
        self.world.journal.hold = False
        self.world.journal.fail(JournalUnavailable("full"))
        self.failureResultOf(ticket, JournalUnavailable)
        self.world.turn(1)

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)

    def test_resumes(self) -> None:
        """
        It serves again when told so, whether it was drained by then or not.
        """
        for latency in (0, 3):
            self.begin()
            self.serve()
            self.slow(latency)
            self.world.turn(1)
            self.drain()
            self.lifecycle.resume("eve", COMMAND)
            self.assertIs(Stage.SERVING, self.lifecycle.stage)
            self.assertIsNone(self.lifecycle.drain)
            self.world.turn(5)
            self.assertIsInstance(self.world.want(Verb.OFF, "n3"), Asked)
            self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_busy_again(self) -> None:
        """
        Should anything be in play again after the drain was over, it is draining again.
        """
        self.serve()
        self.drain()
        self.world.registry.resume("behind its back")
        asked = self.slow(0)
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)
        self.world.turn(3)

        self.assertIsInstance(asked.outcome, Done)
        self.assertIs(Stage.DRAINED, self.lifecycle.stage)


class HoldTests(LifecycleCase):
    """
    Who wants it drained.
    """

    def test_repeated(self) -> None:
        """
        Saying it again changes nothing but the reason; since when stays true.
        """
        self.serve()
        self.drain()
        drain, told = self.lifecycle.drain, len(self.seen)
        self.world.turn(1)
        self.drain()
        self.assertEqual((drain, told), (self.lifecycle.drain, len(self.seen)))

        self.lifecycle.start_drain("another", "adam", COMMAND)
        assert drain is not None
        assert self.lifecycle.drain is not None
        self.assertEqual(("another", "adam"), (self.lifecycle.drain.reason, self.lifecycle.drain.by))
        self.assertEqual(drain.since, self.lifecycle.drain.since)
        self.assertIn("another (by adam)", self.refused())

    def test_each_takes_back_its_own(self) -> None:
        """
        A drain by a file is not taken back by a command, nor the other way round.
        """
        for one, other in ((COMMAND, FILE), (FILE, COMMAND)):
            self.begin()
            self.serve()
            self.drain(one)
            self.lifecycle.resume("eve", other)
            self.assertIs(Stage.DRAINED, self.lifecycle.stage)
            self.lifecycle.start_drain("another reason", "adam", other)
            self.assertIn("a reason (by eve)", self.refused())
            self.lifecycle.resume("eve", one)
            self.assertIs(Stage.DRAINED, self.lifecycle.stage)
            self.assertIn("another reason (by adam)", self.refused())
            assert self.lifecycle.drain is not None
            self.assertIs(other, self.lifecycle.drain.source)
            self.lifecycle.resume("eve", other)
            self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_stop(self) -> None:
        """
        A stop drains, says so, and cannot be taken back.
        """
        self.serve()
        self.slow()
        self.assertFalse(self.lifecycle.stop_requested)
        self.lifecycle.stop("SIGTERM")
        told = len(self.seen)
        self.lifecycle.stop("SIGTERM")
        self.assertEqual(told, len(self.seen))
        for source in Source:
            self.lifecycle.resume("eve", source)

        self.assertTrue(self.lifecycle.stop_requested)
        self.assertIs(Stage.DRAINING, self.lifecycle.stage)
        assert self.lifecycle.drain is not None
        self.assertIs(SIGNAL, self.lifecycle.drain.source)

    def test_a_drain_is_no_stop(self) -> None:
        """
        To be drained and to be about to end are told apart.
        """
        self.serve()
        self.drain()

        self.assertFalse(self.lifecycle.stop_requested)

    def test_forced(self) -> None:
        """
        The first who does not want to wait decides about the exit code.
        """
        self.serve()
        self.lifecycle.force("SIGINT", 130)
        self.lifecycle.force("a second SIGTERM", 143)

        self.assertEqual(Forced("SIGINT", 130), self.lifecycle.forced)
        self.assertTrue(self.lifecycle.stop_requested)

    def test_closing(self) -> None:
        """
        Once the doors close it is stopping, whatever is said.
        """
        self.serve()
        self.lifecycle.stop("SIGTERM")
        self.lifecycle.closing()
        self.lifecycle.resume("eve", SIGNAL)
        self.drain()

        self.assertIs(Stage.STOPPING, self.lifecycle.stage)
        self.assertEqual((), self.makers.running)


class RestartTests(LifecycleCase):
    """
    What a restart remembers.
    """

    def test_comes_up_draining(self) -> None:
        """
        A drain by command or file is there after a restart, as it was; one by a signal is not.
        """
        for source in (COMMAND, FILE):
            self.begin()
            self.serve()
            self.drain(source)
            drain = self.lifecycle.drain
            self.lifecycle.stop("SIGTERM")
            self.begin()
            self.assertIs(Stage.STARTING, self.lifecycle.stage)
            self.assertIn("a reason", self.refused())
            self.serve()
            self.assertIs(Stage.DRAINED, self.lifecycle.stage)
            self.assertEqual(drain, self.lifecycle.drain)
            self.assertEqual((), self.makers.running)
            self.lifecycle.resume("eve", source)
        self.lifecycle.stop("SIGTERM")
        self.begin()
        self.serve()

        self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_resumed_before_it_was_open(self) -> None:
        """
        A drain taken back while it starts, or during a stop, is forgotten.
        """
        self.drain()
        self.begin()
        self.lifecycle.resume("eve", COMMAND)
        self.assertIs(Stage.STARTING, self.lifecycle.stage)
        self.assertEqual((), self.makers.running)
        self.serve()
        self.assertIs(Stage.SERVING, self.lifecycle.stage)
        self.drain(FILE)
        self.lifecycle.stop("SIGTERM")
        self.lifecycle.resume("eve", FILE)
        self.assertIs(Stage.DRAINED, self.lifecycle.stage)
        self.begin()

        self.assertIsNone(self.lifecycle.drain)

    def test_stopped_before_it_looked(self) -> None:
        """
        A stop before it has looked at what was saved leaves that alone.
        """
        self.drain()
        record = DrainRecord(self.folder / "drain")
        Lifecycle(self.world.clock, self.now, World().registry, record, WorkMakers()).stop("SIGTERM")

        self.assertEqual([self.lifecycle.drain], record.load())

    def test_no_file_any_more(self) -> None:
        """
        A drain by a file that is not read any more could never be taken back, and is not restored.
        """
        self.drain(FILE)
        self.begin(drain_file=False)
        self.serve()

        self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_unreadable(self) -> None:
        """
        When it cannot tell, it comes up draining, says why, and a command resumes it for good.
        """
        (self.folder / "drain").write_text("{")
        self.begin()
        self.serve()
        assert self.lifecycle.drain is not None
        self.assertIs(Stage.DRAINED, self.lifecycle.stage)
        self.assertIn(str(self.folder / "drain"), self.lifecycle.drain.reason)
        self.lifecycle.resume("eve", COMMAND)
        self.begin()
        self.serve()

        self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_unwritable(self) -> None:
        """
        A drain that cannot be written holds all the same, and the log says what it will not do.
        """
        (self.folder / "drain.new").mkdir()
        self.serve()
        with capturedLogs() as logs:
            self.drain()

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)
        self.assertTrue(any("will not outlive" in event["log_format"] for event in logs))


class TimerTests(LifecycleCase):
    """
    What makes work by itself (see `WorkMakers`).
    """

    def test_none_while_draining(self) -> None:
        """
        An hour in a drain starts nothing.
        """
        self.serve()
        self.world.turn(2.5)
        self.assertEqual(2, len(self.ticks))
        self.drain()
        self.world.clock.pump([1] * 3600)

        self.assertEqual(2, len(self.ticks))
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_in_the_same_turn(self) -> None:
        """
        A timer that is due in the turn of the reactor in which a stop is asked for starts nothing.
        """
        self.world.clock.callLater(1, self.lifecycle.stop, "SIGTERM")
        self.serve()
        self.world.clock.advance(1)

        self.assertEqual([], self.ticks)

    def test_a_hundred_cycles(self) -> None:
        """
        After a hundred drains and resumes there are as many timers as before, and as many listeners.
        """
        self.serve()
        self.slow(30)
        self.world.clock.pump([0.01] * 5)
        before = len(self.world.clock.getDelayedCalls())
        for number in range(100):
            source = (COMMAND, FILE)[number % 2]
            self.drain(source)
            self.lifecycle.resume("eve", source)
        self.world.clock.advance(0)

        self.assertEqual(before, len(self.world.clock.getDelayedCalls()))
        self.ticks.clear()
        self.world.turn(3.05)
        self.assertEqual(3, len(self.ticks))


class WatchingTests(LifecycleCase):
    """
    `Lifecycle.watch`.
    """

    def test_every_change(self) -> None:
        """
        Who watches is told every stage, and when the number of actions changes.
        """
        self.serve()
        pending: list[int] = []
        self.lifecycle.watch(lambda: pending.append(self.lifecycle.pending))
        self.slow(1)
        self.slow(1, "n2")
        self.drain()
        self.world.turn(3)
        self.lifecycle.resume("eve", COMMAND)

        self.assertEqual([1, 2, 1, 0], [number for number, _ in groupby(pending)])
        self.assertEqual(
            [Stage.SERVING, Stage.DRAINING, Stage.DRAINED, Stage.SERVING],
            [stage for stage, _ in groupby(self.seen)],
        )

    def test_numbers(self) -> None:
        """
        Who watches is told how many actions there are, once for each number, to the last.
        """
        self.serve()
        pending: list[int] = []
        self.lifecycle.watch(lambda: pending.append(self.lifecycle.pending))
        self.slow(1)
        self.slow(1, "n2")
        self.world.turn(5)

        self.assertEqual([1, 2, 1, 0], pending)

    def test_no_longer(self) -> None:
        """
        Who does not watch any more is told nothing, be it in the middle of the telling.
        """
        told: list[int] = []
        self.lifecycle.watch(lambda: unwatch())  # noqa: PLW0108 - it is not there yet
        unwatch = self.lifecycle.watch(lambda: told.append(1))
        self.serve()

        self.assertEqual([], told)

    def test_one_that_fails(self) -> None:
        """
        One who raises keeps no other from being told.
        """
        told: list[int] = []

        def broken() -> None:
            raise ValueError("no")

        self.lifecycle.watch(broken)
        self.lifecycle.watch(lambda: told.append(1))
        self.serve()

        self.assertEqual([1], told)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
