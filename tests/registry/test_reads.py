# SPDX-License-Identifier: MIT
"""
Queries: shared, answered by what is being read anyway, and always answered.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import ConfigError, NoSuchNode
from powercoord.interfaces import IOperation
from powercoord.model import Command, Done, Observation, PowerState, Target, Verb
from powercoord.parking import ParkingRules
from powercoord.testing.driver import FakeDriver, FakeSettings, Fault
from tests.registry.world import World, quick


class QueryTests(SynchronousTestCase):
    """
    `Registry.query`.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick())

    def query(self, name: str = "n1") -> Deferred[Observation]:
        return self.world.registry.query(name)

    def state(self, observed: Deferred[Observation]) -> PowerState:
        return self.successResultOf(observed).state

    def test_shared(self) -> None:
        """
        A thousand queries of one node cost one read, and each has a Deferred of its own.
        """
        self.world.machine().on = True
        asked = [self.query() for _ in range(1000)]
        self.world.turn(0.1)

        self.assertEqual({PowerState.ON}, {self.state(one) for one in asked})
        self.assertEqual(1000, len(set(asked)))
        self.assertEqual(1, self.world.machine().reads)

    def test_unknown_node(self) -> None:
        """
        A node nobody knows is named.
        """
        self.assertRaises(NoSuchNode, self.query, "n9")

    def test_one_goes_away(self) -> None:
        """
        Who goes away takes nobody along, and the last one who goes leaves nothing behind.
        """
        going, staying = self.query(), self.query()
        going.cancel()
        self.failureResultOf(going, CancelledError)
        self.world.turn(0.1)

        self.assertEqual(PowerState.OFF, self.state(staying))
        last = self.query()
        last.cancel()
        self.failureResultOf(last, CancelledError)
        self.world.turn(0.1)
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_asked_again_on_being_told(self) -> None:
        """
        Who asks again the moment it is told gets another read.
        """
        again = self.query().addCallback(lambda _: self.query())
        self.world.turn(0.1)

        self.assertEqual(PowerState.OFF, self.state(again))
        self.assertEqual(2, self.world.machine().reads)

    def test_sends_others_away_on_being_told(self) -> None:
        """
        Who is told may send others away who would be told next.
        """
        first, second, third = self.query(), self.query(), self.query()
        first.addCallback(lambda _: second.cancel())
        self.world.turn(0.1)

        self.failureResultOf(second, CancelledError)
        self.assertEqual(PowerState.OFF, self.state(third))

    def test_answered_by_a_change(self) -> None:
        """
        During a change the change's own next look answers; there is no other read.
        """
        self.world.machine().latency = 3.0
        self.world.want(Verb.ON)
        self.world.turn(1.0)
        before = self.world.machine().reads
        asked = self.query()
        self.assertEqual(before, self.world.machine().reads)
        self.world.turn(0.6)

        self.assertEqual(PowerState.OFF, self.state(asked))
        self.assertLessEqual(self.world.machine().reads, before + 2)

    def test_change_stops_looking(self) -> None:
        """
        A change that ends without another look leaves the query to a read of its own.
        """
        self.world.machine().latency = 3.0
        self.world.want(Verb.ON)
        self.world.turn(1.0)
        asked = self.query()
        self.world.registry.cancel("a1", "ann")
        self.world.turn(0.1)

        self.assertEqual(PowerState.OFF, self.state(asked))

    def test_change_gives_up(self) -> None:
        """
        A query in the last moments of a change that never comes about is answered.
        """
        self.world.machine().faults = [Fault.STUCK]
        self.world.want(Verb.ON)
        self.world.turn(29.97)
        asked = self.query()
        self.world.turn(0.1)

        self.assertEqual(PowerState.OFF, self.state(asked))

    def test_failed_read(self) -> None:
        """
        A query never fails for a reason of the BMC; unknown passes, an error does not.
        """
        for fault, state, text in (
            (Fault.LOST_ANSWER, PowerState.UNKNOWN, "no answer"),
            (Fault.BUSY, PowerState.UNKNOWN, "node busy (0xC0)"),
            (Fault.WRONG_PASSWORD, PowerState.ERROR, "password is wrong"),
            (Fault.BROKEN, PowerState.UNKNOWN, "n1 read: fault in the driver (ZeroDivisionError)"),
            (Fault.DROPPED, PowerState.UNKNOWN, "n1 read: fault in the driver (CancelledError)"),
            (Fault.QUITTER, PowerState.UNKNOWN, "n1 read: the driver gave up unasked"),
            (Fault.DEAF, PowerState.UNKNOWN, "n1 read: no end within the operation's time"),
        ):
            self.world.registry.unpark("n1", "test")
            self.world.machine().read_faults = [fault]
            asked = self.query()
            self.world.turn(13)
            observed = self.successResultOf(asked)
            self.assertEqual((state, text), (observed.state, observed.text))
        self.flushLoggedErrors(ZeroDivisionError, CancelledError)

    def test_foreign_error(self) -> None:
        """
        An error of ours that is none of a driver's answers the query all the same.
        """
        world = World(make_driver=Misconfigured)

        observed = self.successResultOf(world.registry.query("n1"))

        self.assertEqual((PowerState.ERROR, "no such table"), (observed.state, observed.text))

    def test_unknown_driver(self) -> None:
        """
        A node whose driver is not installed is an error that names the driver.
        """
        node = self.world.node("n1")
        stranger = evolve(node, target=evolve(node.target, driver="telex"))
        self.world.registry.roster.nodes = {"n1": stranger}  # type: ignore[attr-defined]

        observed = self.successResultOf(self.query())

        self.assertEqual(PowerState.ERROR, observed.state)
        self.assertIn("telex", observed.text)
        asked = self.world.want(Verb.ON)
        self.world.turn(0.1)
        self.assertEqual("UnknownPowerType", asked.outcome.code)

    def test_driver_that_cannot_tell_its_time(self) -> None:
        """
        Even a fault before the read begins is answered, and logged.
        """
        observed = self.successResultOf(World(make_driver=Timeless).registry.query("n1"))

        self.assertIn("fault in the coordinator", observed.text)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_stop(self) -> None:
        """
        A stop answers all who wait, those who wait for a change's look too, and later ones at once.
        """
        self.world.machine("n2").latency = 3.0
        self.world.want(Verb.ON, "n2")
        self.world.turn(1.0)
        self.world.machine("n2").read_faults = [Fault.DEAF]
        self.world.turn(1.0)
        asked = [self.query("n1"), self.query("n2")]
        self.world.registry.stop("upgrade")
        asked += [self.query("n1"), self.query("n3")]

        for one in asked:
            observed = self.successResultOf(one)
            self.assertEqual(
                (PowerState.UNKNOWN, "the coordinator is stopping"), (observed.state, observed.text)
            )

    def test_queue_is_no_failure(self) -> None:
        """
        A query that waits long for its endpoint gets its full time when its turn comes.
        """
        world = World(count=120, timing=quick(), shared_endpoint=True)
        world.registry.breakers.rules = ParkingRules(after=1000)
        for name in world.names():
            world.machine(name).read_faults = [Fault.LOST_ANSWER]
        world.machine("n120").read_faults = []
        for name in world.names()[:-1]:
            world.registry.query(name)
        last = world.registry.query("n120")
        world.turn(250, step=0.5)

        self.assertEqual(PowerState.OFF, self.successResultOf(last).state)

    def test_last_at_the_endpoint(self) -> None:
        """
        At a shared endpoint queries wait until changes are through, and offs go before ons.
        """
        world = World(count=4, timing=quick(), shared_endpoint=True)
        order: list[str] = []
        world.machine("n3").on = True
        blocker = world.registry.query("n4")
        query = world.registry.query("n1")
        query.addCallback(lambda _: order.append("query"))
        on, off = world.want(Verb.ON, "n2"), world.want(Verb.OFF, "n3")
        on.ticket.wait().addCallback(lambda _: order.append("on"))
        off.ticket.wait().addCallback(lambda _: order.append("off"))
        world.turn(3)

        self.successResultOf(blocker)
        self.assertIsInstance(on.outcome, Done)
        (on_at, _), (off_at, _) = world.machine("n2").commands[0], world.machine("n3").commands[0]
        self.assertLess(off_at, on_at)
        self.assertEqual(1, world.driver.busiest["fake:bmc"])


class Misconfigured(FakeDriver):
    """
    A driver that raises what is ours and not a driver's.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        raise ConfigError("no such table")


class Timeless(FakeDriver):
    """
    A driver that cannot tell how long it takes.
    """

    def worst_case(self, settings: FakeSettings, command: Command | None) -> float:
        return 1 / 0
