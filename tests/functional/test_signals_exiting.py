# SPDX-License-Identifier: MIT
"""
Ending a process that is stuck, and ending one that cannot begin.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.signalled_twistd import SignalledCase

STUCK = """\
import ctypes, time
from powercoord.lifecycle.exiting import exit_with, insist
exit_with(75)
insist(0.2, 7)
{stuck}
"""


class InsistTests(SynchronousTestCase):
    """
    `insist` and `exit_with`.
    """

    def run_stuck(self, stuck: str) -> tuple[int, str]:
        """
        Run a process that is stuck like this; returns how it ended, and what it said.
        """
        ended = subprocess.run(
            [sys.executable, "-c", STUCK.format(stuck=stuck)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return ended.returncode, ended.stderr

    def test_in_python(self) -> None:
        """
        A process that is stuck in Python ends with its code, and says where it was stuck.
        """
        code, said = self.run_stuck("while True: pass")

        self.assertEqual(7, code)
        self.assertIn("stuck while ending", said)
        self.assertIn('File "<string>", line 5 in <module>', said)

    def test_in_a_library(self) -> None:
        """
        So does one that waits in a library.
        """
        code, said = self.run_stuck("ctypes.CDLL(None).pause()")

        self.assertEqual(7, code, said)

    def test_in_the_interpreter(self) -> None:
        """
        One that does not even let other threads run is ended by the kernel, a second later.
        """
        code, said = self.run_stuck("ctypes.PyDLL(None).sleep(30)")

        self.assertEqual(-signal.SIGALRM, code, said)

    def test_not_stuck(self) -> None:
        """
        One that ends by itself has the code that it was to have.
        """
        self.assertEqual((75, ""), self.run_stuck(""))


class StartTests(SignalledCase):
    """
    What cannot begin.
    """

    async def test_configuration(self) -> None:
        """
        With a mistake in its configuration it ends with 78 and a line that says where the mistake is.
        """
        for grace in ("-1", '"soon"'):
            (self.folder / "pc.toml").unlink(missing_ok=True)
            twistd = self.spawn(f"graceful_shutdown_timeout = {grace}")
            await self.ended(twistd)

            self.assertEqual(78, twistd.code, twistd.text)
            self.assertIn("pc.toml:4: server.graceful_shutdown_timeout: ", twistd.text)

    async def test_port_in_use(self) -> None:
        """
        Without its door it ends with 69 and a line that says which and why.
        """
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(str(self.folder / "amp.sock"))
            taken.listen()
            twistd = self.spawn()
            await self.ended(twistd)

        self.assertEqual(69, twistd.code, twistd.text)
        self.assertIn("cannot open AMP at unix:", twistd.text)
        self.assertNotIn("Traceback", twistd.text)

    async def test_journal_in_use(self) -> None:
        """
        Nor does a second one begin with the journal of a first, which goes on.
        """
        first = await self.start()
        config = self.folder / "pc.toml"
        config.write_text(config.read_text().replace("amp.sock", "amp2.sock"))
        self.pidfile = self.folder / "pid2"
        second = self.spawn()
        await self.ended(second)

        self.assertEqual(69, second.code, second.text)
        self.assertIn("cannot use the journal: ", second.text)
        self.assertFalse(first.over)
