# SPDX-License-Identifier: MIT
"""
The state directory: made, owned, and refused to a second process.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from powercoord.errors import JournalUnavailable
from powercoord.journal.place import Place
from powercoord.marks import KEY_BYTES
from tests.journal.world import JournalCase, accepted

HOLD = """
import sys
from pathlib import Path
from powercoord.journal.place import Place
place = Place(Path(sys.argv[1]))
place.take()
print("taken", flush=True)
sys.stdin.read()
"""


class PlaceTests(JournalCase):
    def refusal(self) -> str:
        refused = self.failureResultOf(self.world.journal().open(), JournalUnavailable)
        return refused.getErrorMessage()

    def test_modes(self) -> None:
        """
        The directory is made for its owner alone, and so is each file in it.
        """
        os.umask(os.umask(0))
        self.opened()
        self.write(accepted())

        self.assertEqual(0o700, self.world.folder.stat().st_mode & 0o777)
        modes = {each.name: each.stat().st_mode & 0o777 for each in self.world.folder.iterdir()}
        self.assertEqual(
            dict.fromkeys(["journal.db", "journal.db-shm", "journal.db-wal", "lock", "marks.key"], 0o600),
            modes,
        )

    def test_key(self) -> None:
        """
        The key of marks is the same at each start; one that is damaged is replaced, and so are what it made.
        """
        self.opened()
        first, path = self.recovered.key, self.world.folder / "marks.key"
        self.assertEqual((KEY_BYTES, first), (len(first), path.read_bytes()))
        self.assertEqual(first, self.again().key)
        path.write_bytes(first[:5])
        second = self.again().key

        self.assertEqual((KEY_BYTES, second), (len(second), path.read_bytes()))
        self.assertNotEqual(first, second)
        self.assertNotIn(repr(second), repr(self.recovered))

    def test_no_key(self) -> None:
        """
        Where it cannot be kept there is none, and an operator is told what that means.
        """
        self.world.folder.mkdir(mode=0o700)
        (self.world.folder / "marks.key").mkdir()
        self.opened()

        self.assertEqual(b"", self.recovered.key)
        (note,) = self.recovered.notes
        self.assertIn("marks.key: Is a directory; a refused password is tried once more", note)

    def test_second(self) -> None:
        """
        A second one on the same directory is refused, and told which process has it.
        """
        self.opened()

        self.assertEqual(
            f"{self.world.folder}/lock: process {os.getpid()} uses this state directory;"
            " stop it, or give this one another state_dir",
            self.refusal(),
        )

    def test_other_process(self) -> None:
        """
        A process that holds it is named, and when it has died the directory is free, however it died.
        """
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.world.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None and holder.stdin is not None
        holder.stdout.readline()

        self.assertIn(f"process {holder.pid} uses this state directory", self.refusal())
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
        self.opened()

    def test_unnamed(self) -> None:
        """
        A holder that did not say who it is is refused for, too.
        """
        self.world.folder.mkdir()
        with (self.world.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("another process uses this state directory", self.refusal())

    def test_no_directory(self) -> None:
        """
        A directory that cannot be made is named with the reason.
        """
        self.world.folder.parent.mkdir(exist_ok=True)
        self.world.folder.write_text("")

        self.assertIn(f"{self.world.folder}/lock: ", self.refusal())
        self.assertIn("must be writable by powercoord", self.refusal())

    def test_again_after_a_refusal(self) -> None:
        """
        One that was refused can be opened when the other has gone.
        """
        self.opened()
        other = self.world.journal()
        self.failureResultOf(other.open(), JournalUnavailable)
        self.successResultOf(self.journal.close())

        self.successResultOf(other.open())
        self.successResultOf(other.close())

    def test_let_go(self) -> None:
        """
        When opening fails for another reason, the directory is free again.
        """
        self.world.folder.mkdir()
        (self.world.folder / "journal.db").mkdir()
        self.refusal()

        place = Place(Path(self.world.folder))
        place.take()
        place.leave()
