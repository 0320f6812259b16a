# SPDX-License-Identifier: MIT
"""
Reads in the background: who is read when, and who never has to wait for them.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Recovered, Seen
from powercoord.entries import Drifted
from powercoord.errors import OperationCancelled
from powercoord.interfaces import Capabilities, IOperation
from powercoord.model import Command, Done, Limit, PowerState, Target, Timing, Verb
from powercoord.parking import ParkingRules
from powercoord.registry import Sweeping
from powercoord.testing.driver import FakeDriver, FakeSettings, Fault
from tests.registry.world import World, quick
from tests.unmeasured import unmeasured

FIVE_MINUTES = Sweeping(interval=300.0)


class NotedDriver(FakeDriver):
    """
    Notes when it read which machine.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.noted: list[tuple[float, str]] = []

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        As any, and noted.
        """
        settings = target.settings
        assert isinstance(settings, FakeSettings)
        self.noted.append((self.clock.seconds(), settings.outlet))
        return await super().read(target, operation)


class SlowlyQuiet(FakeDriver):
    """
    Its first read gets no answer, and needs a second to become quiet.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        The first waits to be cancelled.
        """
        if self._machine(target).reads:
            return await super().read(target, operation)
        self._machine(target).reads += 1
        cancelled: Deferred[None] = Deferred()
        operation.when_cancelled(lambda: cancelled.callback(None))
        await cancelled
        await self._wait(1.0, operation)
        raise OperationCancelled


class SweepCase(SynchronousTestCase):
    def sweep(self, count: int, settings: Sweeping = FIVE_MINUTES, **options: object) -> World:
        """
        A world that is being swept.
        """
        world = World(count, timing=quick(), make_driver=NotedDriver, **options)  # type: ignore[arg-type]
        # How endpoints are parked has tests of its own.
        world.registry.breakers.rules = ParkingRules(after=1_000_000)
        world.registry.sweep.configure(settings)
        world.registry.sweep.start()
        # What waits in a queue must not be found there by the garbage collector.
        self.addCleanup(world.registry.stop, "the test is over")
        return world

    def noted(self, world: World) -> list[tuple[float, str]]:
        """
        What was read since this was asked the last time.
        """
        assert isinstance(world.driver, NotedDriver)
        noted, world.driver.noted = world.driver.noted, []
        return noted

    def assertNothingLeft(self, world: World) -> None:
        self.assertEqual([], world.clock.getDelayedCalls())


class OrderTests(SweepCase):
    def test_stalest_first(self) -> None:
        """
        Nodes never seen come first, then those seen longest ago, one after the other.
        """
        world = World(4, make_driver=NotedDriver)
        ages = {"n1": 400, "n2": 900, "n4": 300}
        seen = {name: Seen(world.now() - timedelta(seconds=age), PowerState.ON) for name, age in ages.items()}
        world.registry.recover(Recovered(seen=seen))
        world.registry.sweep.configure(FIVE_MINUTES)
        world.registry.sweep.start()
        world.pass_time(10)

        noted = [(round(at), name) for at, name in self.noted(world)]
        self.assertEqual([(0, "n3"), (1, "n2"), (2, "n1"), (3, "n4")], noted)

    def test_within_the_interval(self) -> None:
        """
        Each node is read again before what is known of it is as old as the interval, and not much before.
        """
        world = self.sweep(3)
        world.pass_time(10)
        self.noted(world)
        world.pass_time(250)

        self.assertEqual(["n1", "n2", "n3"], [name for _, name in self.noted(world)])
        self.assertLess(world.registry.sweep.oldest(), 20)

    def test_callers_save_reads(self) -> None:
        """
        Of a node that callers read there is no need to read it, too.
        """
        world = self.sweep(2)
        world.pass_time(10)
        for _ in range(20):
            world.registry.query("n1")
            world.pass_time(100)

        self.assertEqual(1 + 20, world.machine("n1").reads)
        self.assertEqual(1 + 8, world.machine("n2").reads)

    def test_after_an_action(self) -> None:
        """
        A node whose action is over is read soon, and ever less often as it stays what it is.
        """
        world = self.sweep(1)
        world.pass_time(10)
        world.want(Verb.ON)
        world.pass_time(5)
        self.noted(world)
        world.pass_time(1200)

        times = [round(at) for at, _ in self.noted(world)]
        pauses = [after - before for before, after in zip([10, *times], times, strict=False)]
        self.assertEqual([12, 24, 48, 96, 192, 240, 240, 240], pauses)

    def test_after_an_action_that_changed_nothing(self) -> None:
        """
        Also what was as wanted before is looked at soon after the action.
        """
        world = self.sweep(1)
        world.pass_time(10)
        asked = world.want(Verb.OFF)
        world.pass_time(10)
        self.assertIsInstance(asked.outcome, Done)
        self.noted(world)
        world.pass_time(50)

        self.assertEqual([22, 46], [round(at) for at, _ in self.noted(world)])

    def test_after_a_change(self) -> None:
        """
        A node that somebody turned off is watched for a while.
        """
        world = self.sweep(1)
        world.machine().on = True
        world.pass_time(10)
        world.machine().on = False
        world.pass_time(235)
        self.noted(world)
        world.pass_time(100)

        self.assertEqual([252, 276, 324], [round(at) for at, _ in self.noted(world)])

    def test_fails(self) -> None:
        """
        A node that does not answer is read ever more rarely, and as others again when it does.
        """
        world = self.sweep(1)
        world.machine().read_faults = [Fault.LOST_REQUEST] * 4
        world.pass_time(5000)

        times = [round(at) for at, _ in self.noted(world)]
        self.assertEqual([0, 482, 1444, 2406, 3368, 3608], times[:6])
        self.assertEqual(PowerState.OFF, world.registry.view("n1").observed.state)

    def test_refuses(self) -> None:
        """
        A BMC that refuses us is asked once, and then not before its endpoint is tried again: accounts lock.
        """
        world = self.sweep(1)
        world.machine().read_faults = [Fault.WRONG_PASSWORD] * 100
        world.pass_time(4 * 3600)

        self.assertEqual(1, world.machine().reads)
        self.assertEqual(PowerState.ERROR, world.registry.view("n1").observed.state)


class EvenTests(SweepCase):
    @unmeasured
    def test_ten_thousand(self) -> None:
        """
        At a start, in quiet times, after an hour's pause and after all addresses changed: never a burst.

        In no second are there more than twice as many reads as on average, nor are any two of a node more
        than the interval apart.
        """
        count = 10_000
        random = Random(7)
        world = self.sweep(count, jitter=lambda pause: pause * random.uniform(0.8, 1.2))
        sweep = world.registry.sweep

        def check(seconds: int) -> None:
            noted = [(at, name) for at, name in self.noted(world)]
            per_second = Counter(int(at) for at, _ in noted)
            self.assertLessEqual(max(per_second.values()), 2 * len(noted) / seconds)
            self.assertEqual(count, len({name for _, name in noted}))

        world.pass_time(300)
        check(300)
        world.pass_time(300)
        check(300)
        self.assertLess(sweep.oldest(), 300)
        sweep.pause()
        world.pass_time(3600)
        sweep.start()
        world.pass_time(300)
        check(300)
        self.move(world)
        sweep.configure(FIVE_MINUTES)
        world.pass_time(300)
        check(300)
        sweep.pause()
        self.assertNothingLeft(world)

    def move(self, world: World) -> None:
        """
        Give every node another address.
        """
        for name, node in world.roster.nodes.items():
            settings = FakeSettings(address=f"new-{name}", outlet=name)
            world.roster.nodes[name] = evolve(node, target=world.driver.target(settings))

    @unmeasured
    def test_many_changes(self) -> None:
        """
        A thousand nodes that change at once are not a thousand reads at once a little later.
        """
        world = self.sweep(1000)
        world.pass_time(300)
        for name in world.names():
            world.machine(name).on = True
        self.noted(world)
        world.pass_time(900)

        per_second = Counter(int(at) for at, _ in self.noted(world))
        self.assertLessEqual(max(per_second.values()), 11)

    def test_the_dead_hold_up_nobody(self) -> None:
        """
        A tenth of a fleet is dead, and nobody else is read less often for that.
        """
        world = self.sweep(1000, Sweeping(interval=300.0, concurrency=2))
        world.driver.timeout = 20.0
        for number in range(1, 1001, 10):
            world.machine(f"n{number}").read_faults = [Fault.LOST_REQUEST] * 100
        world.pass_time(300)
        self.assertEqual(1000, len({name for _, name in self.noted(world)}))
        world.pass_time(300)

        living = {name for name in world.names() if not world.machine(name).read_faults}
        self.assertEqual(900, len(living))
        self.assertLessEqual(living, {name for _, name in self.noted(world)})


class SkipTests(SweepCase):
    def test_busy(self) -> None:
        """
        A node with an action in play or waiting is left to that, and read soon after it.
        """
        world = self.sweep(2, Sweeping(interval=20.0), fleet=Limit(max_starting=1))
        world.pass_time(10)
        world.machine("n1").latency = 25.0
        world.want(Verb.ON, "n1")
        waiting = world.want(Verb.ON, "n2")
        world.pass_time(1)
        self.noted(world)
        world.pass_time(20)
        self.assertEqual([], [at for at, name in self.noted(world) if name == "n2"])
        self.assertEqual(1, world.registry.sweep.skipped["busy"])

        world.pass_time(60)
        self.assertIsInstance(waiting.outcome, Done)
        self.assertGreater(world.machine("n2").reads, 2)

    def test_resting(self) -> None:
        """
        A node that is to be left alone is, until that is over.
        """
        world = self.sweep(2)
        world.registry.sweep.resting = lambda node: 100.0 if node.name == "n1" else None
        world.pass_time(50)
        self.assertEqual(["n2"], [name for _, name in self.noted(world)])
        self.assertEqual({"resting": 1}, dict(world.registry.sweep.skipped))

        world.registry.sweep.resting = lambda _: None
        world.pass_time(51)
        self.assertEqual([(100, "n1")], self.noted(world))

    def test_unreadable(self) -> None:
        """
        A driver that cannot read is not asked to, and there is no timer for that.
        """

        def blind(clock: Clock) -> FakeDriver:
            driver = NotedDriver(clock)
            driver.capabilities = Capabilities(frozenset(Command), queryable=False)
            return driver

        world = World(2, make_driver=blind)
        world.registry.sweep.configure(FIVE_MINUTES)
        world.registry.sweep.start()

        self.assertNothingLeft(world)

    def test_unknown_driver(self) -> None:
        """
        A node without a driver is not read.
        """
        world = World(1)
        node = world.roster.nodes["n1"]
        world.roster.nodes["n1"] = evolve(node, target=evolve(node.target, driver="gone"))
        world.registry.sweep.configure(FIVE_MINUTES)
        world.registry.sweep.start()

        self.assertNothingLeft(world)


class WayTests(SweepCase):
    """
    Who never waits for the sweep.
    """

    def crowded(self) -> World:
        """
        Five nodes of one slow endpoint: one is being read, and four wait.
        """
        world = self.sweep(5, shared_endpoint=True)
        world.driver.round_trip = 10.0
        world.driver.timeout = 60.0
        world.pass_time(5)
        self.assertEqual(["n1"], [name for _, name in self.noted(world)])
        return world

    def test_query(self) -> None:
        """
        A caller's query goes ahead of all reads in the background, also of one of the same node.
        """
        world = self.crowded()
        asked = world.registry.query("n4")
        world.pass_time(15.1)

        self.assertEqual(["n4", "n2"], [name for _, name in self.noted(world)])
        self.assertEqual(PowerState.OFF, self.successResultOf(asked).state)

    def test_query_joins(self) -> None:
        """
        A caller's query of the node that is being read is answered by that read.
        """
        world = self.crowded()
        asked = world.registry.query("n1")
        world.pass_time(5.1)

        self.assertEqual(PowerState.OFF, self.successResultOf(asked).state)
        self.assertEqual(1, world.machine("n1").reads)

    def test_action(self) -> None:
        """
        An action goes ahead, and the read of its own node leaves the queue.
        """
        world = self.crowded()
        world.want(Verb.ON, "n2")
        world.pass_time(5.1)
        self.assertEqual(["n2"], [name for _, name in self.noted(world)])
        world.pass_time(50)

        # Its second look is the action's own; in between the others have their turn.
        self.assertEqual(["n3", "n4", "n2", "n5"], [name for _, name in self.noted(world)])
        self.assertLessEqual(max(world.driver.busiest.values()), 1)


class PauseTests(SweepCase):
    def test_not_started(self) -> None:
        """
        Before the start there is neither a read nor a timer.
        """
        world = World(3)
        world.registry.sweep.configure(FIVE_MINUTES)
        world.pass_time(1000)

        self.assertEqual(0, world.machine().reads)
        self.assertNothingLeft(world)

    def test_pause(self) -> None:
        """
        A pause leaves nothing: no timer, no read on the wire and none in a queue; and the start goes on.
        """
        world = self.sweep(3, shared_endpoint=True)
        world.driver.round_trip = 2.5
        world.pass_time(2)
        world.registry.sweep.pause()
        self.assertNothingLeft(world)
        world.pass_time(1000)
        self.assertEqual(["n1"], [name for _, name in self.noted(world)])

        world.registry.sweep.start()
        world.pass_time(100)
        self.assertEqual({"n1", "n2", "n3"}, {name for _, name in self.noted(world)})
        self.assertEqual(1, len(world.clock.getDelayedCalls()))
        world.registry.sweep.pause()
        self.assertNothingLeft(world)

    def test_again_and_again(self) -> None:
        """
        However often it is started and paused, it runs once.
        """
        world = self.sweep(3)
        for _ in range(10):
            world.registry.sweep.pause()
            world.registry.sweep.pause()
            world.registry.sweep.start()
            world.registry.sweep.start()
        self.assertEqual(1, len(world.clock.getDelayedCalls()))
        world.pass_time(1000)

        self.assertEqual([5, 5, 5], [world.machine(name).reads for name in world.names()])

    def test_asked_meanwhile(self) -> None:
        """
        Who asked for the node hears what it is, also if the sweep is paused before the answer.
        """
        world = self.sweep(1)
        world.driver.round_trip = 1.0
        world.pass_time(0.5)
        asked = world.registry.query("n1")
        world.registry.sweep.pause()
        world.pass_time(3)

        self.assertEqual(PowerState.OFF, self.successResultOf(asked).state)
        self.assertEqual(1, world.machine().reads)

    def test_asked_while_it_is_withdrawn(self) -> None:
        """
        Who asks while a read is being withdrawn gets one of their own.
        """
        world = World(1, make_driver=SlowlyQuiet)
        world.registry.sweep.configure(FIVE_MINUTES)
        world.registry.sweep.start()
        world.pass_time(0.5)
        world.registry.sweep.pause()
        asked = world.registry.query("n1")
        world.pass_time(0.5)
        self.assertNoResult(asked)
        world.pass_time(2)

        self.assertEqual(PowerState.OFF, self.successResultOf(asked).state)

    def test_stopped(self) -> None:
        """
        After a stop nothing is left, and nothing begins again.
        """
        world = self.sweep(3)
        world.driver.round_trip = 2.5
        world.pass_time(2)
        self.successResultOf(world.registry.stop("it is late"))
        world.registry.sweep.start()
        world.registry.sweep.configure(FIVE_MINUTES)

        self.assertNothingLeft(world)
        self.assertEqual(PowerState.NEVER_CHECKED, world.registry.view("n3").observed.state)


class ReloadTests(SweepCase):
    def test_off(self) -> None:
        """
        An interval of 0 ends it, and another one lets it go on.
        """
        world = self.sweep(2)
        world.pass_time(10)
        world.registry.sweep.configure(Sweeping())
        self.assertNothingLeft(world)
        self.assertEqual(0, world.registry.sweep.oldest())
        self.noted(world)

        world.registry.sweep.configure(Sweeping(interval=60.0))
        world.pass_time(60)
        self.assertEqual(["n1", "n2"], [name for _, name in self.noted(world)])

    def test_shorter(self) -> None:
        """
        A shorter interval holds at once, and not only after the longer one.
        """
        world = self.sweep(1)
        world.pass_time(10)
        world.registry.sweep.configure(Sweeping(interval=20.0))
        self.noted(world)
        world.pass_time(20)

        self.assertEqual([26], [round(at) for at, _ in self.noted(world)])

    def test_of_a_node(self) -> None:
        """
        A node may have an interval of its own, or none.
        """
        world = World(3, make_driver=NotedDriver)
        for name, own in (("n1", 50.0), ("n2", 0.0)):
            world.roster.nodes[name] = evolve(world.node(name), timing=Timing(sweep=own))
        world.registry.sweep.configure(FIVE_MINUTES)
        world.registry.sweep.start()
        world.pass_time(200)

        self.assertEqual([5, 0, 1], [world.machine(name).reads for name in world.names()])

    def test_removed_and_added(self) -> None:
        """
        A node that is gone is not read any more, and a new one is, with a reload or when it is met.
        """
        world = self.sweep(2)
        world.pass_time(10)
        del world.roster.nodes["n1"]
        world.roster.nodes["n8"] = world.node("n8")
        world.registry.sweep.configure(FIVE_MINUTES)
        world.roster.nodes["n9"] = world.node("n9")
        world.registry.query("n9")
        self.noted(world)
        world.pass_time(300)
        names = Counter(name for _, name in self.noted(world))
        self.assertEqual({"n2": 1, "n8": 2, "n9": 1}, names)
        self.assertLess(world.registry.sweep.oldest(), 300)

        del world.roster.nodes["n9"]
        world.pass_time(600)
        self.assertEqual({"n2", "n8"}, {name for _, name in self.noted(world)})
        self.assertLess(world.registry.sweep.oldest(), 300)

        del world.roster.nodes["n8"]
        world.pass_time(100)
        world.registry.sweep.configure(Sweeping(interval=60.0))
        world.roster.nodes.clear()
        world.registry.sweep.configure(Sweeping(interval=60.0))
        self.assertEqual(0, world.registry.sweep.oldest())
        self.assertNothingLeft(world)

    def test_another_address(self) -> None:
        """
        A node at another address is read soon, and what it is there is no change of what it was.
        """
        world = self.sweep(1)
        world.pass_time(10)
        settings = FakeSettings(address="elsewhere", outlet="n1")
        world.roster.nodes["n1"] = evolve(world.node("n1"), target=world.driver.target(settings))
        world.driver.machine("elsewhere/n1").on = True
        world.registry.sweep.configure(FIVE_MINUTES)
        self.noted(world)
        world.pass_time(200)

        self.assertEqual([(10, "n1")], self.noted(world))


class DriftTests(SweepCase):
    def test_once(self) -> None:
        """
        A machine that is switched off behind our back is told of within the interval, once.
        """
        world = self.sweep(2)
        asked = world.want(Verb.ON)
        world.pass_time(600)
        self.assertIsInstance(asked.outcome, Done)
        world.machine().on = False
        world.pass_time(300)
        self.assertEqual(["n1"], [entry.node for entry in world.journal.of(Drifted)])
        world.pass_time(3600)

        self.assertEqual(1, len(world.journal.of(Drifted)))
        self.assertTrue(world.registry.view("n1").drifted)

    def test_unknown_end(self) -> None:
        """
        A node whose action ended unknown is looked at by one of the two who want to know.
        """
        world = self.sweep(1)
        world.driver.timeout = 1.0
        world.pass_time(10)
        world.machine().faults = [Fault.LOST_ANSWER]
        world.machine().read_faults = [Fault.LOST_ANSWER] * 100
        world.want(Verb.ON)
        world.pass_time(60)
        world.machine().read_faults = []
        world.machine().on = False
        world.pass_time(100)

        self.assertEqual(1, len(world.journal.of(Drifted)))
        self.assertLessEqual(max(world.driver.busiest.values()), 1)
