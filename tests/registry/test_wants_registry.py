# SPDX-License-Identifier: MIT
"""
Drift and bringing back, with the registry around them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Recovered, Seen
from powercoord.entries import Accepted, Drifted, Ended
from powercoord.model import Cancelled, Goal, OnDrift, PowerState, Unknown, Verb
from powercoord.testing.driver import Fault
from tests.registry.world import FixedRoster, World, quick

START = datetime(2026, 1, 1, tzinfo=UTC)


class RackCase(SynchronousTestCase):
    def world(self, on_drift: OnDrift = OnDrift.FLAG, *, serving: bool = True, **options: Any) -> World:
        """
        A registry whose nodes all meet drift like this.
        """
        world = World(timing=quick(), **options)
        roster = world.registry.roster
        assert isinstance(roster, FixedRoster)
        roster.nodes = {name: evolve(node, on_drift=on_drift) for name, node in roster.nodes.items()}
        if serving:
            world.registry.wants.resume()
        return world

    def reach(self, world: World, verb: Verb = Verb.ON, name: str = "n1") -> None:
        world.want(verb, name)
        world.turn(3)

    def look(self, world: World, name: str = "n1") -> None:
        """
        Somebody reads a node, as a region does again and again.
        """
        reading: Deferred[Any] = world.registry.query(name)
        world.turn(0.5)
        self.successResultOf(reading)


class DriftTests(RackCase):
    def test_button(self) -> None:
        """
        A node that somebody turned off has drifted; that is told once, and nothing is sent.
        """
        world = self.world()
        self.reach(world)
        world.machine().on = False
        for _ in range(5):
            self.look(world)

        (drifted,) = world.journal.of(Drifted)
        self.assertEqual(("n1", Goal.ON, PowerState.OFF), (drifted.node, drifted.wanted, drifted.seen))
        self.assertEqual(["on"], world.commands())
        view = world.registry.view("n1")
        self.assertTrue(view.drifted)
        assert view.wanted is not None
        self.assertEqual(Goal.ON, view.wanted.goal)
        self.assertIn("n1", world.registry.outstanding())

    def test_never_in_passing(self) -> None:
        """
        What an action passes through on its way is no drift.
        """
        world = self.world()
        self.reach(world)
        self.reach(world, Verb.CYCLE)
        self.reach(world, Verb.OFF)
        self.reach(world, Verb.SOFT_OFF)
        self.reach(world, Verb.ON)
        world.turn(5)

        self.assertEqual([], world.journal.of(Drifted))
        self.assertEqual([], world.clock.getDelayedCalls())

    def test_full_disk(self) -> None:
        """
        Drift that is seen while the journal cannot be written is told when it can.
        """
        world = self.world()
        self.reach(world)
        world.machine().on = False
        world.journal.failing = OSError("the disk is full")
        self.look(world)
        world.turn(40)
        world.journal.failing = None
        self.flushLoggedErrors()
        world.turn(40)

        self.assertEqual(["n1"], [drifted.node for drifted in world.journal.of(Drifted)])
        self.assertTrue(world.registry.view("n1").drifted)
        self.assertEqual([], world.clock.getDelayedCalls())

    def test_cancelled(self) -> None:
        """
        Of a node whose action was cancelled nothing is wanted.
        """
        world = self.world()
        world.machine().latency = 2.0
        asked = world.want(Verb.ON)
        world.turn(0.5)
        world.registry.cancel(asked.ticket.action, "bob")
        world.turn(10)

        self.assertIsInstance(asked.outcome, Cancelled)
        self.assertIsNone(world.registry.view("n1").wanted)
        self.assertEqual([], world.journal.of(Drifted))


class EnforcingTests(RackCase):
    def test_button(self) -> None:
        """
        A node that somebody turned off is brought back once.
        """
        world = self.world(OnDrift.ENFORCE)
        self.reach(world)
        world.machine().on = False
        self.look(world)
        world.turn(5)
        for _ in range(5):
            self.look(world)

        self.assertEqual(["on", "on"], world.commands())
        self.assertEqual(["", "enforce"], [entry.request.door for entry in world.journal.of(Accepted)])
        view = world.registry.view("n1")
        self.assertFalse(view.drifted)
        assert view.wanted is not None
        self.assertEqual("", view.wanted.door)

    def test_dies_each_time(self) -> None:
        """
        A node that goes off again each time is brought back after 0, 60, 180, 420 and 900 s.
        """
        world = self.world(OnDrift.ENFORCE)
        self.reach(world)
        for _ in range(2000):
            if world.machine().on:
                world.machine().on = False
            self.look(world)

        self.assertEqual(1 + 5, len(world.commands()))

    def test_caller_comes_between(self) -> None:
        """
        A caller who wants it off at the same moment gets it off, and it stays off.
        """
        world = self.world(OnDrift.ENFORCE)
        self.reach(world)
        world.registry.wants.pause()
        world.machine().on = False
        self.look(world)
        # While a write is under way, what comes is decided after it, in order: first the caller's, then ours.
        world.journal.hold = True
        world.ask(Verb.ON, "n2")
        caller = world.ask(Verb.OFF)
        world.registry.wants.resume()
        world.clock.advance(0)
        world.journal.hold = False
        world.journal.release()
        world.turn(100)

        self.successResultOf(caller)
        self.assertFalse(world.machine().on)
        self.assertEqual(["on"], world.commands())
        self.assertEqual([], [e for e in world.journal.of(Accepted) if e.request.door == "enforce"])

    def test_unknown_is_looked_at(self) -> None:
        """
        A node whose action ended unknown is read again, and brought to what was wanted.
        """
        world = self.world(OnDrift.ENFORCE)
        world.machine().faults = [Fault.LOST_REQUEST]
        world.machine().read_faults = [*world.machine().read_faults]
        asked = world.want(Verb.ON)
        world.turn(0.02)
        world.machine().read_faults = [Fault.LOST_ANSWER] * 40
        world.turn(90)
        self.assertIsInstance(asked.outcome, Unknown)
        world.turn(700)

        self.assertTrue(world.machine().on)
        self.assertTrue(world.journal.of(Ended))


class RestartTests(RackCase):
    def test_converges(self) -> None:
        """
        What was turned off while we were away is seen at the start, and brought back where that is to be.
        """
        for on_drift, commands in ((OnDrift.FLAG, []), (OnDrift.ENFORCE, ["on"])):
            before = self.world()
            self.reach(before)
            wanted = before.registry.view("n1").wanted
            assert wanted is not None
            world = self.world(on_drift, serving=False)
            world.registry.recover(Recovered(wanted={"n1": wanted}, seen={"n1": Seen(START, PowerState.ON)}))
            world.turn(5)
            self.assertEqual([], world.commands())
            world.registry.wants.resume()
            world.turn(5)

            self.assertEqual(commands, world.commands())
            self.assertEqual(wanted.since, getattr(world.registry.view("n1").wanted, "since", None))
