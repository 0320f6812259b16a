# SPDX-License-Identifier: MIT
"""
BMCs that tell by themselves when power changes, and those that only seem to.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from powercoord.entries import Drifted
from powercoord.interfaces import IPowerHints
from powercoord.model import Done, How, PowerState, Target, Verb
from powercoord.registry import Sweeping
from powercoord.testing.driver import FakeDriver
from tests.registry.world import World, quick


@implementer(IPowerHints)
class Telling(FakeDriver):
    """
    Tells whoever watches a machine, whenever a test says so.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.watchers: list[tuple[Target, Callable[[], None]]] = []
        self.watched = 0

    def watch(self, target: Target, hint: Callable[[], None]) -> Callable[[], None]:
        """
        Remember who wants to know.
        """
        watcher = target, hint
        self.watchers.append(watcher)
        self.watched += 1
        return lambda: self.watchers.remove(watcher)

    def tell(self, name: str = "n1") -> None:
        """
        Say that a machine may have changed.
        """
        for target, hint in tuple(self.watchers):
            if target.selector == name:
                hint()


@implementer(IPowerHints)
class Mute(FakeDriver):
    """
    Says that it tells, and cannot.
    """

    def watch(self, target: Target, hint: Callable[[], None]) -> Callable[[], None]:
        """
        Fail.
        """
        raise LookupError(target.endpoint)


class HintsCase(SynchronousTestCase):
    def telling(self, make_driver: Callable[[Clock], FakeDriver] = Telling, count: int = 1) -> World:
        """
        Machines that are seldom looked at when nobody tells anything.
        """
        world = World(count, timing=quick(poll=5.0, poll_longest=20.0, soft=60.0), make_driver=make_driver)
        self.addCleanup(world.registry.stop, "the test is over")
        return world

    def driver(self, world: World) -> Telling:
        assert isinstance(world.driver, Telling)
        return world.driver


class ActionTests(HintsCase):
    def test_seen_at_once(self) -> None:
        """
        What a BMC tells is looked at when it is told, and not at the next poll.
        """
        world = self.telling()
        world.machine().latency = 2.0
        asked = world.want(Verb.ON)
        world.turn(2.5)
        self.assertEqual([], asked.outcomes)
        self.driver(world).tell()
        world.turn(0.1)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)

    def test_no_answer(self) -> None:
        """
        A BMC that tells too early costs a read; it is not believed.
        """
        world = self.telling()
        world.machine().latency = 6.0
        asked = world.want(Verb.ON)
        world.turn(1.0)
        reads = world.machine().reads
        self.driver(world).tell()
        world.turn(1.0)

        self.assertEqual(reads + 1, world.machine().reads)
        self.assertEqual([], asked.outcomes)
        world.turn(30.0, 0.1)
        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)

    def test_told_during_a_look(self) -> None:
        """
        What is told while it is being looked at is looked at once more.
        """
        world = self.telling()
        world.driver.round_trip = 1.0
        asked = world.want(Verb.ON)
        world.turn(2.5)
        world.machine().on = False
        self.driver(world).tell()
        world.turn(0.5)
        for _ in range(3):
            self.driver(world).tell()
        reads = world.machine().reads
        world.turn(1.9)

        self.assertEqual(reads + 1, world.machine().reads)
        self.assertEqual([], asked.outcomes)

    def test_nobody_watches_for_ever(self) -> None:
        """
        When an action is over nobody watches for it any more, however it ended.
        """
        world = self.telling()
        asked = world.want(Verb.ON)
        world.turn(10.0, 0.1)
        self.assertEqual(1, len(asked.outcomes))
        world.machine().obeys_soft = False
        world.want(Verb.SOFT_OFF)
        world.turn(2.0)
        self.assertEqual(1, len(self.driver(world).watchers))
        world.want(Verb.OFF)
        world.turn(20.0, 0.1)

        self.assertEqual([], self.driver(world).watchers)
        self.assertGreater(self.driver(world).watched, 2)

    def test_cannot_watch(self) -> None:
        """
        A driver that fails at watching polls like any other, and the log names it.
        """
        world = self.telling(Mute)
        asked = world.want(Verb.ON)
        world.turn(10.0, 0.1)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)
        self.assertGreater(len(self.flushLoggedErrors(LookupError)), 0)


class SweepTests(HintsCase):
    def swept(self, count: int = 1) -> World:
        """
        Machines that are read every hour, and were all read.
        """
        world = self.telling(count=count)
        world.registry.sweep.configure(Sweeping(interval=3_600.0))
        world.registry.sweep.start()
        world.pass_time(3_600.0)
        return world

    def test_drift(self) -> None:
        """
        Power that somebody else changed is known when the BMC tells, not at the next sweep.
        """
        world = self.swept()
        world.want(Verb.ON)
        world.pass_time(3_600.0 * 3)
        world.machine().on = False
        self.driver(world).tell()
        world.pass_time(1.0)

        self.assertIs(PowerState.OFF, world.registry.view("n1").observed.state)
        self.assertEqual(1, len(world.journal.of(Drifted)))

    def test_as_the_pace_allows(self) -> None:
        """
        A hypervisor that tells of all its guests at once does not have them all read at once.
        """
        world = self.swept(50)
        for name in world.names():
            self.driver(world).tell(name)
        before = world.registry.sweep.read
        world.pass_time(1.0)
        soon = world.registry.sweep.read - before
        world.pass_time(60.0)

        self.assertLess(soon, 20)
        self.assertEqual(50, world.registry.sweep.read - before)

    def test_who_is_gone(self) -> None:
        """
        Nodes that are not swept any more, and all of them after a stop, are not watched any more.
        """
        world = self.swept(3)
        self.assertEqual(3, len(self.driver(world).watchers))
        del world.roster.nodes["n2"]
        world.registry.sweep.start()
        self.assertEqual(["n1", "n3"], [target.selector for target, _ in self.driver(world).watchers])
        world.registry.sweep.stop()

        self.assertEqual([], self.driver(world).watchers)

    def test_not_swept(self) -> None:
        """
        Where nothing is read in the background, nobody is watched.
        """
        world = self.telling()
        world.registry.sweep.start()

        self.assertEqual([], self.driver(world).watchers)
