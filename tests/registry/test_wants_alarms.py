# SPDX-License-Identifier: MIT
"""
Many times, one timer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.registry.drift_alarms import Alarms
from tests.hypothesis_notes import HypothesisNotes


class NotingClock(Clock):
    """
    Notes each timer that is started.
    """

    def __init__(self, noted: list[Any]) -> None:
        super().__init__()
        self.noted = noted

    def callLater(self, when: float, what: Callable[..., object], *a: Any, **kw: Any) -> IDelayedCall:
        self.noted.append(None)
        return super().callLater(when, what, *a, **kw)


@define(eq=False)
class Tower:
    """
    Alarms, and what has rung when.
    """

    clock: Clock = field(factory=Clock)
    rung: list[tuple[str, float]] = field(factory=list)
    alarms: Alarms = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.alarms = Alarms(self.clock, lambda name: self.rung.append((name, self.clock.seconds())))


class AlarmsTests(HypothesisNotes, SynchronousTestCase):
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from("abc"), st.integers(0, 9)),
                st.tuples(st.sampled_from("abc"), st.none()),
                st.integers(0, 5),
            ),
            max_size=200,
        )
    )
    def test_like_a_table(self, events: list[Any]) -> None:
        """
        Each name rings when it was last set to, unless it was dropped, and there is one timer at most.
        """
        tower = Tower()
        due: dict[str, float] = {}
        expected: list[tuple[str, float]] = []
        for event in [*events, 10]:
            if isinstance(event, int):
                for _ in range(event):
                    tower.clock.advance(1)
                    now = tower.clock.seconds()
                    expected += [(name, now) for name, when in due.items() if when in (now, now - 1)]
                    due = {name: when for name, when in due.items() if when > now}
            elif event[1] is None:
                due.pop(event[0], None)
                tower.alarms.drop(event[0])
            else:
                due[event[0]] = tower.clock.seconds() + event[1]
                tower.alarms.set(*event)
            self.assertLessEqual(len(tower.clock.getDelayedCalls()), 1)

        self.assertEqual(sorted(expected), sorted(tower.rung))
        self.assertEqual([], tower.clock.getDelayedCalls())

    def test_a_slice_at_a_time(self) -> None:
        """
        In one turn of the reactor no more than fifty ring.
        """
        noted: list[Any] = []
        clock = NotingClock(noted)
        alarms = Alarms(clock, noted.append)
        for number in range(120):
            alarms.set(f"n{number}", 1.0)
        clock.advance(1)
        runs = [len(list(run)) for rings, run in groupby(noted, lambda each: each is not None) if rings]

        self.assertEqual([50, 50, 20], runs)

    def test_pause(self) -> None:
        """
        What was due during a pause rings after it, once.
        """
        tower = Tower()
        tower.alarms.set("a", 1.0)
        tower.alarms.set("b", 9.0)
        tower.alarms.pause()
        tower.clock.advance(5)
        self.assertEqual([], [*tower.rung, *tower.clock.getDelayedCalls()])

        tower.alarms.resume()
        tower.alarms.resume()
        tower.clock.pump([0.0, 4.0])
        self.assertEqual([("a", 5.0), ("b", 9.0)], tower.rung)

    def test_stop(self) -> None:
        """
        After a stop there is no timer, whatever is asked for.
        """
        tower = Tower()
        tower.alarms.set("a", 1.0)
        tower.alarms.stop()
        tower.alarms.set("b", 1.0)
        tower.alarms.resume()

        self.assertEqual([], tower.clock.getDelayedCalls())

    def test_a_fault(self) -> None:
        """
        A fault that one causes keeps no other from its turn.
        """
        clock = Clock()
        rung: list[str] = []

        def ring(name: str) -> None:
            rung.append(name)
            if name == "a":
                raise ZeroDivisionError

        alarms = Alarms(clock, ring)
        alarms.set("a", 1.0)
        alarms.set("b", 1.0)
        clock.advance(1)

        self.assertEqual(["a", "b"], rung)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
