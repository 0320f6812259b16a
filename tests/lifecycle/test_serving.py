# SPDX-License-Identifier: MIT
"""
The order in which a coordinator starts and stops, and how it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from powercoord.durable import Recovered
from powercoord.entries import Entered
from powercoord.errors import Draining, JournalUnavailable
from powercoord.interfaces import IDoor
from powercoord.lifecycle.course import BEYOND_GRACE, AtDeadline, Companion, StopPlan
from powercoord.lifecycle.lifecycle import Lifecycle
from powercoord.lifecycle.makers import WorkMakers
from powercoord.lifecycle.record import DrainRecord
from powercoord.lifecycle.serving import Coordinator
from powercoord.model import Cancelled, Done, Interrupted, Phase, Policy, Verb
from powercoord.stages import Source, Stage
from powercoord.testing.driver import FakeDriver, Fault
from tests.registry.world import Asked, ListJournal, World, quick

STOP = [
    "refuse",
    "announce",
    "stop accepting at agent",
    "stop accepting at amp",
    "answered",
    "close amp",
    "close agent",
    "close driver",
    "close journal",
    "stop another",
    "stop companion",
    "ended 0",
]


@define(eq=False)
class Events:
    """
    What happened, in order; and what is to go wrong.
    """

    list: list[str] = field(factory=list)
    broken: set[str] = field(factory=set)
    stuck: set[str] = field(factory=set)

    def note(self, event: str) -> None:
        """
        It happens now, or goes wrong.
        """
        self.list.append(event)
        if event in self.broken:
            raise OSError(f"{event} went wrong")

    async def take(self, event: str) -> None:
        """
        The same for what may take time.
        """
        self.note(event)
        if event in self.stuck:
            await Deferred()


@implementer(IDoor)
@define(eq=False)
class NotingDoor:
    """
    A door that notes what is done to it.
    """

    events: Events
    name: str

    async def open(self) -> None:
        """
        Note it.
        """
        await self.events.take(f"open {self.name}")

    async def stop_accepting(self) -> None:
        """
        Note it.
        """
        await self.events.take(f"stop accepting at {self.name}")

    async def close(self) -> None:
        """
        Note it.
        """
        await self.events.take(f"close {self.name}")


@define(eq=False)
class NotingDriver(FakeDriver):
    """
    A driver that notes its end.
    """

    events: Events = field(factory=Events)

    async def close(self) -> None:
        """
        Note it.
        """
        await self.events.take("close driver")


@define(eq=False)
class NotingJournal(ListJournal):
    """
    The journal as the coordinator sees it: it opens as the test says, and notes its end.
    """

    events: Events = field(factory=Events)
    opening: Callable[[], Deferred[Recovered]] = lambda: succeed(Recovered())

    def open(self) -> Deferred[Recovered]:
        """
        Open as the test says.
        """
        self.events.list.append("open journal")
        return self.opening()

    def close(self) -> Deferred[None]:
        """
        Note it.
        """
        return Deferred.fromCoroutine(self.events.take("close journal"))


class CoordinatorCase(SynchronousTestCase):
    """
    A coordinator with two doors over a fake fleet.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.make()

    def make(self, *, fault: Any = None, count: int = 3, **plan: Any) -> None:
        """
        Make it anew.
        """
        self.events = Events()
        journal = NotingJournal(events=self.events)
        if fault is not None:
            journal.opening = fault
        driver: list[NotingDriver] = []

        def make_driver(clock: Any) -> FakeDriver:
            driver.append(NotingDriver(clock, events=self.events))
            return driver[0]

        self.world = World(count, timing=quick(), make_driver=make_driver)
        self.makers = WorkMakers()
        self.makers.add("a maker", lambda: None, lambda: self.events.note("refuse"))
        self.lifecycle = Lifecycle(
            self.world.clock,
            lambda: datetime(2026, 1, 1, tzinfo=UTC),
            self.world.registry,
            DrainRecord(self.folder / "drain"),
            self.makers,
        )
        self.lifecycle.watch(self.announce)
        self.told: list[str] = []
        self.coordinator = Coordinator(
            self.world.clock,
            self.lifecycle,
            self.world.registry,
            [NotingDoor(self.events, "agent"), NotingDoor(self.events, "amp")],
            driver,
            journal,
            StopPlan(**plan),
            lambda code: self.events.list.append(f"ended {code}"),
            self.told.append,
            companions=[
                Companion(name, partial(self.events.note, name), partial(self.events.note, f"stop {name}"))
                for name in ("companion", "another")
            ],
        )

    def announce(self) -> None:
        """
        Tell the world of a stop, once.
        """
        if self.lifecycle.stop_requested and "announce" not in self.events.list:
            self.events.note("announce")

    def start(self) -> None:
        """
        Start it; it serves.
        """
        self.coordinator.startService()
        self.successResultOf(self.coordinator.ready)
        self.events.list.clear()

    def slow(self, latency: float = 3, name: str = "n1") -> Asked:
        """
        An action that takes so long, and notes its answer.
        """
        self.world.machine(name).latency = latency
        asked = self.world.want(Verb.ON, name)
        asked.ticket.wait().addCallback(lambda _: self.events.list.append("answered"))
        self.world.turn(0.1)
        return asked

    def events_after(self, seconds: float) -> list[str]:
        """
        What has happened when so much time has passed.
        """
        self.world.turn(seconds)
        return self.events.list


