# SPDX-License-Identifier: MIT
"""
One long day of three thousand nodes, the same in every run.
"""

from __future__ import annotations

from random import Random
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Entered
from powercoord.errors import RequestRefused
from powercoord.model import Failed, Limit, Node, Outcome, Phase, Request, Unknown, Verb
from powercoord.testing.driver import FakeSettings, Fault
from tests.registry.rack import START, glide, most_starting, unbalanced
from tests.registry.world import World, quick
from tests.unmeasured import unmeasured

COUNT, HOT = 3000, 400
RACKS, FEEDS, ROWS = 50, 3, 7
RACK, FEED, ROW, FLEET = 4, 40, 20, 100
FAULTS = [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.BUSY, Fault.REFUSED, Fault.STUCK]
FAULTS += [Fault.DEAF] * 10
VERBS = [Verb.ON, Verb.ON, Verb.ON, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE]
TIMING = quick(action=600.0, cancel=5.0, poll=0.5, poll_longest=2.0)
OPERATION = 2.0


@define(eq=False)
class Hall(World):
    """
    Racks inside of feeds, and rows across them.
    """

    def places(self, name: str) -> tuple[str, str]:
        """
        The rack and the row of a node.
        """
        index = int(name[1:])
        return f"rack{index % RACKS}", f"row{index % ROWS}"

    def node(self, name: str) -> Node:
        """
        One node at an endpoint of its own.
        """
        target = self.driver.target(FakeSettings(address=name, outlet=name))
        return Node(name, target, self.places(name), self.timing)


def hall() -> Hall:
    """
    All machines, some of which are on.
    """
    groups = {f"feed{index}": Limit(FEED) for index in range(FEEDS)}
    groups |= {f"row{index}": Limit(ROW) for index in range(ROWS)}
    groups |= {f"rack{index}": Limit(RACK, parent=f"feed{index % FEEDS}") for index in range(RACKS)}
    return Hall(COUNT, TIMING, groups, Limit(FLEET))


class ThousandsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.random = Random(7)
        self.world = hall()
        self.asked: dict[str, tuple[float, Request, str]] = {}
        self.outcomes: dict[str, Outcome] = {}
        for name in self.world.names():
            machine = self.world.machine(name)
            machine.on, machine.latency = self.random.random() < 0.3, self.random.uniform(0.2, 2.0)
            machine.obeys_soft = self.random.random() < 0.7
            if self.random.random() < 0.2:
                machine.faults += self.random.choices(FAULTS, k=2)

    def submit(self, names: list[str], caller: str, number: int) -> None:
        """
        One caller asks for several nodes at once.
        """
        verb, now = self.random.choice(VERBS), self.world.clock.seconds()
        requests = [
            Request(node=name, verb=verb, request_id=f"{caller}-{number}-{name}", requester=caller)
            for name in names
        ]
        answers = self.successResultOf(self.world.registry.submit_many(requests))
        for request, ticket in zip(requests, answers, strict=True):
            self.assertNotIsInstance(ticket, RequestRefused)
            self.asked[request.request_id] = now, request, ticket.action
            ticket.wait().addCallback(self.answered, request.request_id)

    def answered(self, outcome: Outcome, request_id: str) -> None:
        self.outcomes[request_id] = outcome

    @unmeasured
    def test_a_day(self) -> None:
        """
        No limit is exceeded, every off begins in time, nobody starves, and each request has one answer.
        """
        names = self.world.names()
        for number in range(60):
            size = self.random.choice([1, 1, 5, 60, 300])
            # Every other time of nodes of which much is asked, so that offs meet what is in play.
            self.submit(
                self.random.sample(names[: HOT if number % 2 else COUNT], size), f"caller{number % 4}", number
            )
            glide(self.world.clock, self.random.choice([0.0, 0.01, 0.3, 2.0, 7.0]))
        glide(self.world.clock, 4000.0)

        self.assertEqual([], [name for name in self.asked if name not in self.outcomes])
        self.assertEqual(0, self.world.registry.pending)
        self.assertEqual([], unbalanced(self.world.journal.entries))
        self.assertLimits()
        self.assertOffsInTime()
        gave_up = [each for each in self.outcomes.values() if isinstance(each, Failed | Unknown)]
        self.assertLess(len(gave_up), len(self.asked) * 0.2)

    def assertLimits(self) -> None:
        """
        By the journal: commanded on and not yet seen on.
        """
        entries = [each for each in self.world.journal.entries if hasattr(each, "action")]
        places = {name: self.world.places(name) for name in self.world.names()}
        wanted: dict[str, tuple[int, Any]] = {"fleet": (FLEET, lambda _: True)}
        for index in range(RACKS):
            wanted[f"rack{index}"] = RACK, lambda name, rack=f"rack{index}": places[name][0] == rack
        for index in range(ROWS):
            wanted[f"row{index}"] = ROW, lambda name, row=f"row{index}": places[name][1] == row
        for index in range(FEEDS):
            feed = {f"rack{rack}" for rack in range(RACKS) if rack % FEEDS == index}
            wanted[f"feed{index}"] = FEED, lambda name, feed=feed: places[name][0] in feed
        most = {name: most_starting(entries, member, 0.0) for name, (_, member) in wanted.items()}

        self.assertEqual({}, {name: found for name, found in most.items() if found > wanted[name][0]})
        self.assertEqual(RACK, max(most[f"rack{index}"] for index in range(RACKS)))

    def assertOffsInTime(self) -> None:
        """
        A hard off waits for its own lane to become quiet, and for nothing else.
        """
        begun: dict[str, float] = {}
        for entry in self.world.journal.of(Entered):
            if entry.phase is Phase.ADMITTED:
                begun.setdefault(entry.action, (entry.at - START).total_seconds())
        waited = [
            begun[action] - at for at, request, action in self.asked.values() if request.verb is Verb.OFF
        ]

        self.assertGreater(len(waited), 300)
        self.assertGreater(max(waited), TIMING.cancel / 2)
        self.assertLessEqual(max(waited), TIMING.cancel + OPERATION)
