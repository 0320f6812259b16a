# SPDX-License-Identifier: MIT
"""
How nodes start, by the record of their machines: whatever is asked, and whatever goes wrong.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Done, How, Limit, Policy, Verb
from powercoord.testing.driver import Fault
from tests.hypothesis_notes import HypothesisNotes
from tests.registry.feed import Feed, Place
from tests.registry.rack import glide
from tests.registry.world import World, quick

GROUPS = ("a", "b", "c", "d", "e")
FAULTS = [
    Fault.LOST_REQUEST,
    Fault.LOST_ANSWER,
    Fault.STUCK,
    Fault.LATE,
    Fault.BUSY,
    Fault.REFUSED,
    Fault.DEAF,
]
WATTS = st.sampled_from([100, 200, 400])
CALLERS = ("region", "nightly", "somebody")

limits = st.builds(
    Limit,
    max_starting=st.sampled_from([None, 1, 2, 4]),
    settle=st.sampled_from([0.0, 0.0, 0.5]),
    start_interval=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    max_watts=st.sampled_from([None, 400, 700]),
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Limit]:
    """
    Groups, each inside of one before it, or of none.
    """
    found: dict[str, Limit] = {}
    for name in GROUPS[: draw(st.integers(1, len(GROUPS)))]:
        limit = draw(limits)
        parent = draw(st.sampled_from([None, *found]))
        found[name] = Limit(limit.max_starting, limit.settle, limit.start_interval, limit.max_watts, parent)
    return found


def places(names: list[str]) -> st.SearchStrategy[Place]:
    """
    Nodes of those groups.
    """
    faults = st.lists(st.sampled_from(FAULTS), max_size=2).map(tuple)
    return st.builds(
        Place,
        groups=st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple),
        watts=WATTS,
        latency=st.sampled_from([0.0, 0.3, 0.9]),
        on=st.booleans(),
        faults=st.one_of(st.just(()), faults),
        read_faults=st.one_of(st.just(()), st.just(()), faults),
    )


steps = st.one_of(
    st.tuples(
        st.sampled_from([Verb.ON, Verb.ON, Verb.CYCLE, Verb.OFF, Verb.SOFT_OFF]),
        st.integers(0, 99),
        st.integers(1, 40),
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 60]), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 99), st.just(0)),
)


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    """
    Nodes in groups in groups.
    """
    groups = draw(trees())
    nodes = draw(st.lists(places(list(groups)), min_size=5, max_size=25))
    return Feed(nodes, groups, draw(limits))


class AnythingTests(HypothesisNotes, SynchronousTestCase):
    """
    The registry with random groups, faults and requests.
    """

    @settings(max_examples=150)
    @given(feeds(), st.lists(steps, min_size=1, max_size=12))
    def test_limits(self, feed: Feed, steps: list[tuple[Verb | str, int, int]]) -> None:
        """
        No limit is exceeded at any moment, nobody waits for ever, and no off waits for anybody's start.
        """
        size = len(feed.places)
        for number, (what, first, many) in enumerate(steps):
            if isinstance(what, Verb):
                indices = [(first + offset) % size for offset in range(min(many, size))]
                feed.ask(what, indices, CALLERS[number % len(CALLERS)])
            elif what == "cancel":
                feed.cancel(first % size)
            else:
                glide(feed.clock, first / 10)
        for _ in range(500):
            if not feed.registry.pending and not feed.clock.getDelayedCalls():
                break
            glide(feed.clock, 10.0)

        self.assertEqual([], list(feed.exceeded()))
        self.assertEqual([], list(feed.late_offs()))
        self.assertEqual([], [one.request for one in feed.asked if one.ticket and len(one.outcomes) != 1])
        self.assertEqual([], feed.clock.getDelayedCalls())
        self.assertEqual(0, feed.registry.pending)


class RecordTests(SynchronousTestCase):
    """
    What random requests come across seldom.
    """

    def test_cancelled_on_the_way(self) -> None:
        """
        A node that was told to start, and whose on was cancelled then, keeps its slot a while.
        """
        feed = Feed([Place(latency=1.5), Place(latency=0.5)], {}, Limit(1))
        feed.ask(Verb.ON, [0, 1])
        glide(feed.clock, 0.5)
        feed.cancel(0)
        glide(feed.clock, 20)

        self.assertEqual(([], 2), (list(feed.exceeded()), len(feed.driver.starts)))

    def test_lost_and_told_again(self) -> None:
        """
        A command that is repeated because it was lost keeps its distance from the others.
        """
        nodes = [Place(faults=(Fault.LOST_REQUEST,)), *[Place()] * 12]
        feed = Feed(nodes, {}, Limit(start_interval=1.0))
        feed.ask(Verb.ON, range(len(nodes)))
        glide(feed.clock, 40)

        self.assertEqual(([], len(nodes)), (list(feed.exceeded()), len(feed.driver.starts)))


class MinimumOffTests(SynchronousTestCase):
    """
    How long a node stays off before it is turned on.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick(minimum_off=5.0), groups={"rack": Limit(1)})

    def told(self, name: str) -> list[float]:
        return [round(at, 1) for at, what in self.world.machine(name).commands if what == "on"]

    def test_after_an_off(self) -> None:
        """
        An on after an off waits until the node was off for as long as it must, and holds no slot meanwhile.
        """
        self.world.machine("n1").on = True
        asked = [self.world.want(Verb.OFF, "n1", policy=Policy.QUEUE)]
        self.world.turn(1)
        asked += [self.world.want(Verb.ON, "n1"), self.world.want(Verb.ON, "n2")]
        self.world.turn(2)
        self.assertEqual(([], [1.0]), (self.told("n1"), self.told("n2")))
        self.world.turn(5)

        self.assertEqual([5.2], self.told("n1"))
        self.assertEqual([True] * 3, [isinstance(one.outcome, Done) for one in asked])

    def test_off_for_long(self) -> None:
        """
        A node of which it is not known that it was ever on does not wait.
        """
        self.world.want(Verb.ON, "n1")
        self.world.turn(0.5)

        self.assertEqual([0.0], self.told("n1"))

    def test_seen_off_twice(self) -> None:
        """
        A node that is off all the time it waits for its turn does not wait once more.
        """
        self.world.machine("n2").latency = 1.0
        self.world.want(Verb.ON, "n2")
        self.world.turn(0.1)
        self.world.want(Verb.ON, "n1")
        self.world.turn(3)

        self.assertLess(self.told("n1")[0], 2.0)

    def test_off_again_in_the_queue(self) -> None:
        """
        One that came on and went off while it waited for its turn waits once more, without a slot.
        """
        self.world.machine("n2").latency = 6.0
        self.world.want(Verb.ON, "n2")
        self.world.turn(0.1)
        self.world.want(Verb.ON, "n1")
        self.world.turn(1)
        for on in (True, False):
            self.world.machine("n1").on = on
            self.world.turn(2)
            self.world.registry.query("n1")
            self.world.turn(0.1)
        self.world.turn(15)

        (told,) = self.told("n1")
        self.assertGreater(told, 5.2 + 4.9)


