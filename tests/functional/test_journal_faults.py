# SPDX-License-Identifier: MIT
"""
The journal with its real threads, on disks that are full, read-only or limited, and killed in the middle.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.errors import JournalUnavailable
from powercoord.journal import SqliteJournal, sqlite_journal
from tests.functional.journal_child import story

KILLS = 12


class JournalCase(TestCase):
    """
    A folder, and journals in it.
    """

    timeout = 120

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    async def opened(self, folder: Path | None = None) -> SqliteJournal:
        journal = sqlite_journal(reactor, folder or self.folder)
        self.recovered = await journal.open()
        self.addCleanup(journal.close)
        return journal

    def small_disk(self, options: str) -> Path:
        """
        A file system of its own, if we may mount one.
        """
        self.folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", options, "none", self.folder]
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
        if mounted.returncode:
            raise SkipTest(f"cannot mount a small disk: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.folder], check=True)
        return self.folder / "state"

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)

    async def healed(self, journal: SqliteJournal) -> None:
        while journal.trouble is not None:
            await deferLater(reactor, 0.05)

    async def until_refused(self, journal: SqliteJournal, most: int = 10_000) -> tuple[list[int], str]:
        """
        Append until that fails: the requests that are durable, and the reason.
        """
        durable: list[int] = []
        for number in range(1, most):
            try:
                await journal.append(story(number))
            except JournalUnavailable as error:
                return durable, str(error)
            durable.append(number)
        raise AssertionError("nothing was refused")

    async def known(self, journal: SqliteJournal) -> set[int]:
        """
        The numbers of the stories that are there.
        """
        records = await journal.history.requests(None, None, 1_000_000)
        return {int(each.request.request_id[1:]) for each in records}


class ThreadTests(JournalCase):
    async def test_many_at_once(self) -> None:
        """
        Appends from many at once are all durable, in the order of the calls, with consecutive numbers.
        """
        journal = await self.opened()
        heard: list[int] = []
        appends = [
            journal.append(story(number)).addCallback(heard.append) for number in range(1, 2001) if number % 3
        ]
        await gatherResults(appends)

        self.assertEqual([*range(3, 3 * len(appends) + 1, 3)], heard)
        entries = await journal.history.entries(0, 10_000)
        self.assertEqual([*range(1, heard[-1] + 1)], [each.number for each in entries])

    async def test_close_writes(self) -> None:
        """
        What was appended before it is closed is written.
        """
        journal = await self.opened()
        written = journal.append(story(1))
        await journal.close()

        self.assertEqual(3, await written)
        await self.opened()
        self.assertEqual(3, self.recovered.newest)

    async def test_reading_meanwhile(self) -> None:
        """
        Reading does not wait for writing, nor the other way round.
        """
        journal = await self.opened()
        writes = [journal.append(story(number)) for number in range(1, 500)]
        reads = [journal.history.requests(None, None, 10) for _ in range(20)]

        await gatherResults(reads)
        await gatherResults(writes)


class FullDiskTests(JournalCase):
    async def test_full(self) -> None:
        """
        A full disk fails what is appended and nothing else, and the journal heals when there is room.
        """
        state = self.small_disk("size=1m")
        journal = await self.opened(state)
        durable, reason = await self.until_refused(journal)

        self.assertIn("database or disk is full; make room on its file system", reason)
        self.assertEqual(reason, journal.trouble)
        self.assertEqual(set(durable), await self.known(journal))
        self.remount("size=8m")
        await self.healed(journal)
        await journal.append(story(20_000))
        self.assertEqual({*durable, 20_000}, await self.known(journal))
        await journal.close()
        again = await self.opened(state)
        self.assertEqual({*durable, 20_000}, await self.known(again))

    async def test_full_and_killed(self) -> None:
        """
        What was durable before the disk was full is there after a crash, and what was refused is not.
        """
        state = self.small_disk("size=1m")
        heard = run_child(state, lines=400)
        refused = [line for line in heard if line.startswith("refused")]

        self.assertTrue(refused)
        self.remount("size=8m")
        journal = await self.opened(state)
        known = await self.known(journal)
        self.assertEqual(set(), numbers(heard, "durable") - known)
        self.assertEqual(set(), numbers(heard, "refused") & known)

    async def test_read_only(self) -> None:
        """
        A disk that is read-only is refused with the reason, and what is on it stays as it was.
        """
        state = self.small_disk("size=8m")
        journal = await self.opened(state)
        await journal.append(story(1))
        await journal.close()
        self.remount("ro")
        refused = await self.assertFailure(sqlite_journal(reactor, state).open(), JournalUnavailable)
        self.remount("rw")
        await self.opened(state)

        self.assertIn("Read-only file system; the state directory must be writable", str(refused))
        self.assertEqual(3, self.recovered.newest)


class LimitTests(JournalCase):
    async def test_error(self) -> None:
        """
        After an I/O error, what was said to be durable is there, and what was refused is not.
        """
        heard = run_child(self.folder, "300000", lines=400)

        self.assertIn("disk I/O error; look at the disk", "\n".join(heard))
        journal = await self.opened()
        known = await self.known(journal)
        self.assertEqual(set(), numbers(heard, "durable") - known)
        self.assertEqual(set(), numbers(heard, "refused") & known)


class KillTests(JournalCase):
    async def test_kill(self) -> None:
        """
        Whatever a process heard to be durable is there after it was killed, however often that happens.
        """
        heard: set[int] = set()
        for number in range(KILLS):
            heard |= numbers(run_child(self.folder, lines=1 + 37 * number), "durable")
            journal = sqlite_journal(reactor, self.folder)
            recovered = await journal.open()
            known = await self.known(journal)
            await journal.close()

            self.assertEqual(set(), heard - known)
            self.assertEqual(
                {each for each in known if each % 3 == 0}, {int(each.action[1:]) for each in recovered.left}
            )
        self.assertGreater(len(heard), 1000)

    async def test_second_process(self) -> None:
        """
        While a process has the directory, a second one is refused, with its id.
        """
        child = start_child(self.folder)
        try:
            read_lines(child, 1)
            refused = await self.assertFailure(
                sqlite_journal(reactor, self.folder).open(), JournalUnavailable
            )
            self.assertIn(f"process {child.pid} uses this state directory", str(refused))
        finally:
            stop_child(child)


def start_child(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.functional.journal_child", str(folder), *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def read_lines(child: subprocess.Popen[bytes], lines: int) -> list[str]:
    assert child.stdout is not None
    return [child.stdout.readline().decode().rstrip() for _ in range(lines)]


def stop_child(child: subprocess.Popen[bytes]) -> list[str]:
    """
    Kill it; what it had said till then.
    """
    child.kill()
    rest, _ = child.communicate()
    return rest.decode().splitlines()


def run_child(folder: Path, *arguments: str, lines: int) -> list[str]:
    """
    Let a process say so many lines, and kill it; all that it said.
    """
    child = start_child(folder, *arguments)
    heard = read_lines(child, lines)
    return heard + stop_child(child)


def numbers(heard: list[str], word: str) -> set[int]:
    return {int(line.split()[1][1:]) for line in heard if line.startswith(f"{word} ")}