class StartTests(CoordinatorCase):
    """
    How it starts.
    """

    def test_order(self) -> None:
        """
        The journal first, then the doors in their order, and only then it serves.
        """
        waiting: Deferred[Recovered] = Deferred()
        self.make(fault=lambda: waiting)
        self.coordinator.startService()
        self.assertEqual(["companion", "another", "open journal"], self.events.list)
        self.assertIs(Stage.STARTING, self.lifecycle.stage)
        waiting.callback(Recovered())
        self.successResultOf(self.coordinator.ready)

        self.assertEqual(["open journal", "open agent", "open amp"], self.events.list[2:])
        self.assertIs(Stage.SERVING, self.lifecycle.stage)

    def test_notes(self) -> None:
        """
        What an operator should know of how the journal was found is a warning each.
        """
        self.make(fault=lambda: succeed(Recovered(notes=("set aside", "too long"))))
        with capturedLogs() as logs:
            self.coordinator.startService()

        self.assertEqual(
            ["set aside", "too long"], [event["note"] for event in logs if event["log_level"].name == "warn"]
        )

    def test_without_a_journal(self) -> None:
        """
        Without its journal it serves nobody: it says why, and ends with 69.
        """
        self.make(fault=lambda: fail(JournalUnavailable("another process has it")))
        self.coordinator.startService()
        self.world.turn(0.1)

        self.assertEqual(["cannot use the journal: another process has it"], self.told)
        self.assertEqual("ended 69", self.events.list[-1])
        self.assertNotIn("open amp", self.events.list)

    def test_a_door_that_does_not_open(self) -> None:
        """
        Without a door it serves nobody: it says which and why, stops in order and ends with 69.
        """
        self.events.broken.add("open amp")
        self.coordinator.startService()
        self.world.turn(0.1)

        self.assertEqual(["cannot open amp: open amp went wrong"], self.told)
        self.assertEqual(["stop another", "stop companion", "ended 69"], self.events.list[-3:])
        self.assertNoResult(self.coordinator.ready)

    def test_a_fault(self) -> None:
        """
        Nor does it go on without a door after a fault of ours.
        """
        self.make(fault=lambda: fail(ZeroDivisionError("oops")))
        self.coordinator.startService()
        self.world.turn(0.1)

        self.assertEqual(["fault while starting: oops"], self.told)
        self.assertEqual("ended 69", self.events.list[-1])
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_a_stop_while_starting(self) -> None:
        """
        A stop while the journal is read is obeyed: no door is opened any more.
        """
        waiting: Deferred[Recovered] = Deferred()
        self.make(fault=lambda: waiting)
        self.coordinator.startService()
        self.lifecycle.stop("SIGTERM")
        self.world.turn(0.3)
        self.assertNotIn("close journal", self.events.list)
        with capturedLogs() as logs:
            waiting.callback(Recovered(notes=("of no use any more",)))
        self.world.turn(0.1)

        self.assertFalse(any("note" in event for event in logs))
        self.assertNotIn("open amp", self.events.list)
        self.assertEqual("ended 0", self.events.list[-1])

    def test_drained_before(self) -> None:
        """
        One that was drained comes up with open doors, and refuses changes.
        """
        self.start()
        self.lifecycle.start_drain("new PDU", "eve", Source.COMMAND)
        self.lifecycle.stop("SIGTERM")
        self.make()
        self.start()

        self.assertIs(Stage.DRAINED, self.lifecycle.stage)
        self.failureResultOf(self.world.ask(Verb.ON), Draining)


