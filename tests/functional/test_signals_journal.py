# SPDX-License-Identifier: MIT
"""
What a stopped coordinator leaves in its journal, and that the next one goes on from there.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from powercoord.model import Done, How, Outcome, Policy, PowerState, Superseded, Verb
from powercoord.stages import Stage
from tests.functional.signalled_twistd import INT, TERM, SignalledCase, Twistd

QUEUED, SENT, LATE, SUPERSEDED = "n001", "n002", "n003", "n004"


class JournalCase(SignalledCase):
    """
    Reads what is on the disk, when nobody writes.
    """

    def rows(self, query: str) -> list[Any]:
        """
        The rows of a query, of a file that SQLite finds in order.
        """
        with closing(sqlite3.connect(self.folder / "journal.db")) as database:
            self.assertEqual([("ok",)], database.execute("PRAGMA integrity_check").fetchall())
            return database.execute(query).fetchall()

    def stopped_in_order(self) -> list[bool]:
        """
        Of each run, whether it closed the journal.
        """
        return [ended is not None for (ended,) in self.rows("SELECT ended FROM run ORDER BY id")]

    def answers(self) -> dict[str, list[str]]:
        """
        The terminal records of each request, by the node and the verb.
        """
        found: dict[str, list[str]] = {}
        query = (
            "SELECT kind, request_id, body FROM entry WHERE kind IN ('accepted', 'answered') ORDER BY number"
        )
        names = {}
        for kind, request_id, text in self.rows(query):
            body = json.loads(text)
            if kind == "accepted":
                names[request_id] = f"{body['request']['verb']} {body['request']['node']}"
                found[names[request_id]] = []
            elif kind == "answered":
                found[names[request_id]].append(body["outcome"]["outcome"])
        return found


class GoingOnTests(JournalCase):
    """
    Actions in each phase, a stop of each kind, and another start.
    """

    # Longer than a machine takes: an on that was sent may still take effect, and an off must know.
    settle = 3.0

    async def test_deadline(self) -> None:
        """
        After the deadline all that was accepted goes on with the next start, and is answered once.
        """
        await self.check(self.terminate, 75, grace=0.5)

    async def test_interrupt(self) -> None:
        """
        After SIGINT all that was accepted goes on with the next start, and is answered once.
        """
        await self.check(self.interrupt, 130)

    async def test_second_terminate(self) -> None:
        """
        After a second SIGTERM all that was accepted goes on with the next start, and is answered once.
        """
        await self.check(self.terminate_twice, 143)

    async def terminate(self) -> None:
        self.send(TERM)

    async def interrupt(self) -> None:
        self.send(INT)

    async def terminate_twice(self) -> None:
        self.send(TERM)
        await self.pause(0.5)
        self.send(TERM)

    async def check(self, stop: Any, code: int, grace: float = 60) -> None:
        first = await self.start(f"graceful_shutdown_timeout = {grace}")
        self.slow(2)
        outcomes = await self.begin()
        await stop()
        await first.ended()
        self.assertEqual(code, first.code, first.text)
        self.assertNotIn("Traceback", first.text)
        self.assertEqual([True], self.stopped_in_order())

        second = self.spawn()
        ended = await self.all_of(outcomes)
        self.send(TERM)
        await self.ended(second)
        self.assertEqual(0, second.code, second.text)
        self.judge(ended)

    async def begin(self) -> list[Deferred[Outcome]]:
        """
        An action that waits, one that is under way, one that is verified, and one that is cancelled.
        """
        outcomes = await self.accepted(QUEUED, SENT, LATE, SUPERSEDED)
        await self.pause(0.2)
        outcomes += await self.accepted(QUEUED, verb=Verb.OFF, policy=Policy.QUEUE)
        outcomes += await self.accepted(SUPERSEDED, verb=Verb.OFF)
        return outcomes

    def judge(self, ended: list[Any]) -> None:
        """
        Each was answered once, as it is recorded, and the machines are what was wanted of them last.
        """
        queued, sent, late, superseded, off, superseder = ended
        on = Done(How.COMMANDED, PowerState.ON)
        self.assertEqual([on] * 3, [queued, sent, late])
        self.assertIsInstance(superseded, Superseded)
        self.assertEqual([PowerState.OFF] * 2, [off.state, superseder.state])
        self.assertEqual(
            {"on n001": ["done"], "on n002": ["done"], "on n003": ["done"], "on n004": ["superseded"]}
            | {"off n001": ["done"], "off n004": ["done"]},
            self.answers(),
        )
        self.assertEqual([], self.rows("SELECT * FROM action"))
        self.assertEqual([True, True], self.stopped_in_order())
        self.assertEqual([False, True, True, False], [self.fleet.power(index) for index in range(4)])
        self.assertEqual(["on", "off"], self.commanded(QUEUED))
        for name in (SENT, LATE):
            self.assertEqual({"on"}, set(self.commanded(name)))


class DrainTests(JournalCase):
    """
    Drained by a command.
    """

    async def test_outlives_a_restart(self) -> None:
        """
        A drain by command is there after a stop and a start, refuses changes, and is gone once it is resumed.
        """
        first = await self.start()
        await self.client.drain("new PDU")
        await self.stop(first)
        second = await self.start()
        health = await self.client.health()
        self.assertIs(Stage.DRAINED, health.stage)
        (refused,) = await self.client.submit([self.client.request("n001", Verb.ON)])
        self.assertIn("new PDU", str(refused.error))
        await self.client.resume()
        await self.stop(second)
        third = await self.start()
        self.assertIs(Stage.SERVING, (await self.client.health()).stage)
        await self.stop(third)

    async def test_a_hundred_cycles(self) -> None:
        """
        A hundred drains and resumes leave as many open files and threads as there were after the first.
        """
        twistd = await self.start()
        counts = []
        for _ in range(100):
            await self.client.drain("once more")
            await self.client.resume()
            counts.append(self.counts())
        self.assertEqual(counts[1], counts[-1])
        self.assertFalse((self.folder / "drain").exists())
        await self.stop(twistd)

    def counts(self) -> list[int]:
        """
        How many files it has open, and how many threads.
        """
        return [len(list(Path(f"/proc/{self.pid}/{what}").iterdir())) for what in ("fd", "task")]

    async def test_shutdown_is_answered(self) -> None:
        """
        Who asks an idle coordinator to end gets an answer before it does, and it ends with 0.
        """
        twistd = await self.start()
        await self.client.shutdown()
        await self.ended(twistd)

        self.assertEqual(0, twistd.code, twistd.text)

    async def stop(self, twistd: Twistd) -> None:
        self.send(TERM)
        await self.ended(twistd)
        self.assertEqual(0, twistd.code, twistd.text)
