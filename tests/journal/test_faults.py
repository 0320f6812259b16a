# SPDX-License-Identifier: MIT
"""
A disk that fails: what is said, what is kept, and how it heals.
"""

from __future__ import annotations

import sqlite3

from powercoord.errors import JournalUnavailable
from powercoord.journal.journal import MOST_WAITING, STUCK
from powercoord.journal.pruning import Keep
from powercoord.journal.upkeep import PROBE, PRUNE
from powercoord.model import Phase
from tests.journal.faulty import FaultyDisk
from tests.journal.world import JournalCase, accepted, answered, ended, entered, followed


class FaultCase(JournalCase):
    def setUp(self) -> None:
        super().setUp()
        self.disk = FaultyDisk()
        self.world.connect = self.disk.connect
        self.opened()

    def finish(self, *arguments: object) -> None:
        self.disk.code = self.disk.opening = None
        super().finish(*arguments)

    def refused(self, *entries: object) -> str:
        """
        Append what does not become durable; what is said about it.
        """
        written = self.journal.append(entries)
        self.world.clock.advance(0)
        return self.failureResultOf(written, JournalUnavailable).getErrorMessage()

    def numbers(self) -> list[int]:
        return [each.number for each in self.successResultOf(self.journal.history.entries(0, 100))]


class FailingTests(FaultCase):
    def test_full(self) -> None:
        """
        A full disk is named with its file and with what helps, and nothing of the append is there.
        """
        self.disk.code = sqlite3.SQLITE_FULL

        self.assertEqual(
            f"{self.world.folder}/journal.db: database or disk is full; make room on its file system",
            self.refused(accepted(), entered(Phase.ADMITTED)),
        )
        self.assertEqual([], self.numbers())

    def test_trouble(self) -> None:
        """
        Trouble is told until it could be written again.
        """
        self.disk.code = sqlite3.SQLITE_FULL
        text = self.refused(accepted())

        self.assertEqual(text, self.journal.trouble)
        self.disk.code = None
        self.write(accepted())
        self.assertIsNone(self.journal.trouble)

    def test_gap(self) -> None:
        """
        The numbers of what was not written are not used again.
        """
        self.disk.code = sqlite3.SQLITE_FULL
        self.refused(accepted(), entered(Phase.ADMITTED))
        self.disk.code = None

        self.assertEqual(3, self.write(accepted()))

    def test_all_of_a_batch(self) -> None:
        """
        All appends of a batch that failed are told so.
        """
        self.disk.code = sqlite3.SQLITE_FULL
        appends = [self.journal.append([accepted()]) for _ in range(3)]
        self.world.clock.advance(0)

        for each in appends:
            self.failureResultOf(each, JournalUnavailable)

    def test_next_batch(self) -> None:
        """
        What was appended while a commit was failing is tried by itself.
        """
        self.world.worker.held = True
        first = self.journal.append([accepted()])
        self.world.clock.advance(0)
        second = self.journal.append([accepted(request_id="r2")])
        self.disk.code = sqlite3.SQLITE_FULL
        self.world.worker.run()
        self.disk.code = None
        self.world.clock.advance(0)
        self.world.worker.run()

        self.failureResultOf(first, JournalUnavailable)
        self.assertEqual(2, self.successResultOf(second))

    def test_same_connection(self) -> None:
        """
        A disk that was full is written through the same connection when it has room.
        """
        self.disk.code = sqlite3.SQLITE_FULL
        self.refused(accepted())
        self.disk.code = None
        self.write(accepted())

        self.assertEqual(1, self.disk.opened)

    def test_new_connection(self) -> None:
        """
        After any other error the file is opened anew, and looked at, before it is written.
        """
        self.disk.code = sqlite3.SQLITE_IOERR
        self.refused(accepted())
        self.disk.code = None
        self.write(accepted())

        self.assertEqual(2, self.disk.opened)

    def test_cannot_be_opened(self) -> None:
        """
        Each append tries again while the file cannot be opened.
        """
        self.disk.code = self.disk.opening = sqlite3.SQLITE_IOERR
        self.refused(accepted())
        self.refused(accepted())
        self.disk.code = None
        self.assertIn("disk I/O error; look at the disk", self.refused(accepted()))
        self.disk.opening = None

        self.assertEqual(4, self.write(accepted()))

    def test_gone(self) -> None:
        """
        A file that has gone is not silently replaced by a new one.
        """
        self.disk.code = sqlite3.SQLITE_IOERR
        self.refused(accepted())
        self.disk.code = None
        (self.world.folder / "journal.db").rename(self.world.folder / "elsewhere")

        self.assertIn("journal.db: has gone; stop, put it back", self.refused(accepted()))
        (self.world.folder / "elsewhere").rename(self.world.folder / "journal.db")
        self.write(accepted())

    def test_another_file(self) -> None:
        """
        Another journal in the place of ours is not written to.
        """
        self.write(accepted())
        self.disk.code = sqlite3.SQLITE_IOERR
        self.refused(accepted())
        self.disk.code = None
        sqlite3.connect(self.world.folder / "journal.db").execute(
            "UPDATE run SET instance = 'x'"
        ).connection.commit()

        self.assertIn("is not the file that was opened", self.refused(accepted()))

    def test_words(self) -> None:
        """
        An entry that JSON has no words for fails alone.
        """
        bad = self.journal.append([accepted(deadline=float("nan"))])

        self.failureResultOf(bad, JournalUnavailable)
        self.assertEqual(1, self.write(accepted()))


