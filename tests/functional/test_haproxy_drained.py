# SPDX-License-Identifier: MIT
"""
Drains of a real process, as whoever asks its agent check sees them.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from powercoord.client import Client
from tests.functional.haproxy_rack import SECRET, Rack

BASE = "127.78.1"


class DrainedTests(TestCase):
    """
    A drain as somebody sees it who asks a coordinator's agent check, and nothing else.
    """

    timeout = 120

    async def start(self) -> None:
        self.rack = Rack(reactor=reactor, base=BASE, fleet=623, count=1)
        self.addCleanup(self.rack.clear)
        self.rack.start()
        await self.until("up ready 100%\n", 30.0)

    async def until(self, word: str, seconds: float = 1.0) -> set[str]:
        """
        Wait until it says this; what it said before.
        """
        begin, said = reactor.seconds(), set()
        while (now := await self.rack.word()) != word:
            self.assertLess(reactor.seconds() - begin, seconds, f"{now!r}; {self.rack.log()}")
            said.add(now)
            await deferLater(reactor, 0.01)
        return said

    async def test_by_file(self) -> None:
        """
        Each word of the file is seen outside within a second; a drain is still there after a restart, without
        a moment at which anybody was told to come.
        """
        await self.start()
        for word, line in (
            ("drain", "drain"),
            ("MAINT", "maint"),
            ("nonsense", "maint"),
            ("stopped", "drain"),
        ):
            self.rack.say(word)
            await self.until(f"{line} up 100%\n")
        await self.rack.end()
        self.rack.start()
        said = await self.until("drain up 100%\n", 30.0)
        self.assertLessEqual(said, {"", "down ready 100% #starting\n"})
        self.rack.say("ready")

        await self.until("up ready 100%\n")

    async def test_by_command(self) -> None:
        """
        A drain by command is seen outside at once, outlives a restart, and is not undone by a file.
        """
        await self.start()
        client = Client.from_string(reactor, self.rack.socket, requester="operator", secret=SECRET)
        await client.connect()
        self.addCleanup(client.close)
        await client.drain("a new version")
        self.assertEqual("drain up 100%\n", await self.rack.word())
        self.rack.say("ready")
        await self.rack.end()
        self.rack.start()
        said = await self.until("drain up 100%\n", 30.0)
        self.assertLessEqual(said, {"", "down ready 100% #starting\n"})
        await client.resume()

        self.assertEqual("up ready 100%\n", await self.rack.word())

    async def test_by_signal(self) -> None:
        """
        A stop is seen outside as a drain until the very end, and is forgotten by the restart.
        """
        await self.start()
        ending = Deferred.fromCoroutine(self.rack.end())
        said = await self.until("", 10.0)
        self.assertLessEqual(said, {"up ready 100%\n", "drain up 100%\n"})
        self.assertIn("drain up 100%\n", said)
        self.assertEqual(0, (await ending).code)
        self.rack.start()

        await self.until("up ready 100%\n", 30.0)
