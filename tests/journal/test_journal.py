# SPDX-License-Identifier: MIT
"""
Numbers, batches and the order of things, on the reactor's side.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from zope.interface.verify import verifyObject

from powercoord.durable import IHistory, IJournal, Recovered
from powercoord.errors import JournalUnavailable
from powercoord.journal.place import Place
from powercoord.journal.store import Store
from powercoord.model import Phase
from tests.journal.world import JournalCase, accepted, answered, at, entered


class AppendTests(JournalCase):
    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def test_doors(self) -> None:
        """
        It is what the registry and the doors expect of it.
        """
        self.assertTrue(verifyObject(IJournal, self.journal))
        self.assertTrue(verifyObject(IHistory, self.journal.history))

    def test_new(self) -> None:
        """
        A new journal knows nothing.
        """
        self.assertEqual(Recovered(), self.recovered)

    def test_numbers(self) -> None:
        """
        Entries are numbered from one, consecutively, and an append is told the number of its last.
        """
        self.assertEqual(2, self.write(accepted(), entered(Phase.ADMITTED)))
        self.assertEqual(3, self.write(entered(Phase.SENT)))

    def test_numbers_again(self) -> None:
        """
        Numbers go on where they were when it was closed.
        """
        self.write(accepted(), entered(Phase.ADMITTED))

        self.assertEqual(2, self.again().newest)
        self.assertEqual(3, self.write(entered(Phase.SENT)))

    def test_nothing(self) -> None:
        """
        To append nothing waits for what came before, and is told the last number.
        """
        self.write(accepted())

        self.assertEqual(1, self.write())

    def test_one_commit(self) -> None:
        """
        What is appended in one turn of the reactor is one transaction.
        """
        first, second = self.journal.append([accepted()]), self.journal.append([entered(Phase.SENT)])
        self.world.worker.held = True
        self.world.clock.advance(0)

        self.assertEqual(1, len(self.world.worker.work))
        self.assertNoResult(first)
        self.world.worker.run()
        self.assertEqual([1, 2], [self.successResultOf(first), self.successResultOf(second)])

    def test_meanwhile(self) -> None:
        """
        What comes while a commit is under way is one transaction after it.
        """
        self.world.worker.held = True
        first = self.journal.append([accepted()])
        self.world.clock.advance(0)
        others = [self.journal.append([entered(Phase.SENT)]) for _ in range(3)]
        self.world.clock.advance(0)

        self.assertEqual(1, len(self.world.worker.work))
        self.world.worker.run()
        self.successResultOf(first)
        self.world.clock.advance(0)
        self.assertEqual(1, len(self.world.worker.work))
        self.world.worker.run()
        self.assertEqual([2, 3, 4], [self.successResultOf(each) for each in others])

    def test_order(self) -> None:
        """
        Appends are answered in the order of the calls.
        """
        heard: list[int] = []
        for _ in range(4):
            self.journal.append([accepted(), entered(Phase.SENT)]).addCallback(heard.append)
        self.world.clock.advance(0)

        self.assertEqual([2, 4, 6, 8], heard)

    def test_within_an_answer(self) -> None:
        """
        What is appended on hearing that something is durable becomes durable with the next commit.
        """
        later = self.journal.append([accepted()])
        later.addCallback(lambda _: self.journal.append([entered(Phase.SENT)]))
        self.world.clock.pump([0, 0])

        self.assertEqual(2, self.successResultOf(later))

    def test_not_open(self) -> None:
        """
        A journal that is not open takes nothing.
        """
        self.successResultOf(self.journal.close())

        self.failureResultOf(self.journal.append([accepted()]), JournalUnavailable)

    def test_close_writes(self) -> None:
        """
        What was appended is written before the files are let go.
        """
        written = self.journal.append([accepted()])

        self.assertEqual(1, self.again().newest)
        self.assertEqual(1, self.successResultOf(written))

    def test_synchronous(self) -> None:
        """
        A commit waits for the disk.
        """
        connections: list[sqlite3.Connection] = []

        def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
            connections.append(sqlite3.connect(*arguments, **named))
            return connections[0]

        self.successResultOf(self.journal.close())
        self.world.connect = connect
        self.opened()

        self.assertEqual((2,), connections[0].execute("PRAGMA synchronous").fetchone())
        self.assertEqual(("wal",), connections[0].execute("PRAGMA journal_mode").fetchone())

    def test_alive(self) -> None:
        """
        It is alive as long as its thread is.
        """
        self.assertTrue(self.journal.alive)
        self.world.worker.alive = False
        self.assertFalse(self.journal.alive)

    def test_rows(self) -> None:
        """
        An entry's columns say what its body says.
        """
        self.write(accepted(), entered(Phase.SENT, "off"), answered())
        rows = sqlite3.connect(self.world.folder / "journal.db").execute(
            "SELECT number, run, kind, node, action, request_id, at FROM entry"
        )

        self.assertEqual(
            [
                (1, 1, "accepted", "n1", "a1", "r1", "2026-01-01T00:00:00+00:00"),
                (2, 1, "entered", "n1", "a1", None, "2026-01-01T00:00:01+00:00"),
                (3, 1, "answered", "n1", "a1", "r1", "2026-01-01T00:00:05+00:00"),
            ],
            rows.fetchall(),
        )


class ClosingTests(JournalCase):
    def test_while_opening(self) -> None:
        """
        One that is closed before it is open stays closed, and lets go of everything.
        """
        journal = self.world.journal()
        self.world.worker.held = True
        opened, closed = journal.open(), journal.close()
        self.world.worker.run()
        self.world.worker.run()

        self.failureResultOf(opened, JournalUnavailable)
        self.successResultOf(closed)
        self.failureResultOf(journal.append([accepted()]), JournalUnavailable)
        self.assertEqual([], self.world.clock.getDelayedCalls())
        self.opened()

    def test_twice(self) -> None:
        """
        To close it again does nothing.
        """
        self.opened()
        self.successResultOf(self.journal.close())

        self.successResultOf(self.journal.close())

    def test_late_work(self) -> None:
        """
        What comes to the store after its end does not open the files again.
        """
        self.opened()
        self.successResultOf(self.journal.close())
        store = Store(Place(self.world.folder), self.world.now, "late")

        self.assertRaises(JournalUnavailable, store.write, 1, "[]")
        self.assertRaises(JournalUnavailable, store.probe)


class RunTests(JournalCase):
    def runs(self) -> list[tuple[object, ...]]:
        return self.world.read("SELECT id, instance, pid, started, ended FROM run")

    def test_run(self) -> None:
        """
        Each start notes who it is and since when, and each orderly end when it was.
        """
        self.opened()
        begun = self.runs()
        self.world.clock.advance(5)
        self.again()

        self.assertEqual([(1, "run-1", os.getpid(), at(0).isoformat(), None)], begun)
        self.assertEqual(
            [
                (1, "run-1", os.getpid(), at(0).isoformat(), at(5).isoformat()),
                (2, "run-2", os.getpid(), at(5).isoformat(), None),
            ],
            self.runs(),
        )

    def test_boot(self) -> None:
        """
        The machine's boot is noted, too, because ids of processes come again.
        """
        self.opened()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

        self.assertEqual([(boot,)], self.world.read("SELECT boot FROM run"))

    def test_entries(self) -> None:
        """
        An entry belongs to the run that wrote it.
        """
        self.opened()
        self.write(accepted())
        self.again()
        self.write(answered())

        self.assertEqual([(1, 1), (2, 2)], self.world.read("SELECT number, run FROM entry"))


class MayKnowTests(JournalCase):
    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def test_answered(self) -> None:
        """
        A request that was answered may be known from then on.
        """
        self.write(accepted())

        self.assertFalse(self.journal.may_know("r1"))
        self.write(answered())
        self.assertTrue(self.journal.may_know("r1"))

    def test_after_a_restart(self) -> None:
        """
        What was answered before a restart may be known, what was not answered is not.
        """
        self.write(accepted(), accepted(request_id="r2"), answered())
        self.again()

        self.assertEqual([True, False], [self.journal.may_know(each) for each in ("r1", "r2")])
