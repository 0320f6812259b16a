# SPDX-License-Identifier: MIT
"""
What systemd is told of a service.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from powercoord.entries import Ended, Entered, Observed
from powercoord.lifecycle.notify import BETWEEN_STATUS, LOOK, Notifier, Progress, status
from powercoord.model import Done, How, Observation, Phase, PowerState
from powercoord.stages import Drain, ILifecycle, Source, Stage

AT = datetime(2026, 11, 21, tzinfo=UTC)


@implementer(ILifecycle)
@define(eq=False, slots=False)
class ScriptedLifecycle:
    """
    A lifecycle that stands where a test puts it.
    """

    stage: Stage = Stage.STARTING
    drain: Drain | None = None
    stop_requested: bool = False
    pending: int = 0
    trouble: str | None = None
    listeners: list[Callable[[], None]] = field(factory=list)

    def start_drain(self, reason: str, by: str, source: Source) -> None:
        """
        Be draining.
        """
        self.put(stage=Stage.DRAINING, drain=Drain(since=AT, reason=reason, by=by, source=source))

    def resume(self, by: str, source: Source) -> None:
        """
        Be serving.
        """
        self.put(stage=Stage.SERVING, drain=None)

    def stop(self, by: str) -> None:
        """
        Be asked to stop.
        """
        self.stop_requested = True
        self.start_drain("it is stopping", by, Source.SIGNAL)

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """
        Tell a listener of each change.
        """
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def put(self, **values: object) -> None:
        """
        Change all of these at once, and tell.
        """
        for name, value in values.items():
            setattr(self, name, value)
        for listener in list(self.listeners):
            listener()


class NotifierCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[str] = []
        self.lifecycle = ScriptedLifecycle()
        self.progress = Progress()
        self.notifier = Notifier(
            self.clock,
            self.sent.append,
            self.lifecycle,
            lambda: self.progress.count,
            pid=lambda: 4711,
            monotonic=lambda: 1_234_567,
        )
        self.notifier.start()

    def words(self) -> list[str]:
        """
        Everything said but the status lines, and forget it.
        """
        lines = [line for message in self.sent for line in message.splitlines()]
        self.sent.clear()
        return [line for line in lines if not line.startswith("STATUS=")]

    def statuses(self) -> list[str]:
        """
        The status lines, and forget all.
        """
        lines = [line for message in self.sent for line in message.splitlines()]
        self.sent.clear()
        return [line.removeprefix("STATUS=") for line in lines if line.startswith("STATUS=")]

    def advance(self, seconds: float) -> None:
        """
        Let time pass in small steps.
        """
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def serve(self) -> None:
        """
        Have it serve, long enough for a status to be told at once.
        """
        self.lifecycle.put(stage=Stage.SERVING)
        self.advance(LOOK * 3)
        self.sent.clear()

    def work(self) -> None:
        """
        Have an action enter a phase.
        """
        self.progress.published(1, [Entered(AT, "n1", "a1", Phase.SENT, "off")])


class ReadyTests(NotifierCase):
    def test_lifecycle(self) -> None:
        """
        The scripted lifecycle is one.
        """
        self.assertTrue(verifyObject(ILifecycle, self.lifecycle))

    def test_not_while_starting(self) -> None:
        """
        Nothing but a status is told before the service serves.
        """
        self.assertEqual(["starting"], self.statuses())
        self.lifecycle.put(pending=3)
        self.advance(60)
        self.assertEqual([], self.words())

    def test_once(self) -> None:
        """
        READY and our process are told when the service begins to serve, and not again.
        """
        self.lifecycle.put(stage=Stage.SERVING)
        self.assertEqual(["READY=1", "MAINPID=4711"], self.words())
        self.lifecycle.start_drain("kernel update", "ann", Source.COMMAND)
        self.lifecycle.resume("ann", Source.COMMAND)
        self.advance(60)
        self.assertEqual([], self.words())

    def test_into_a_kept_drain(self) -> None:
        """
        A service that starts drained is ready: there is somebody to tell "resume" to.
        """
        self.lifecycle.start_drain("kernel update", "ann", Source.COMMAND)
        self.assertEqual(["READY=1", "MAINPID=4711"], self.words())

    def test_never_after_a_stop(self) -> None:
        """
        A service that is stopped while it starts never says that it is ready.
        """
        self.lifecycle.stop("SIGTERM")
        self.lifecycle.put(stage=Stage.DRAINED)
        self.lifecycle.put(stage=Stage.STOPPING)
        self.advance(60)
        self.assertEqual(["STOPPING=1"], self.words())


class StoppingTests(NotifierCase):
    def test_at_once(self) -> None:
        """
        STOPPING is told at the request, before anything has ended, and once.
        """
        self.serve()
        self.lifecycle.pending = 3
        self.lifecycle.stop("SIGTERM")
        self.assertEqual(["STOPPING=1\nSTATUS=stopping, 3 actions left (it is stopping)"], self.sent)
        self.sent.clear()
        self.lifecycle.put(stage=Stage.STOPPING)
        self.advance(60)
        self.assertEqual([], self.words())

    def test_no_drain_is_a_stop(self) -> None:
        """
        A drain that nobody called a stop is none for systemd either.
        """
        self.serve()
        self.lifecycle.start_drain("kernel update", "ann", Source.COMMAND)
        self.lifecycle.put(stage=Stage.DRAINED)
        self.advance(60)
        self.assertEqual([], self.words())

    def test_no_timers_are_left(self) -> None:
        """
        After its stop it follows nobody and waits for nothing.
        """
        self.serve()
        self.lifecycle.put(pending=1)
        self.lifecycle.put(pending=2)
        self.lifecycle.stop("SIGTERM")
        self.notifier.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.lifecycle.listeners)


class ExtendTests(NotifierCase):
    """
    ``EXTEND_TIMEOUT_USEC``.
    """

    def test_with_progress(self) -> None:
        """
        Time is asked for in a stop soon after an action entered a phase.
        """
        self.serve()
        self.lifecycle.stop("SIGTERM")
        self.sent.clear()
        self.work()
        self.advance(LOOK + 0.1)
        self.assertEqual(["EXTEND_TIMEOUT_USEC=30000000"], self.words())

    def test_not_blindly(self) -> None:
        """
        A stop in which nothing gets done asks for no time, however long it takes, nor for old progress.
        """
        self.serve()
        self.work()
        self.lifecycle.stop("SIGTERM")
        self.sent.clear()
        for pending in range(100):
            self.lifecycle.put(pending=pending)
            self.advance(1)
        self.assertEqual([], self.words())

    def test_each_time_needs_its_own(self) -> None:
        """
        One step forward is one plea for time.
        """
        self.serve()
        self.lifecycle.stop("SIGTERM")
        self.sent.clear()
        for _ in range(3):
            self.work()
            self.work()
            self.advance(LOOK * 10)
        self.assertEqual(["EXTEND_TIMEOUT_USEC=30000000"] * 3, self.words())

    def test_in_a_start(self) -> None:
        """
        The start may take longer, too, while something is done.
        """
        self.advance(LOOK * 3)
        self.assertEqual([], self.words())
        self.work()
        self.advance(LOOK * 3)
        self.assertEqual(["EXTEND_TIMEOUT_USEC=30000000"], self.words())

    def test_not_while_serving(self) -> None:
        """
        While it serves there is no limit, and no timer for it.
        """
        self.serve()
        self.work()
        self.advance(60)
        self.assertEqual([], self.words())
        self.assertEqual([], self.clock.getDelayedCalls())


class ProgressTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """
        A phase entered and an end are progress; a read, and being interrupted, are none.
        """
        progress = Progress()
        progress.published(
            4,
            [
                Entered(AT, "n1", "a1", Phase.SENT),
                Entered(AT, "n1", "a1", Phase.INTERRUPTED),
                Observed(AT, "n1", Observation(PowerState.ON)),
                Ended(AT, "n1", "a1", Done(How.COMMANDED, PowerState.ON)),
            ],
        )
        self.assertEqual(2, progress.count)


class ReloadTests(NotifierCase):
    def test_reload(self) -> None:
        """
        A reload is told with the time of its beginning, and its end as READY.
        """
        self.serve()
        self.notifier.reloading()
        self.assertEqual(["RELOADING=1", "MONOTONIC_USEC=1234567"], self.words())
        self.notifier.reloaded()
        self.assertEqual(["READY=1\nSTATUS=serving, 0 actions in play"], self.sent)

    def test_not_in_a_stop(self) -> None:
        """
        A reload during a stop, or a start, is none of systemd's business: READY would be a lie.
        """
        self.notifier.reloading()
        self.notifier.reloaded()
        self.assertEqual([], self.words())
        self.serve()
        self.lifecycle.stop("SIGTERM")
        self.sent.clear()
        self.notifier.reloading()
        self.notifier.reloaded()
        self.assertEqual([], self.words())


class StatusTests(NotifierCase):
    def test_texts(self) -> None:
        """
        The line says what the service does, with how much, and why.
        """
        told = []
        self.lifecycle.put(stage=Stage.SERVING, pending=12)
        told.append(status(self.lifecycle))
        self.lifecycle.put(pending=1, trouble="the journal: disk full")
        told.append(status(self.lifecycle))
        self.lifecycle.put(trouble=None, pending=3)
        self.lifecycle.start_drain("kernel\nupdate", "ann", Source.COMMAND)
        told.append(status(self.lifecycle))
        self.lifecycle.put(stage=Stage.DRAINED, pending=0)
        told.append(status(self.lifecycle))
        self.assertEqual(
            [
                "serving, 12 actions in play",
                "serving, 1 action in play; nothing new can be accepted: the journal: disk full",
                "draining, 3 actions left (kernel update)",
                "drained (kernel update)",
            ],
            told,
        )

    def test_cannot_say_more_than_a_status(self) -> None:
        """
        A reason with line ends in it makes no message of its own, and no long one.
        """
        self.serve()
        self.lifecycle.start_drain("x\nSTOPPING=1\n" + "y" * 5_000, "mallory", Source.COMMAND)
        self.assertEqual([], [word for word in self.words() if word.startswith("STOPPING")])
        self.assertLessEqual(len(status(self.lifecycle)), 300)

    def test_at_once_and_then_seldom(self) -> None:
        """
        The first change is told at once, many after it as one, and the last is never lost.
        """
        self.serve()
        for pending in range(1, 1_001):
            self.lifecycle.put(pending=pending)
        self.assertEqual(["serving, 1 action in play"], self.statuses())
        self.advance(BETWEEN_STATUS + 0.1)
        self.assertEqual(["serving, 1000 actions in play"], self.statuses())
        self.advance(60)
        self.assertEqual([], self.sent)

    def test_there_and_back(self) -> None:
        """
        What is again as it was told last is not told.
        """
        self.serve()
        self.lifecycle.put(pending=1)
        self.sent.clear()
        self.lifecycle.put(pending=2)
        self.lifecycle.put(pending=1)
        self.advance(60)
        self.assertEqual([], self.sent)
