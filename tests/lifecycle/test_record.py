# SPDX-License-Identifier: MIT
"""
What is remembered of a drain, whatever lies in its file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.record import DrainRecord, RecordUnreadable
from powercoord.stages import Drain, Source

BY_COMMAND = Drain(since=datetime(2026, 1, 1, tzinfo=UTC), reason="new PDU", by="eve", source=Source.COMMAND)
BY_FILE = evolve(BY_COMMAND, reason="maint", by="file /run/lb", source=Source.FILE)
BY_SIGNAL = evolve(BY_COMMAND, source=Source.SIGNAL)


class DrainRecordTests(SynchronousTestCase):
    """
    `DrainRecord`.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.record = DrainRecord(self.folder / "drain")

    def test_reads_what_it_saved(self) -> None:
        """
        Drains by command and by file come back as they were, in their order; one by a signal does not.
        """
        self.record.save([BY_FILE, BY_SIGNAL, BY_COMMAND])

        self.assertEqual([BY_FILE, BY_COMMAND], self.record.load())
        self.assertEqual([self.record.path], list(self.folder.iterdir()))

    def test_nothing(self) -> None:
        """
        Without a drain there is no file, and none is needed.
        """
        self.assertEqual([], list(self.record.load()))
        self.record.save([BY_COMMAND])
        self.record.save([BY_SIGNAL])
        self.record.save([])

        self.assertEqual([], list(self.folder.iterdir()))
        self.assertEqual([], list(self.record.load()))

    def test_durable(self) -> None:
        """
        The new content is synced before it takes the old one's place, and the folder after that.
        """
        seen: list[tuple[bool, list[str]]] = []

        def sync(descriptor: int) -> None:
            names = sorted(path.name for path in self.folder.iterdir())
            seen.append((Path(f"/proc/self/fd/{descriptor}").resolve() == self.folder.resolve(), names))

        record = DrainRecord(self.folder / "drain", sync)
        record.save([BY_COMMAND])
        record.save([])

        self.assertEqual([(False, ["drain.new"]), (True, ["drain"]), (True, [])], seen)

    def test_no_folder(self) -> None:
        """
        Without its folder nothing is drained, and a drain cannot be saved.
        """
        record = DrainRecord(self.folder / "away" / "drain")
        record.save([])

        self.assertEqual([], list(record.load()))
        self.assertRaises(OSError, record.save, [BY_COMMAND])

    def test_a_write_that_fails(self) -> None:
        """
        What was saved before is still there when the new cannot be written.
        """
        self.record.save([BY_COMMAND])
        (self.folder / "drain.new").mkdir()

        self.assertRaises(OSError, self.record.save, [BY_FILE])
        self.assertEqual([BY_COMMAND], self.record.load())

    def test_any_part_of_it(self) -> None:
        """
        A file of which only a part is there is refused, and never taken for another.
        """
        self.record.save([BY_COMMAND])
        whole = self.record.path.read_bytes().rstrip()
        for length in range(len(whole)):
            self.record.path.write_bytes(whole[:length])
            self.assertRaises(RecordUnreadable, self.record.load)

    def test_nonsense(self) -> None:
        """
        Whatever else is in the file, the complaint names the file.
        """
        drain = '{"drains": [{"source": "%s", "reason": "r", "by": "b", "since": "%s"}]}'
        for content in (
            b"\xff\xfe",
            b"[]",
            b'{"drains": 1}',
            b"[" * 60_000,
            (drain % ("signal", "2026-01-01T00:00:00+00:00")).encode(),
            (drain % ("command", "2026-01-01T00:00:00")).encode(),
            (drain % ("command", "soon")).encode(),
        ):
            self.record.path.write_bytes(content)
            error = self.assertRaises(RecordUnreadable, self.record.load)
            self.assertIn(str(self.record.path), str(error))
        self.record.path.unlink()
        self.record.path.mkdir()
        self.assertRaises(RecordUnreadable, self.record.load)
