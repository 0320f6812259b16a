# SPDX-License-Identifier: MIT
"""
What a word in a file does, and what is no word.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.drain_file import DRAINING, INTERVAL, LONGEST, SERVING, DrainFile
from tests.test_agent import PaperLifecycle


class DrainFileTests(SynchronousTestCase):
    """
    `DrainFile`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "lb-agent"
        self.begin()
        self.logs = self.enterContext(capturedLogs())

    def begin(self) -> None:
        """
        Begin anew, with the file as it is.
        """
        self.lifecycle = PaperLifecycle()
        self.file = DrainFile(self.clock, self.path, self.lifecycle)
        self.file.start()
        self.addCleanup(self.file.stop)
        self.written = 0

    def write(self, text: str | bytes) -> None:
        """
        Write the file in place, and let it be looked at.
        """
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.touched()

    def touched(self) -> None:
        """
        Give the file a time of its own, since a test takes less than a tick of the kernel's; and look.
        """
        self.written += 1
        os.utime(self.path, ns=(self.written, self.written))
        self.look()

    def look(self) -> None:
        """
        Let time pass until it looked once more.
        """
        self.clock.advance(INTERVAL)

    def verbs(self) -> list[str]:
        """
        What was done since the last call of this.
        """
        verbs = [call[0] for call in self.lifecycle.calls]
        self.lifecycle.calls.clear()
        return verbs

    def warnings(self) -> list[str]:
        """
        What was complained about.
        """
        return [str(log["reason"]) for log in self.logs if log["log_level"].name == "warn"]

    def test_every_word(self) -> None:
        """
        Four words drain and two resume, in any case, with or without the end of a line.
        """
        self.assertEqual({"maint", "drain", "stopped", "down"}, DRAINING)
        self.assertEqual({"ready", "up"}, SERVING)
        for end in ("", "\n", "\r\n", " \n\n"):
            for word in DRAINING:
                for spelt in (word, word.upper(), word.title()):
                    self.write(spelt + end)
                    self.assertEqual(["drain"], self.verbs(), spelt)
                    self.write("ready" + end)
                    self.assertEqual(["resume"], self.verbs())
            for word in ("up", "UP", "Ready"):
                self.write("drain")
                self.write(word + end)
                self.assertEqual(["drain", "resume"], self.verbs(), word)
        self.assertEqual([], self.warnings())

    def test_within_a_second(self) -> None:
        """
        A word is obeyed within a second, and once.
        """
        self.path.write_text("drain\n")
        self.clock.advance(1.0)
        self.assertEqual(["drain"], self.verbs())
        self.clock.pump([INTERVAL] * 10)

        self.assertEqual([], self.verbs())

    def test_who_and_why(self) -> None:
        """
        A drain says which file, and the reason in it, if any.
        """
        self.write("drain\n")
        self.write("maint # new disks\n")
        self.write("ready")

        by = f"file {self.path}"
        self.assertEqual(
            [
                ("drain", "the drain file says drain", by, "file"),
                ("drain", "new disks", by, "file"),
                ("resume", by, "file"),
            ],
            self.lifecycle.calls,
        )

    def test_written_again(self) -> None:
        """
        The same word written again is said again: somebody may have resumed by command meanwhile.
        """
        self.write("drain")
        self.write("drain")

        self.assertEqual(["drain", "drain"], self.verbs())

    def test_no_opinion(self) -> None:
        """
        No file and an empty file undo nothing, and are nothing to complain about.
        """
        self.look()
        self.write("")
        self.write("\n")
        self.assertEqual([], self.verbs())
        self.write("maint")
        for emptied in (lambda: self.write(""), self.path.unlink):
            emptied()
            self.clock.pump([INTERVAL] * 4)
            self.assertTrue(self.file.maintenance)
        self.path.parent.rmdir()
        self.look()

        self.assertEqual((["drain"], []), (self.verbs(), self.warnings()))

    def test_unknown(self) -> None:
        """
        What is no word changes nothing, and is complained about once.
        """
        self.write("drain")
        for text in (
            "draining",
            "drain now",
            "drain\nready",
            b"\xff\xfe",
            "x" * LONGEST,
            "drain" + " " * LONGEST,
        ):
            self.write(text)
            self.clock.pump([INTERVAL] * 10)
        self.assertEqual(["drain"], self.verbs())
        self.assertEqual(2, len(self.warnings()), self.warnings())
        self.write("ready")

        self.assertEqual(["resume"], self.verbs())

    def test_half_written(self) -> None:
        """
        Half a word is no other word; the rest of it is waited for without a complaint.
        """
        for word in DRAINING | SERVING:
            for half in range(1, len(word)):
                self.write(word[:half])
                self.assertEqual([], self.verbs())
                self.write(word)
                self.assertEqual(1, len(self.verbs()))

        self.assertEqual([], self.warnings())

    def test_replaced(self) -> None:
        """
        A file that is replaced by renaming another, or a symbolic link, is read like one written in place.
        """
        for word, verb in (("drain", "drain"), ("ready", "resume"), ("maint", "drain")):
            other = self.path.with_name("new")
            other.write_text(word)
            other.rename(self.path)
            self.look()
            self.assertEqual([verb], self.verbs())
        target = self.path.with_name("target")
        target.write_text("up")
        self.path.unlink()
        self.path.symlink_to(target)
        self.look()

        self.assertEqual(["resume"], self.verbs())

    def test_no_file_at_all(self) -> None:
        """
        A folder, a pipe, or a loop of links in its place is never waited for, and complained about once.
        """
        for make, remove in (
            (self.path.mkdir, self.path.rmdir),
            (lambda: os.mkfifo(self.path), self.path.unlink),
            (lambda: self.path.symlink_to(self.path), self.path.unlink),
        ):
            before = len(self.warnings())
            make()
            self.clock.pump([INTERVAL] * 5)
            self.assertEqual(1, len(self.warnings()) - before)
            remove()
            self.look()

        self.assertEqual([], self.verbs())

    def test_maintenance(self) -> None:
        """
        HAProxy can be told that the word was maint.
        """
        said = []
        for word in ("drain", "MAINT", "nonsense", "down", "maint", "ready"):
            self.write(word)
            said.append(self.file.maintenance)

        self.assertEqual([False, True, True, False, True, False], said)

    def test_at_the_start(self) -> None:
        """
        What a file says at the start counts: it drains, or takes back the drain that it began before.
        """
        for word, verb in (("drain", "drain"), ("ready", "resume")):
            self.path.write_text(word)
            self.begin()
            self.assertEqual([verb], self.verbs())

    def test_timer(self) -> None:
        """
        It has one timer from start to stop, however often it is started, and none after.
        """
        self.file.start()
        for word in ("drain", "ready") * 10:
            self.write(word)
            self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.file.stop()
        self.file.stop()

        self.assertEqual([], self.clock.getDelayedCalls())