class DeadlineTests(SynchronousTestCase):
    """
    When a soft-off is forced, and who is told.
    """

    def test_forced_in_time(self) -> None:
        """
        What ignores a soft-off is forced early enough before the deadline that all see, and ends before it.
        """
        world = World(timing=quick())
        machine = world.machine()
        machine.on, machine.obeys_soft = True, False
        soft = world.want(Verb.SOFT_OFF, deadline=4.0)
        world.turn(1)
        view = world.registry.view("n1").in_play
        assert view is not None and view.force_at is not None
        world.turn(4)

        (forced,) = [at for at, what in machine.commands if what == "off"]
        self.assertEqual(How.FORCED, soft.outcome.how)
        self.assertEqual(4.0, round(forced, 1))
        self.assertGreaterEqual((view.deadline - view.force_at).total_seconds(), 5.0)

    def test_joined_by_a_hasty_one(self) -> None:
        """
        Who joins with less patience than others have is told until when the action may take.
        """
        world = World(timing=quick())
        world.machine().latency = 9.0
        first = world.want(Verb.ON, deadline=20.0)
        world.turn(1)
        hasty = world.want(Verb.ON, deadline=3.0)
        patient = world.want(Verb.ON, deadline=60.0)

        deadline = hasty.ticket.deadline
        assert deadline is not None
        self.assertAlmostEqual(19.0, (deadline - world.now()).total_seconds(), places=3)
        self.assertEqual((None, None), (first.ticket.deadline, patient.ticket.deadline))