class StopTests(CoordinatorCase):
    """
    How it stops.
    """

    def test_order(self) -> None:
        """
        Refuse and announce, stay, close listeners, wait for actions, close doors, drivers, journal; exit.
        """
        self.make(lameduck=2.0)
        self.start()
        self.slow(4)
        self.lifecycle.stop("SIGTERM")
        self.failureResultOf(self.world.ask(Verb.ON, "n2"), Draining)
        self.assertEqual(STOP[:2], self.events_after(1.8))
        self.assertEqual(STOP[:4], self.events_after(0.5))
        self.assertEqual(STOP, self.events_after(5))
        self.assertEqual([], self.world.clock.getDelayedCalls())
        self.assertIs(Stage.STOPPING, self.lifecycle.stage)

    def test_each_step_fails(self) -> None:
        """
        Whichever step fails, all others have their turn, and the exit code is of the actions.
        """
        for event in STOP[:-1]:
            if event == "answered":
                continue
            self.make()
            self.start()
            self.slow()
            self.events.broken.add(event)
            self.lifecycle.stop("SIGTERM")
            self.world.turn(5)
            once = list(dict.fromkeys(self.events.list))  # a maker that cannot be stopped is tried again
            self.assertEqual(STOP, once, event)
            self.assertLessEqual(1, len(self.flushLoggedErrors(OSError)), event)

    def test_each_step_is_stuck(self) -> None:
        """
        Whichever step never ends, all others have their turn, within seconds.
        """
        for event in (*STOP[2:4], *STOP[5:9]):
            self.make()
            self.start()
            self.events.stuck.add(event)
            self.lifecycle.stop("SIGTERM")
            expected = [each for each in STOP if each != "answered"]
            self.assertEqual(expected, self.events_after(5), event)

    def test_all_stuck(self) -> None:
        """
        With everything stuck that can be, it ends ten seconds after the grace, and its journal had its turn.
        """
        self.make(grace=1)
        self.start()
        self.world.machine().faults.append(Fault.DEAF)
        self.world.want(Verb.ON)
        self.world.turn(0.1)
        self.events.stuck.update(STOP[2:4], STOP[5:9])
        self.lifecycle.stop("SIGTERM")
        self.world.turn(1 + BEYOND_GRACE)

        self.assertEqual(["stop another", "stop companion", "ended 75"], self.events.list[-3:])

    def test_idle(self) -> None:
        """
        With nothing to do it ends at once.
        """
        self.start()
        self.lifecycle.stop("SIGTERM")
        self.world.turn(0.01)

        self.assertEqual("ended 0", self.events.list[-1])
        self.assertEqual([], self.told)

    def test_in_parallel(self) -> None:
        """
        Twenty actions of two seconds are waited for two seconds.
        """
        self.make(count=20)
        self.start()
        for name in self.world.names():
            self.world.machine(name).latency = 2
            self.world.want(Verb.ON, name)
        self.world.turn(0.5)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(1.4)
        self.assertNotIn("close amp", self.events.list)
        self.world.turn(1)

        self.assertEqual("ended 0", self.events.list[-1])

    def test_deadline(self) -> None:
        """
        What is left at the end of the grace is interrupted: its waiters hear so, and the code is 75.
        """
        self.make(grace=2)
        self.start()
        asked = self.slow(20)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(3)

        self.assertIsInstance(asked.outcome, Interrupted)
        self.assertEqual("ended 75", self.events.list[-1])
        self.assertLess(self.events.list.index("answered"), self.events.list.index("close amp"))
        self.assertEqual(
            ["stopped at the deadline of 2 s: 1 action interrupted"],
            self.told,
        )

    def test_cancelled_at_the_deadline(self) -> None:
        """
        When the configuration says so it is cancelled instead.
        """
        self.make(grace=2, at_deadline=AtDeadline.CANCEL)
        self.start()
        asked, waiting = self.slow(20), self.world.want(Verb.OFF, "n1", policy=Policy.QUEUE)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(4)

        self.assertIsInstance(asked.outcome, Cancelled)
        self.assertIsInstance(waiting.outcome, Interrupted)
        self.assertEqual("ended 75", self.events.list[-1])
        line = "stopped at the deadline of 2 s: 1 action cancelled, 1 action put off until the next start"
        self.assertEqual([line], self.told)

    def test_put_off(self) -> None:
        """
        What has not begun when the stop is asked for is left to the next start, and that is no failure.
        """
        self.start()
        asked, waiting = self.slow(1), self.world.want(Verb.OFF, "n1", policy=Policy.QUEUE)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(0.1)
        self.assertIsInstance(waiting.outcome, Interrupted)
        self.world.turn(3)

        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual("ended 0", self.events.list[-1])
        self.assertEqual(["on"], self.world.commands())

    def test_what_follows(self) -> None:
        """
        The second half of a cycle is part of what has begun, and so is the force after a soft stop.
        """
        for verb, commands, on in (
            (Verb.CYCLE, ["off", "on"], True),
            (Verb.SOFT_OFF, ["soft", "off"], False),
        ):
            self.make()
            self.start()
            machine = self.world.machine()
            machine.on, machine.obeys_soft, machine.latency = True, False, 0.5
            asked = self.world.want(verb)
            self.world.turn(0.2)
            self.assertEqual(commands[:1], self.world.commands())
            self.lifecycle.stop("SIGTERM")
            self.world.turn(30)
            self.assertIsInstance(asked.outcome, Done)
            self.assertEqual(commands, self.world.commands())
            self.assertEqual((on, "ended 0"), (machine.on, self.events.list[-1]))

    def test_not_put_off(self) -> None:
        """
        Where another coordinator would do it meanwhile, what has not begun has the grace, too.
        """
        self.make(put_off=False)
        self.start()
        asked, waiting = self.slow(1), self.world.want(Verb.OFF, "n1", policy=Policy.QUEUE)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(5)

        self.assertEqual([Done, Done], [type(asked.outcome), type(waiting.outcome)])
        self.assertEqual("ended 0", self.events.list[-1])
        self.assertEqual(["on", "off"], self.world.commands())

    def test_waits_for_ever(self) -> None:
        """
        Or there is no deadline.
        """
        for plan in ({"grace": 2, "at_deadline": AtDeadline.WAIT}, {"grace": inf}):
            self.make(**plan)
            self.start()
            asked = self.slow(20)
            self.lifecycle.stop("SIGTERM")
            self.world.turn(25)
            self.assertIsInstance(asked.outcome, Done)
            self.assertEqual("ended 0", self.events.list[-1])

    def test_no_grace(self) -> None:
        """
        A grace of 0 does not wait.
        """
        self.make(grace=0)
        self.start()
        asked = self.slow(20)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(0.5)

        self.assertIsInstance(asked.outcome, Interrupted)
        self.assertEqual("ended 75", self.events.list[-1])

    def test_forced(self) -> None:
        """
        Who does not want to wait gets an end within a second, whatever was being waited for.
        """
        for lameduck, pause in ((5, 1), (0, 1), (0, 0)):
            self.make(lameduck=lameduck)
            self.start()
            asked = self.slow(20)
            if pause:
                self.lifecycle.stop("SIGTERM")
            self.world.turn(pause)
            self.lifecycle.force("a second SIGTERM", 143)
            self.world.turn(1)

            self.assertIsInstance(asked.outcome, Interrupted)
            self.assertEqual("ended 143", self.events.list[-1])
            self.assertIn("stopped by a second SIGTERM: 1 action interrupted", self.told[0])

    def test_forced_is_no_cancel(self) -> None:
        """
        What is cut by an impatient end is interrupted, whatever becomes of it at a deadline.
        """
        self.make(at_deadline=AtDeadline.CANCEL)
        self.start()
        asked = self.slow(20)
        self.lifecycle.force("SIGINT", 130)
        self.world.turn(1)

        self.assertIsInstance(asked.outcome, Interrupted)
        self.assertEqual(["stopped by SIGINT: 1 action interrupted"], self.told)

    def test_forced_with_a_deaf_bmc(self) -> None:
        """
        Nor does a driver that hangs keep it, nor doors, drivers and all, with the journal closed last.
        """
        self.start()
        self.world.machine().faults.append(Fault.DEAF)
        self.world.want(Verb.ON)
        self.world.turn(0.1)
        self.events.stuck.update({"close amp", "close driver", "stop accepting at amp"})
        self.lifecycle.force("SIGINT", 130)
        self.world.turn(1)

        self.assertEqual(["stop another", "stop companion", "ended 130"], self.events.list[-3:])

    def test_service(self) -> None:
        """
        Stopped as a service it does the same; a second stop waits for the first, and one that is over.
        """
        self.start()
        self.slow()
        stopped = [self.coordinator.stopService(), self.coordinator.stopService()]
        self.assertNoResult(stopped[0])
        self.world.turn(5)
        for each in (*stopped, self.coordinator.stopService()):
            self.successResultOf(each)

        self.assertEqual(1, self.events.list.count("ended 0"))

    def test_what_is_written(self) -> None:
        """
        An interrupted action is written as such, before the journal is closed.
        """
        self.make(grace=1)
        self.start()
        self.slow(20)
        self.lifecycle.stop("SIGTERM")
        self.world.turn(2)

        entered = [entry.phase for entry in self.world.journal.of(Entered)]
        self.assertIn(Phase.INTERRUPTED, entered)
