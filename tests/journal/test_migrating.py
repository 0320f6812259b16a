# SPDX-License-Identifier: MIT
"""
Tables of older and of newer versions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import JournalUnavailable
from powercoord.journal.migrating import migrate, steps
from tests.journal.world import JournalCase, accepted, answered

NOW = max(steps())
NEW = NOW + 1
NEXT = """
ALTER TABLE request ADD COLUMN note TEXT;
UPDATE request SET note = 'from ' || node;
"""
BROKEN = """
UPDATE request SET answer = 99;
UPDATE nothing SET a = 1;
"""


class MigrationTests(JournalCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.world.folder / "journal.db"
        self.opened()
        self.write(accepted(), answered(), accepted(request_id="r2", action="a2"))
        self.successResultOf(self.journal.close())

    def migrate(self, known: Mapping[int, str]) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(connection.close)
        migrate(connection, self.path, known)
        return connection

    def rows(self, connection: sqlite3.Connection) -> list[tuple[object, ...]]:
        return connection.execute("SELECT number, request_id, answer FROM request").fetchall()

    def test_data_stays(self) -> None:
        """
        A new version adds what it needs and keeps all that was there.
        """
        connection = self.migrate({**steps(), NEW: NEXT})

        self.assertEqual([(1, "r1", 2), (3, "r2", None)], self.rows(connection))
        self.assertEqual([("from n1",)] * 2, connection.execute("SELECT note FROM request").fetchall())
        self.assertEqual((NEW,), connection.execute("PRAGMA user_version").fetchone())

    def test_copy(self) -> None:
        """
        What was there before an upgrade is kept in a file of its own, for its owner alone.
        """
        self.migrate({**steps(), NEW: NEXT})
        copy = self.path.with_name(f"journal.db.version-{NOW}")

        with sqlite3.connect(copy) as before:
            self.assertEqual([(1, "r1", 2), (3, "r2", None)], self.rows(before))
            self.assertEqual((NOW,), before.execute("PRAGMA user_version").fetchone())
        before.close()
        self.assertEqual(0o600, copy.stat().st_mode & 0o777)

    def test_half(self) -> None:
        """
        An upgrade that fails changes nothing.
        """
        with self.assertRaisesRegex(JournalUnavailable, f"cannot be brought from version {NOW} to {NEW}"):
            self.migrate({**steps(), NEW: BROKEN})

        connection = self.migrate(steps())
        self.assertEqual([(1, "r1", 2), (3, "r2", None)], self.rows(connection))
        self.assertEqual((NOW,), connection.execute("PRAGMA user_version").fetchone())

    def test_newer(self) -> None:
        """
        What a newer version wrote is refused, and not changed.
        """
        self.migrate({**steps(), NEW: NEXT}).close()
        before = self.path.read_bytes()
        refused = self.failureResultOf(self.world.journal().open(), JournalUnavailable)

        self.assertIn(f"is of version {NEW}, written by a newer powercoord", refused.getErrorMessage())
        self.assertEqual(before, self.path.read_bytes())

    def test_current(self) -> None:
        """
        Tables of this version are left alone, and no copy is made.
        """
        recovered = self.again_opened()

        self.assertEqual(3, recovered.newest)
        self.assertEqual([], [*self.world.folder.glob("*version*")])

    def again_opened(self) -> object:
        self.opened()
        return evolve(self.recovered)


class StepsTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """
        The steps that are shipped are numbered from one without a gap.
        """
        numbers = sorted(steps())

        self.assertEqual([*range(1, len(numbers) + 1)], numbers)
