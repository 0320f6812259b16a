# SPDX-License-Identifier: MIT
"""
Real signals to a real ``twistd`` with actions under way: what ends, when, and with which exit code.
"""

from __future__ import annotations

from powercoord.model import Done, How, PowerState
from tests.functional.signalled_twistd import HUP, INT, NAMES, TERM, SignalledCase

ON = Done(How.COMMANDED, PowerState.ON)


class GracefulTests(SignalledCase):
    """
    The first SIGTERM.
    """

    async def test_finishes(self) -> None:
        """
        A SIGTERM lets twenty actions end in parallel, answers them, and ends with 0 and without a pidfile.
        """
        twistd = await self.start()
        self.slow(2)
        outcomes = await self.accepted(*NAMES)
        since = self.send(TERM, TERM, TERM, TERM, TERM)
        self.assertEqual({ON}, set(await self.all_of(outcomes)))
        took = await self.ended(twistd, since)

        self.assertEqual((0, None), (twistd.code, twistd.signal), twistd.text)
        self.assertTrue(1 < took < 20, took)
        self.assertIn("all actions had ended; exit code 0", twistd.text)
        self.assertNotIn("Traceback", twistd.text)
        self.assertFalse(self.pidfile.exists())
        self.assertEqual({True}, {self.fleet.power(index) for index in range(20)})

    async def test_deadline(self) -> None:
        """
        What has not ended in the grace is interrupted, and the exit code is 75.
        """
        twistd = await self.start("graceful_shutdown_timeout = 1")
        self.slow(30)
        await self.accepted("n001", "n002")
        took = await self.ended(twistd, self.send(TERM))

        self.assertEqual(75, twistd.code, twistd.text)
        self.assertTrue(0.9 < took < 15, took)
        self.assertIn("stopped at the deadline of 1 s: 2 actions interrupted", twistd.text)

    async def test_no_grace(self) -> None:
        """
        A grace of 0 does not wait.
        """
        twistd = await self.start("graceful_shutdown_timeout = 0")
        self.slow(30)
        await self.accepted("n001")
        took = await self.ended(twistd, self.send(TERM))

        self.assertEqual(75, twistd.code, twistd.text)
        self.assertLess(took, 15)

    async def test_infinite_grace(self) -> None:
        """
        An infinite one waits for as long as it takes.
        """
        twistd = await self.start('graceful_shutdown_timeout = "infinity"', ("-n", "--reactor=asyncio"))
        self.slow(3)
        outcomes = await self.accepted("n001")
        self.send(TERM)
        self.assertEqual([ON], await self.all_of(outcomes))
        await self.ended(twistd)

        self.assertEqual(0, twistd.code, twistd.text)


class ImpatientTests(SignalledCase):
    """
    SIGINT, and a second SIGTERM.
    """

    async def check(self, code: int, since: float) -> None:
        took = await self.ended(self.twistd, since)
        self.assertEqual(code, self.twistd.code, self.twistd.text)
        self.assertLess(took, 15)
        self.assertIn("1 action interrupted", self.twistd.text)
        self.assertNotIn("Traceback", self.twistd.text)
        self.assertFalse(self.pidfile.exists())

    async def test_interrupt(self) -> None:
        """
        SIGINT ends it at once, with 130.
        """
        await self.start()
        self.slow(30)
        await self.accepted("n001")
        await self.check(130, self.send(INT))

    async def test_second_terminate(self) -> None:
        """
        A second SIGTERM ends the drain at once, with 143.
        """
        await self.start()
        self.slow(30)
        await self.accepted("n001")
        self.send(TERM)
        await self.pause(0.6)
        await self.check(143, self.send(TERM))

    async def test_interrupt_after_terminate(self) -> None:
        """
        So does SIGINT, with 130; also where a shell without job control had it ignored.
        """
        await self.start(shell="trap '' INT")
        self.slow(30)
        await self.accepted("n001")
        self.send(TERM)
        await self.check(130, self.send(INT))


class ReloadTests(SignalledCase):
    """
    SIGHUP.
    """

    async def test_touches_nothing(self) -> None:
        """
        SIGHUP, also during a drain, ends no process, no action and no connection.
        """
        twistd = await self.start()
        self.slow(2)
        outcomes = await self.accepted("n001", "n002")
        self.send(HUP)
        await self.pause(0.2)
        self.send(TERM)
        await self.pause(0.2)
        self.send(HUP)
        self.assertEqual([ON, ON], await self.all_of(outcomes))
        await self.ended(twistd)

        self.assertEqual(0, twistd.code, twistd.text)


class StuckTests(SignalledCase):
    """
    A reactor that is stuck.
    """

    async def test_in_python(self) -> None:
        """
        A reactor that is stuck in Python is ended by force three seconds after the second SIGTERM, with 143.
        """
        twistd = await self.start(stuck=True)
        self.stick("python")
        await self.pause(0.3)
        self.send(TERM)
        await self.pause(0.5)
        took = await self.ended(twistd, self.send(TERM))

        self.assertEqual(143, twistd.code, twistd.text)
        self.assertTrue(2 < took < 20, took)
        self.assertIn("stuck while ending, here", twistd.text)
        self.assertIn(" in stick", twistd.text)


class DaemonTests(SignalledCase):
    """
    ``twistd`` in the background.
    """

    async def test_pidfile(self) -> None:
        """
        As a daemon it obeys the same signals, and removes its pidfile when it has ended.
        """
        log = self.folder / "log"
        twistd = await self.start(words=(f"--logfile={log}",))
        await twistd.ended()
        self.assertEqual(0, twistd.code, twistd.text)
        self.slow(2)
        outcomes = await self.accepted("n001")
        self.send(TERM)
        self.assertEqual([ON], await self.all_of(outcomes))
        while self.pidfile.exists():
            await self.pause(0.05)

        self.assertIn("all actions had ended; exit code 0", log.read_text())
