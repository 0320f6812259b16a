# SPDX-License-Identifier: MIT
"""
Files that are not what was written: set aside and named, never deleted, never believed.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from powercoord.durable import Recovered
from powercoord.errors import BadRequest
from powercoord.model import PowerState
from tests.hypothesis_notes import HypothesisNotes
from tests.journal.world import START, JournalCase, JournalWorld, accepted, answered, observed

PARTS = ("journal.db", "journal.db-wal")
ANEW = int(START.timestamp()) * 1000


class DamageCase(JournalCase):
    """
    A journal with something in it, which did not end in order.
    """

    def setUp(self) -> None:
        super().setUp()
        self.opened()
        for number in range(40):
            self.write(accepted(action=f"a{number}", request_id=f"r{number}", node=f"n{number}"))
            self.write(
                answered(f"r{number}", f"a{number}", node=f"n{number}"), observed(PowerState.ON, f"n{number}")
            )
        self.left = Path(self.mktemp())
        self.left.mkdir(parents=True)
        for name in PARTS:
            shutil.copy(self.world.folder / name, self.left)
        self.successResultOf(self.journal.close())
        self.whole = Path(self.mktemp())
        self.whole.mkdir(parents=True)
        shutil.copy(self.world.folder / "journal.db", self.whole)
        self.places = 0

    def find(self, files: dict[str, bytes]) -> Recovered:
        """
        What a start finds where these files are; and close it again, in order.
        """
        self.places += 1
        self.world = JournalWorld(self.world.folder.with_name(f"place-{self.places}"))
        self.world.folder.mkdir()
        for name, content in files.items():
            (self.world.folder / name).write_bytes(content)
        self.opened()
        self.assertEqual(self.recovered.newest + 1, self.write(accepted()))
        self.successResultOf(self.journal.close())
        return self.recovered

    def aside(self) -> dict[str, bytes]:
        """
        What was set aside, by its old name.
        """
        files = [each for each in self.world.folder.iterdir() if ".damaged-" in each.name]
        return {f"journal.db{each.name.partition('.db')[2]}": each.read_bytes() for each in files}

    def check(self, files: dict[str, bytes], recovered: Recovered, newest: int) -> None:
        """
        Either all is there, or nothing is and the old files are, under another name.
        """
        if recovered.newest < ANEW:
            self.assertEqual(newest, recovered.newest)
            self.assertEqual({}, self.aside())
        else:
            self.assertEqual(Recovered(newest=ANEW, notes=recovered.notes), recovered)
            self.assertIn("a new journal is begun", "\n".join(recovered.notes))
            kept = {name: content for name, content in self.aside().items() if name in files}
            self.assertEqual({name: files[name] for name in kept}, kept)
            self.assertTrue(kept or not files["journal.db"])


class SetAsideTests(DamageCase):
    def test_not_a_database(self) -> None:
        """
        A file of something else is kept under a dated name, which an operator is told.
        """
        recovered = self.find({"journal.db": b"this is no database\n" * 100})

        self.assertEqual(1, len(recovered.notes))
        self.assertIn(
            "journal.db: was damaged (file is not a database) and is set aside as"
            " journal.damaged-20260101T000000Z.db; a new journal is begun",
            recovered.notes[0],
        )
        self.assertEqual({"journal.db": b"this is no database\n" * 100}, self.aside())

    def test_another_database(self) -> None:
        """
        A database with tables of somebody else is not taken for ours.
        """
        path = Path(self.mktemp())
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
        recovered = self.find({"journal.db": path.read_bytes()})

        self.assertIn("it has tables, and none of ours", recovered.notes[0])

    def test_numbers(self) -> None:
        """
        A new journal's numbers are above all of the old one's, so that whoever follows them is not misled.
        """
        recovered = self.find({"journal.db": b"this is no database\n" * 100})
        self.opened()

        self.assertEqual(1_767_225_600_000, recovered.newest)
        refused = self.failureResultOf(self.journal.history.entries(120, 10), BadRequest)
        self.assertIn("there are all from 1767225600001 on", refused.getErrorMessage())

    def test_twice(self) -> None:
        """
        What was set aside before is not overwritten, though it be in the same second.
        """
        self.find({"journal.db": b"second" * 100, "journal.damaged-20260101T000000Z.db": b"first"})

        names = sorted(each.name for each in self.world.folder.glob("*.damaged-*"))
        self.assertEqual(
            ["journal.damaged-20260101T000000Z-2.db", "journal.damaged-20260101T000000Z.db"], names
        )

    def test_log_alone(self) -> None:
        """
        A log whose database is empty or missing is not thrown away.
        """
        log = (self.left / "journal.db-wal").read_bytes()
        self.assertTrue(log)
        for files in ({"journal.db-wal": log}, {"journal.db-wal": log, "journal.db": b""}):
            recovered = self.find(files)

            self.assertEqual(ANEW, recovered.newest)
            self.assertEqual(log, self.aside()["journal.db-wal"])

    def test_empty(self) -> None:
        """
        An empty file is told of, for it may have been a journal.
        """
        recovered = self.find({"journal.db": b""})

        self.assertIn("was empty; a new journal is begun", recovered.notes[0])

    def test_whole(self) -> None:
        """
        Nothing is said of a file that was closed in order, and who did not close it is named.
        """
        whole = self.find({"journal.db": (self.whole / "journal.db").read_bytes()})
        left = self.find({name: (self.left / name).read_bytes() for name in PARTS})

        self.assertEqual((), whole.notes)
        self.assertIn("did not end in order", left.notes[0])
        self.assertEqual([120, 120], [whole.newest, left.newest])


class TruncationTests(DamageCase):
    def test_every_length(self) -> None:
        """
        A database cut off anywhere is whole or set aside.
        """
        whole = (self.whole / "journal.db").read_bytes()
        lengths = [*range(0, 101, 20), *range(500, len(whole), 3001), *range(4096, len(whole), 4096)]
        for length in lengths:
            files = {"journal.db": whole[:length]}
            self.check(files, self.find(files), 120)

    def test_log(self) -> None:
        """
        A log cut off anywhere is one of which the end was never written.
        """
        files = {name: (self.left / name).read_bytes() for name in PARTS}
        log = files["journal.db-wal"]
        found = []
        for length in range(1, len(log), len(log) // 23):
            recovered = self.find({**files, "journal.db-wal": log[:length]})
            if recovered.newest < ANEW:
                self.assertEqual([*range(1, recovered.newest + 1)], self.numbers())
                found.append(recovered.newest)

        self.assertEqual(sorted(found), found)
        self.assertGreater(len(set(found)), 5)

    def numbers(self) -> list[int]:
        self.opened()
        entries = self.successResultOf(self.journal.history.entries(0, 1000))
        self.successResultOf(self.journal.close())
        return [each.number for each in entries][:-1]


class GarbageTests(HypothesisNotes, DamageCase):
    @given(st.data())
    def test_anywhere(self, data: st.DataObject) -> None:
        """
        Whatever is written over it, it opens: with what can be read, or with a new one beside it.
        """
        files = {name: bytearray((self.left / name).read_bytes()) for name in PARTS}
        name = data.draw(st.sampled_from(PARTS))
        at = data.draw(st.integers(0, len(files[name]) - 1))
        garbage = data.draw(st.binary(min_size=1, max_size=200))
        files[name][at : at + len(garbage)] = garbage[: len(files[name]) - at]
        recovered = self.find({name: bytes(content) for name, content in files.items()})

        if recovered.newest == ANEW:
            self.assertTrue(self.aside() or name == "journal.db-wal")
        shutil.rmtree(self.world.folder)
