# SPDX-License-Identifier: MIT
"""
Tests for `tests.crash.failpoint`: that it dies where it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from powercoord.durable import IJournal
from powercoord.entries import Entered, Entry
from powercoord.model import Phase
from tests.crash.failpoint import SOON, FailingJournal, Failpoint, Statements, When


class Died(Exception):
    """
    In place of SIGKILL.
    """


@implementer(IJournal)
@define(eq=False, slots=False)
class HeldJournal:
    """
    Is durable when it is told to be.
    """

    appended: list[Deferred[int]] = field(factory=list)
    trouble: str | None = "it rains"

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        self.appended.append(Deferred())
        return self.appended[-1]


def sent(half: str) -> Entered:
    return Entered(datetime(2026, 11, 21, tzinfo=UTC), "n1", "a1", Phase.SENT, half)


class FailingJournalTests(SynchronousTestCase):
    def journal(self, failpoint: Failpoint | None) -> FailingJournal:
        self.inner, self.clock, self.notes, self.deaths = HeldJournal(), Clock(), list[str](), list[float]()
        self.statements = Statements(self.die)
        return FailingJournal(self.inner, self.clock, failpoint, self.statements, self.notes.append, self.die)

    def die(self) -> None:
        self.deaths.append(self.clock.seconds())
        raise Died

    def test_before(self) -> None:
        """
        Nothing of the append was handed on, and those before it were.
        """
        journal = self.journal(Failpoint(when=When.BEFORE, at=2))
        journal.append([sent("off")])

        self.assertRaises(Died, journal.append, [sent("on")])
        self.assertEqual(1, len(self.inner.appended))

    def test_held(self) -> None:
        """
        Nothing more becomes durable, and it dies a while later.
        """
        journal = self.journal(Failpoint(when=When.HELD, at=1, detail=50))
        waiting = [journal.append([sent("off")]), journal.append([sent("on")])]
        self.clock.advance(0.04)

        self.assertEqual(([], []), (self.inner.appended, self.deaths))
        for each in waiting:
            self.assertNoResult(each)
        self.assertRaises(Died, self.clock.advance, 0.02)

    def test_durable(self) -> None:
        """
        The disk has it, and who waits has not heard.
        """
        heard: list[int] = []
        journal = self.journal(Failpoint(when=When.DURABLE, at=1))
        appended = journal.append([sent("off")]).addCallback(heard.append)
        self.inner.appended[0].callback(1)

        self.failureResultOf(appended, Died)
        self.assertEqual([], heard)

    def test_answered(self) -> None:
        """
        Who waits has heard, and has had a moment to act on it.
        """
        heard: list[int] = []
        journal = self.journal(Failpoint(when=When.ANSWERED, at=1))
        journal.append([sent("off")]).addCallback(heard.append)
        self.inner.appended[0].callback(1)

        self.assertEqual(([1], []), (heard, self.deaths))
        self.assertRaises(Died, self.clock.advance, SOON)

    def test_statement(self) -> None:
        """
        The statements of other appends do not count.
        """
        journal = self.journal(Failpoint(when=When.STATEMENT, at=2, detail=2))
        journal.append([sent("off")])
        self.statements.trace("INSERT 1")
        journal.append([sent("on")])
        self.statements.trace("INSERT 2")

        self.assertRaises(Died, self.statements.trace, "-- TRIGGER")

    def test_label(self) -> None:
        """
        A label is found wherever it stands in an append, once.
        """
        journal = self.journal(Failpoint(when=When.BEFORE, label="n1 entered sent on"))
        journal.append([sent("off")])

        self.assertRaises(Died, journal.append, [sent("off"), sent("on")])
        self.assertEqual("2 n1 entered sent off | n1 entered sent on", self.notes[1])

    def test_none(self) -> None:
        """
        Without a failpoint it is the journal, with all that this one can do.
        """
        journal = self.journal(None)
        appended = journal.append([sent("off")])
        self.inner.appended[0].callback(7)

        self.assertEqual(7, self.successResultOf(appended))
        self.assertEqual("it rains", journal.trouble)
        self.assertTrue(IJournal.providedBy(journal))

    def test_command_line(self) -> None:
        """
        A failpoint survives its way through a command line.
        """
        failpoint = Failpoint(when=When.WRITING, at=3, detail=200)

        self.assertEqual(failpoint, Failpoint.load(failpoint.dump()))
