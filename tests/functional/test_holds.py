# SPDX-License-Identifier: MIT
"""
Holds of a real coordinator that is killed: still there, for everybody, until they are released or over.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import ensureDeferred

from powercoord.entries import Held, Released
from powercoord.errors import Held as HeldError
from powercoord.model import Done, Goal, How, PowerState
from tests.functional.test_region_recovery import RegionCase

ON = Done(How.COMMANDED, PowerState.ON)


class HeldTests(RegionCase):
    async def test_killed(self) -> None:
        """
        A hold is there after a kill; what was accepted before it goes on, and nothing else until its release.
        """
        await self.start()
        self.slow(3600, 0)
        (going_on,) = await self.accepted("n001")
        words = ("hold", "n[001-005]", "--reason", "new DIMMs", "--until", "1h", "--requester", "ann")
        out, err, code = await self.command(*words)
        self.assertEqual(0, code, err)
        self.assertIn("n[001-005]", out)
        self.assertIn("What was accepted before goes on: on n001.", err)
        await self.kill()
        self.assertNoResult(going_on)
        self.spawn()
        await self.client.info()
        self.fleet.bmcs[0].machine.press_button(True)
        self.assertEqual(ON, await going_on)

        out, _, code = await self.command("off", "n[001-005]")
        self.assertEqual(1, code)
        self.assertIn("refused  5      n[001-005]  off is refused, it is held by ann since ", out)
        self.assertEqual(
            ["ann"] * 5 + [None] * 15,
            [status.holds[0].holder if status.holds else None for status in await self.client.status()],
        )
        out, _, code = await self.command("release", "n[001-005]")
        self.assertEqual(1, code)
        self.assertIn("still held", out)
        self.assertNotIn("off", self.commanded("n001"))
        self.assertEqual(PowerState.ON, (await self.client.query(["n001"]))[0].state)

        _, err, code = await self.command("release", "n[001-005]", "--holder", "ann", "--requester", "bob")
        self.assertEqual(0, code, err)
        await self.kill()
        self.spawn()
        self.assertIsInstance(await self.client.off("n001"), Done)
        out, _, _ = await self.command("history", "n001", "--json")
        document = json.loads(out)
        self.assertEqual(["off", "on"], [it["request"]["verb"] for it in document["requests"]])
        self.assertEqual(
            [("released", "bob via local"), ("held", "ann via local")],
            [(it["event"], it["by"]) for it in document["holds"]],
        )
        await self.kill()

    async def test_over_while_it_was_down(self) -> None:
        """
        A hold whose time comes while nobody is there is told as over by the next coordinator.
        """
        await self.start()
        watch = await self.client.watch(nodes=["n002"], after=0)
        await self.client.hold(["n002"], "a moment", lasting=2.0, only=Goal.ON)
        await self.client.hold(["n003"], "for good")
        await self.assertFailure(self.client.on("n002"), HeldError)
        await self.kill()
        await self.pause(2.1)
        self.spawn()

        self.assertEqual(ON, await self.client.on("n002"))
        held, released = await ensureDeferred(self.two(watch))
        self.assertEqual(("test", "test", ""), (held.hold.holder, released.holder, released.by))
        await self.assertFailure(self.client.on("n003"), HeldError)
        self.assertEqual([], self.commanded("n003"))
        await self.kill()

    async def two(self, watch: Any) -> list[Any]:
        """
        The next two events that are about holds.
        """
        found: list[Any] = []
        async for event in watch:
            if isinstance(event, Held | Released):
                found.append(event)
            if len(found) == 2:
                break
        return found
