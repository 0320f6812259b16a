# SPDX-License-Identifier: MIT
"""
How often a node is read in the background, how fast reads follow one another, and how many there may be.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Node, PowerState, Target
from powercoord.registry.sweep_crowd import CROWD, YOUNG, Crowd
from powercoord.registry.sweep_pace import Pace
from powercoord.registry.sweep_places import Place, Places
from powercoord.registry.sweep_rhythm import POWERS, next_pause
from tests.hypothesis_notes import HypothesisNotes

ON, OFF, UNKNOWN, ERROR = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN, PowerState.ERROR
NEVER = PowerState.NEVER_CHECKED


def pauses(*seen: PowerState, first: float = 300.0) -> list[float]:
    """
    The pauses of a node of which this is seen, one after the other.
    """
    pause, before, power, found = first, NEVER, None, []
    for state in seen:
        pause = next_pause(pause, before, power, state, fast=15.0, slow=300.0)
        before = state
        power = state if state in POWERS else power
        found.append(pause)
    return found


class RhythmTests(SynchronousTestCase):
    def test_rhythm(self) -> None:
        """
        Soon after a change and after a first failure, ever less often when all is as it was.
        """
        cases: dict[str, tuple[list[PowerState], list[float]]] = {
            "never known before": ([ON, ON], [300, 300]),
            "a change": ([ON, OFF, OFF, OFF, OFF, OFF, OFF, OFF], [300, 15, 30, 60, 120, 240, 300, 300]),
            "changes again": ([ON, OFF, OFF, OFF, ON, ON], [300, 15, 30, 60, 15, 30]),
            "a lost packet": ([ON, UNKNOWN, ON, ON], [300, 15, 30, 60]),
            "changed while it failed": ([ON, UNKNOWN, OFF, OFF], [300, 15, 15, 30]),
            "dead": ([ON, *[UNKNOWN] * 8], [300, 15, 30, 60, 120, 240, 480, 960, 1200]),
            "dead from the first": ([UNKNOWN] * 4, [600, 1200, 1200, 1200]),
            "comes back": ([*[UNKNOWN] * 3, ON, ON], [600, 1200, 1200, 300, 300]),
            "refuses": ([ON, ERROR, ERROR, ON], [300, 3600, 3600, 300]),
            "flaps": ([ON, UNKNOWN, ON, UNKNOWN, ON, UNKNOWN], [300, 15, 30, 60, 120, 240]),
        }

        self.assertEqual(
            {what: expected for what, (_, expected) in cases.items()},
            {what: pauses(*seen) for what, (seen, _) in cases.items()},
        )


class RhythmProperties(HypothesisNotes, SynchronousTestCase):
    @given(
        st.lists(st.sampled_from([ON, OFF, UNKNOWN, ERROR]), min_size=1),
        st.floats(1, 1000),
        st.floats(1, 10_000),
    )
    def test_bounds(self, seen: list[PowerState], fast: float, slow: float) -> None:
        """
        Whatever is seen, a node that is well is read within ``slow``, and none more often than ``fast``.
        """
        fast = min(fast, slow)
        pause, before, power = slow, NEVER, None
        for state in seen:
            pause = next_pause(pause, before, power, state, fast=fast, slow=slow)
            self.assertLessEqual(fast, pause)
            self.assertLessEqual(pause, slow if state in POWERS else max(4 * slow, 3600))
            before, power = state, state if state in POWERS else power


class PaceTests(SynchronousTestCase):
    def test_gap(self) -> None:
        """
        A quarter more than is needed, never less than a read a second, and never a burst.
        """

        def gap(quiet: int, busy: int = 0) -> float:
            pace = Pace()
            for number in range(quiet + busy):
                pace.add(300.0 if number < quiet else 15.0, 300.0)
            return round(1 / pace.gap, 1)

        self.assertEqual([1.0, 1.0, 5.2, 52.1], [gap(0), gap(3), gap(1000), gap(10_000)])
        self.assertEqual([1.0, 10.0, 56.0, 83.3], [gap(0, 1), gap(0, 500), gap(9960, 40), gap(0, 10_000)])

    def test_taken_away(self) -> None:
        """
        What was added and taken away does not count.
        """
        pace = Pace()
        pace.add(300.0, 300.0)
        pace.add(7.0, 300.0)
        pace.remove(7.0, 300.0)

        self.assertAlmostEqual(1 / 240, pace.needed)
        self.assertAlmostEqual(1 / 240, pace.quiet)


class CrowdTests(SynchronousTestCase):
    def test_young(self) -> None:
        """
        So many may be young; the silent do not count, but are not without number.
        """
        clock = Clock()
        crowd, found = Crowd(clock, 2), []
        while len(crowd) < 100 and clock.seconds() < 1000:
            while not crowd.full():
                crowd.begin(f"n{len(crowd)}")
            found.append(len(crowd))
            clock.advance(YOUNG)

        self.assertEqual([2, 4, 6], found[:3])
        self.assertEqual(2 * CROWD, found[-1])
        crowd.end("n0")
        self.assertFalse(crowd.full())


def place(name: str, pause: float = 300.0) -> Place:
    return Place(Node(name, Target("fake", name, "", None)), 0.0, 1.0, 300.0, pause)


class PlacesTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0, 3.0, None]))))
    def test_order(self, turns: list[tuple[int, float | None]]) -> None:
        """
        However often times change, nodes are taken once each, in order, and those dropped never.
        """
        places, expected = Places(), dict[str, float]()
        for number, due in turns:
            name = f"n{number}"
            if due is None:
                places.drop(name)
                expected.pop(name, None)
                continue
            if places.get(name) is None:
                places.add(place(name))
            found = places.get(name)
            assert found is not None
            places.put(found, due)
            expected[name] = due

        taken = []
        while (first := places.first()) is not None:
            taken.append((first.due, first.node.name))
            self.assertIs(first, places.take_first())
        self.assertEqual(sorted((due, name) for name, due in expected.items()), taken)
        self.assertAlmostEqual(len(expected) / 240, places.pace.needed)

    def test_bounded(self) -> None:
        """
        A time that changes again and again leaves no trail.
        """
        places, only = Places(), place("n1")
        places.add(only)
        for due in range(10_000):
            places.put(only, float(due))

        self.assertLess(places.remembered, 100)
        self.assertEqual(9999.0, only.due)

    def test_ties(self) -> None:
        """
        Of those due at the same time chance decides: neighbours in the configuration share a chassis.
        """
        places = Places()
        for number, tie in enumerate((0.9, 1.1, 1.0)):
            each = place(f"n{number}")
            each.tie = tie
            places.add(each)
            places.put(each, 0.0)

        taken = [each.node.name for _ in range(3) if (each := places.take_first()) is not None]
        self.assertEqual(["n0", "n2", "n1"], taken)
        self.assertFalse(any(a == b for a, b in pairwise(taken)))
