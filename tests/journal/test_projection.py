# SPDX-License-Identifier: MIT
"""
The tables say what plain Python says, whatever was written, and whenever it ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from powercoord.durable import Recovered
from powercoord.entries import Entry
from tests.hypothesis_notes import HypothesisNotes
from tests.journal.projection import Projection
from tests.journal.strategies import LIVES
from tests.journal.world import JournalCase, JournalWorld

Life = Sequence[Sequence[Entry]]


class ProjectionTests(HypothesisNotes, JournalCase):
    def live(self, life: Life, expected: Projection) -> None:
        """
        Begin with what is known, and append some more.
        """
        self.opened()
        expected.mend(self.world.now())
        self.assertEqual(expected.recovered(), evolve(self.recovered, notes=()))
        for entries in life:
            self.write(*entries)
            for entry in entries:
                expected.add(entry)

    def new_place(self, *, crashed: bool) -> None:
        """
        Leave the files in order, or as a power cut would, and go on with them elsewhere.
        """
        if not crashed:
            self.successResultOf(self.journal.close())
        before, self.world = self.world, JournalWorld(self.world.folder.with_suffix(self.unique()))
        self.world.folder.mkdir()
        for name in ("journal.db", "journal.db-wal"):
            if (before.folder / name).exists():
                shutil.copy(before.folder / name, self.world.folder)
        self.successResultOf(self.journal.close())

    def unique(self) -> str:
        self.places = getattr(self, "places", 0) + 1
        return f".{self.places}"

    @given(LIVES, st.lists(st.booleans(), min_size=3, max_size=3))
    def test_restarts(self, lives: Sequence[Life], crashes: Sequence[bool]) -> None:
        """
        Any entries, over any number of starts, make what the pure projection makes of them.
        """
        self.world = JournalWorld(self.world.folder.with_suffix(self.unique()))
        expected = Projection()
        for life, crashed in zip(lives, crashes, strict=False):
            self.live(life, expected)
            self.new_place(crashed=crashed)
        self.live([], expected)
        self.check_history(expected, self.recovered)
        self.successResultOf(self.journal.close())
        shutil.rmtree(self.world.folder)

    def check_history(self, expected: Projection, recovered: Recovered) -> None:
        """
        What can be read is what was written.
        """
        history = self.journal.history
        everything = self.successResultOf(history.entries(0, 1000))
        self.assertEqual(expected.entries, [*everything])
        records = sorted(expected.requests.values(), key=lambda each: -each.number)
        self.assertEqual(records, self.successResultOf(history.requests(None, None, 1000)))
        self.assertEqual(
            sorted(recovered.answered, key=lambda each: each.number),
            sorted(
                self.successResultOf(history.answered([*expected.requests])), key=lambda each: each.number
            ),
        )
        for action in {getattr(each.entry, "action", "") for each in everything} - {""}:
            self.assertEqual(expected.about(action), self.successResultOf(history.action(action)))
