# SPDX-License-Identifier: MIT
"""
The configuration file on the disk, with the files it refers to.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import ConfigMistakes, Parsed, examine, load, load_server
from tests.paper_driver import PaperDriver, PaperSettings

DRIVERS = {"paper": PaperDriver()}

TEXT = """\
[drivers.paper]
password = { file = "secrets/paper" }
[nodes.n1]
driver = "paper"
address = "a"
"""


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        """
        A folder with a configuration and its secret.
        """
        self.folder = Path(self.mktemp())
        (self.folder / "secrets").mkdir(parents=True)
        self.file = self.folder / "pc.toml"
        self.file.write_text(TEXT)
        self.secret = self.folder / "secrets" / "paper"
        self.secret.write_text("s3cret\nsecond line\n")
        self.secret.chmod(0o640)

    def examine(self) -> Parsed:
        return examine(str(self.file), DRIVERS, {}, {})

    def lines(self) -> list[str]:
        return [str(mistake).removeprefix(str(self.folder) + "/") for mistake in self.examine().mistakes]

    def test_secret_beside_the_file(self) -> None:
        """
        A secret's file is found from the configuration's folder, wherever we stand; its first line counts.
        """
        settings = load(str(self.file), DRIVERS).nodes[0].target.settings

        assert isinstance(settings, PaperSettings)
        self.assertEqual("s3cret", settings.password)

    def test_open_secret(self) -> None:
        """
        A secret that everybody can read is warned of.
        """
        self.assertEqual((), self.examine().warnings)
        self.secret.chmod(0o644)

        self.assertEqual(1, len(self.examine().warnings))

    def test_missing_secret(self) -> None:
        """
        A secret that is not there is one line, with the path where it was looked for.
        """
        self.secret.unlink()

        reason = f"cannot read '{self.secret}': No such file or directory"
        self.assertEqual([f"pc.toml:2: drivers.paper.password.file: {reason}"], self.lines())

    def test_strange_secret(self) -> None:
        """
        What is no plain text file of reasonable size is no secret.
        """
        self.secret.unlink()
        key = "pc.toml:2: drivers.paper.password.file: "
        self.secret.mkdir()
        self.assertEqual([f"{key}cannot read 'secrets/paper': not a regular file"], self.lines())
        self.secret.rmdir()
        self.secret.write_bytes(b"\xff")
        self.assertEqual([f"{key}'secrets/paper' is not UTF-8 text"], self.lines())
        self.secret.write_bytes(b"x" * 70_000)
        self.assertEqual([f"{key}cannot read 'secrets/paper': longer than 64 KiB"], self.lines())

    def test_a_pipe_does_not_hang(self) -> None:
        """
        A pipe into which nobody writes is refused instead of waited for.
        """
        self.file.unlink()
        os.mkfifo(self.file)

        self.assertEqual(["pc.toml:1: cannot read it: not a regular file"], self.lines())

    def test_missing_file(self) -> None:
        """
        A configuration that is not there is one line.
        """
        self.file.unlink()

        self.assertEqual(["pc.toml:1: cannot read it: No such file or directory"], self.lines())
        self.assertRaises(ConfigMistakes, load, str(self.file), DRIVERS)
        self.assertRaises(ConfigMistakes, load_server, str(self.file))

    def test_not_text(self) -> None:
        """
        Bytes that are no text are named with their line and column.
        """
        self.file.write_bytes(b"[server]\nstate_dir = '\xe9'\n")

        self.assertEqual(["pc.toml:2:14: not TOML: not UTF-8 text"], self.lines())

    def test_other_line_ends(self) -> None:
        """
        A file from another system has the same lines.
        """
        self.file.write_bytes(b"[server]\r\nstate_dri = 1\r\n")

        self.assertEqual(
            ["pc.toml:2: server.state_dri: unknown key; did you mean 'state_dir'?"], self.lines()
        )
