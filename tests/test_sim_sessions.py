# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.sessions`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.sim.sessions import WINDOW, Session, SessionTable
from tests.hypothesis_notes import HypothesisNotes


class WindowTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(st.integers(0, 60)))
    def test_never_twice(self, numbers: list[int]) -> None:
        """
        No number is fresh twice, none far from the newest is fresh, and each other one is.
        """
        session, accepted, newest = Session(id=1), set[int](), 0
        for number in numbers:
            near = newest - WINDOW < number <= newest + WINDOW and number != 0
            expected = near and number not in accepted
            self.assertEqual(expected, session.fresh(number))
            if expected:
                accepted.add(number)
                newest = max(newest, number)

    def test_chosen_start(self) -> None:
        """
        The first number may be chosen.
        """
        session = Session(id=1)
        session.expect(5_000)

        self.assertEqual([True, False], [session.fresh(5_000), session.fresh(1)])


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ids = iter([0, 7, 7, 8])
        self.table = SessionTable(self.clock, lambda: next(self.ids), 2, 60.0)

    def test_ids(self) -> None:
        """
        An id is neither 0 nor in use.
        """
        self.table.add(Session(id=self.table.unused_id()))

        self.assertEqual([7], [session.id for session in self.table])
        self.assertEqual(8, self.table.unused_id())

    def test_idle(self) -> None:
        """
        A session that is idle for too long is not found, and only then.
        """
        self.table.add(Session(id=1))
        self.clock.advance(60.0)
        before = self.table.find(1)
        self.clock.advance(0.1)

        self.assertIsNotNone(before)
        self.assertIsNone(self.table.find(1))

    def test_full(self) -> None:
        """
        There are as many slots as were given, and an active session keeps its own.
        """
        added = [self.table.add(Session(id=number, active=True)) for number in (1, 2, 3)]

        self.assertEqual([True, True, False], added)