class DoubtTests(FaultCase):
    def fail_after(self, *entries: object) -> None:
        self.disk.code, self.disk.after = sqlite3.SQLITE_IOERR, True
        self.refused(*entries)
        self.disk.code = None

    def test_taken_out(self) -> None:
        """
        What was reported as not written is not there, even if the disk had it all the same.
        """
        self.write(accepted())
        self.fail_after(entered(Phase.ADMITTED), entered(Phase.SENT))
        self.write(entered(Phase.ADMITTED))

        self.assertEqual([1, 4], self.numbers())

    def test_tables(self) -> None:
        """
        What followed from it is undone as well.
        """
        self.write(accepted(), accepted(action="b", node="n2", request_id="r2"))
        self.fail_after(
            accepted(action="a2", request_id="r3", superseded=("a1",)),
            followed("r1", "a2"),
            ended("b", node="n2"),
            answered("r2", "b", node="n2"),
        )
        self.write()
        recovered = self.again()

        self.assertEqual(["a1", "b"], [each.action for each in recovered.left])
        self.assertEqual(["r1", "r2"], [each.pending[0].request.request_id for each in recovered.left])
        self.assertEqual("a1", recovered.wanted["n1"].action)
        self.assertEqual([None, None], [each.superseded_by for each in recovered.left])

    def test_several(self) -> None:
        """
        All that was reported as not written since the first fault is taken out.
        """
        self.fail_after(accepted())
        self.disk.opening = sqlite3.SQLITE_IOERR
        self.refused(accepted(request_id="r2"))
        self.disk.opening = None
        self.write(accepted(request_id="r3"))

        self.assertEqual([3], self.numbers())

    def test_after_pruning(self) -> None:
        """
        An action of which only the beginning is kept, for what is wanted, does not come back to life.
        """
        self.world.keep = Keep(requests=1)
        self.again()
        self.write(accepted(), ended(), answered())
        self.write(
            accepted("b", node="n2", request_id="r2"), ended("b", node="n2"), answered("r2", "b", node="n2")
        )
        self.world.clock.advance(PRUNE)
        self.assertEqual([1, 4, 5, 6], self.numbers_there())
        self.fail_after(accepted("a2", request_id="r3"))
        self.write(entered(Phase.SENT, action="b"))
        recovered = self.again()

        self.assertEqual((), recovered.left)
        self.assertEqual(["r2"], [each.request.request_id for each in recovered.answered])
        self.assertEqual(
            {"n1": "a1", "n2": "b"}, {name: each.action for name, each in recovered.wanted.items()}
        )

    def numbers_there(self) -> list[int]:
        return [number for (number,) in self.world.read("SELECT number FROM entry ORDER BY number")]


class HealingTests(FaultCase):
    def test_heals_alone(self) -> None:
        """
        Trouble ends when the disk does, although nobody appends.
        """
        self.disk.code = sqlite3.SQLITE_IOERR
        self.refused(accepted())
        self.world.clock.pump([PROBE, PROBE])
        self.assertIsNotNone(self.journal.trouble)
        self.disk.code = None
        self.world.clock.advance(PROBE)

        self.assertIsNone(self.journal.trouble)

    def test_no_timer(self) -> None:
        """
        Nothing is tried by itself while there is no trouble, nor after the end.
        """
        self.disk.code = sqlite3.SQLITE_FULL
        self.refused(accepted())
        self.disk.code = None
        self.successResultOf(self.journal.close())

        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_stuck(self) -> None:
        """
        A disk that does not answer is told of while it does not, and what waits for it is bounded.
        """
        self.world.worker.held = True
        first = self.journal.append([accepted()])
        self.world.clock.advance(0)
        for _ in range(MOST_WAITING):
            self.journal.append([])
        self.world.clock.advance(STUCK + 1)

        self.assertIn("has not answered for 11 s", self.journal.trouble)
        self.failureResultOf(self.journal.append([]), JournalUnavailable)
        self.world.worker.run()
        self.successResultOf(first)
        self.assertIsNone(self.journal.trouble)
