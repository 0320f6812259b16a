# SPDX-License-Identifier: MIT
"""
A region controller and a real coordinator that is killed: nothing is missing, and nothing comes twice.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue

from powercoord.client import Client, Desired, Lagged, Refused
from powercoord.entries import Answered
from powercoord.errors import Draining, Stale
from powercoord.model import Done, Goal, How, PowerState, Verb
from powercoord.stages import Stage
from tests.functional.signalled_twistd import NAMES, SignalledCase

ON = Done(How.COMMANDED, PowerState.ON)


class RegionCase(SignalledCase):
    timeout = 120

    async def kill(self) -> None:
        """
        Let it end as it does when the power goes.
        """
        self.child.signalProcess("KILL")
        await self.twistd.ended()

    async def command(self, *words: str) -> tuple[str, str, int]:
        """
        Run a command line; returns what it wrote, and its exit code.
        """
        program = [
            "-c",
            "from powercoord.cli import main; main()",
            "--connect",
            f"unix:{self.folder}/amp.sock",
        ]
        out, err, code = await getProcessOutputAndValue(sys.executable, [*program, *words], os.environ)
        return out.decode(), err.decode(), code

    async def told(self, watch: Any, ids: set[str]) -> list[Any]:
        """
        What a watch tells until all these requests are answered.
        """
        events: list[Any] = []
        waiting = set(ids)
        async for event in watch:
            events.append((watch.cursor, event))
            if isinstance(event, Answered):
                waiting.discard(event.request_id)
            if not waiting:
                break
        return events


class KilledTests(RegionCase):
    async def test_watch_goes_on(self) -> None:
        """
        A watch tells every event of a coordinator that is killed at work, once, and in order.
        """
        await self.start()
        self.slow(1)
        watch = await self.client.watch(after=0)
        requests = [self.client.request(name, Verb.ON) for name in NAMES]
        answers = await self.client.submit(requests)
        outcomes = [self.client.outcome(answer) for answer in answers]
        telling: Deferred[Any] = ensureDeferred(self.told(watch, {each.request_id for each in requests}))
        await self.pause(0.5)
        await self.kill()
        self.spawn()

        self.assertEqual({ON}, set(await gatherResults(outcomes)))
        events = await telling
        again = await self.told(await self.client.watch(after=0), {each.request_id for each in requests})
        self.assertEqual([number for number, _ in again], [number for number, _ in events])
        self.assertFalse([event for _, event in events if isinstance(event, Lagged)])
        self.assertEqual(20, sum(isinstance(event, Answered) for _, event in events))
        await self.kill()

    async def test_agreeing_again(self) -> None:
        """
        A region that was away is told what goes on, says what it wants, and a repeated page runs nothing.
        """
        await self.start()
        self.slow(30, 0)
        await self.accepted("n001", sequence=7)
        await self.kill()
        self.spawn()
        (unfinished,) = await self.client.list_outstanding()
        self.assertEqual(
            ("n001", Goal.ON, 7, "test"),
            (
                unfinished.name,
                unfinished.wanted.goal,
                unfinished.wanted.sequence,
                unfinished.in_play.waiters[0].requester,
            ),
        )

        wanted = [Desired("n001", Goal.OFF, 6), Desired("n002", Goal.ON, 1)]
        stale, accepted = await self.client.reconcile(wanted, "plan-1")
        self.assertIsInstance(stale, Refused)
        self.assertIsInstance(stale.error, Stale)
        self.assertEqual(ON, await self.client.outcome(accepted))
        _, again = await self.client.reconcile(wanted, "plan-1")
        self.assertEqual(ON, again.outcome)
        self.assertEqual(["on"], self.commanded("n002"))

        resolved = await self.client.resolve(unfinished.in_play.id, "pulled the plug")
        self.assertTrue(resolved)
        out, _, code = await self.command("show", unfinished.in_play.id)
        self.assertEqual(0, code)
        self.assertIn("resolved by test via local: pulled the plug", out)
        await self.kill()


class ShellTests(RegionCase):
    async def test_history(self) -> None:
        """
        What was asked before a kill is told after it, through which door, and how it ended.
        """
        await self.start()
        self.assertEqual(ON, await self.client.on("n001"))
        await self.client.off("n002")
        await self.kill()
        self.spawn()
        await self.client.info()
        out, err, code = await self.command("history", "n[001-020]", "--json")
        self.assertEqual((0, ""), (code, err))
        second, first = json.loads(out)["requests"]
        asked = first["request"]
        self.assertEqual(("n001", "on"), (asked["node"], asked["verb"]))
        self.assertEqual(("test", "amp"), (asked["requester"], asked["door"]))
        self.assertEqual("done", first["outcome"]["outcome"])
        self.assertEqual("n002", second["request"]["node"])
        out, _, _ = await self.command("status")
        self.assertTrue(out.startswith("The coordinator is serving; nothing pending.\n"), out)
        await self.kill()

    async def test_last_one(self) -> None:
        """
        A coordinator whose only peer turns out to be draining, too (here: itself), is not drained.
        """
        await self.start()
        peers = ["--if-peer-ready", f"unix:{self.folder}/none.sock", "--if-peer-ready"]
        _, err, code = await self.command("drain", *peers[:2])
        self.assertEqual(1, code)
        self.assertIn("last coordinator", err)
        _, err, code = await self.command("drain", *peers, f"unix:{self.folder}/amp.sock")
        self.assertEqual(1, code)
        self.assertIn("(by ", err)

        self.assertIs(Stage.SERVING, (await self.client.health()).stage)
        await self.kill()

    async def test_drain_and_end(self) -> None:
        """
        A drain that waits ends with the last action, and outlives a kill; a shutdown is answered first
        """
        await self.start()
        self.slow(1.5, 0)
        (outcome,) = await self.accepted("n001")
        out, err, code = await self.command("drain", "--wait", "--reason", "moving")
        self.assertEqual(("Drained: nothing is in play, and nothing waits.\n", 0), (out, code), err)
        self.assertEqual(ON, await outcome)
        await self.kill()
        twistd = self.spawn()

        now = await self.client.health()
        self.assertEqual((Stage.DRAINED, "moving"), (now.stage, now.drain.reason))
        await self.assertFailure(self.client.on("n002"), Draining)
        other = Client.from_string(reactor, f"unix:{self.folder}/amp.sock", requester="other")
        await other.connect()
        answered = await other.shutdown()
        self.assertEqual(0, answered.pending)
        await other.close()
        await self.ended(twistd)
        self.assertEqual((0, None), (twistd.code, twistd.signal), twistd.text)
