# SPDX-License-Identifier: MIT
"""
The agent check as a real HAProxy understands it, and as those who abuse it find it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from powercoord.api.agent import AgentCheck, AgentLimits
from powercoord.api.agent_words import Manner
from powercoord.lifecycle.drain_file import DrainFile
from powercoord.stages import Source, Stage
from tests.functional.haproxy_peer import FORCED_DRAIN, FORCED_MAINT, MISSING, HAProxy, Server, State
from tests.test_agent import PaperLifecycle

INTER = 100


class AgentCase(TestCase):
    timeout = 120

    async def listen(self, **options: Any) -> int:
        """
        Answer agent checks; on which port.
        """
        self.lifecycle = PaperLifecycle()
        self.agent = AgentCheck(reactor, ["tcp:0:interface=127.0.0.1"], self.lifecycle, **options)
        await self.agent.open()
        self.addCleanup(self.close)
        (port,) = self.agent.ports
        host: Any = port.getHost()
        return int(host.port)

    async def close(self) -> None:
        await self.agent.close()

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)


class HAProxyCase(AgentCase):
    skip = MISSING

    async def start(self, manner: Manner | None = None, more: str = "") -> None:
        """
        A server with an agent, and an HAProxy that knows it.
        """
        agent = await self.listen(manner=manner or Manner())
        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.haproxy = HAProxy(reactor, [Server("s1", port.getHost().port, agent, more)], inter=INTER)
        await self.haproxy.start()
        self.addCleanup(self.haproxy.stop)
        await self.until(lambda it: it.agent_status == "L7OK" and it.status == "UP")

    async def until(self, condition: Callable[[State], bool]) -> State:
        """
        Wait until HAProxy thinks so, a second at most.
        """
        end = monotonic() + 1.0
        while not condition(state := await self.haproxy.state("s1")):
            self.assertLess(monotonic(), end, f"{state} after {self.agent.line()!r}")
            await self.pause(0.02)
        return state

    async def stays(self, condition: Callable[[State], bool]) -> None:
        """
        Fail unless HAProxy still thinks so after some more checks.
        """
        await self.pause(5 * INTER / 1000)
        state = await self.haproxy.state("s1")
        self.assertTrue(condition(state), state)


def serves(it: State) -> bool:
    return it.status == "UP" and it.operating == 2 and it.admin == 0 and it.weight == 100


def drains(it: State) -> bool:
    return it.status.startswith("DRAIN") and it.operating == 2 and it.admin == FORCED_DRAIN


def is_away(it: State) -> bool:
    return it.status == "MAINT" and it.operating == 0 and it.admin == FORCED_MAINT


def is_down(it: State) -> bool:
    return it.status == "DOWN (agent)" and it.operating == 0 and it.admin == 0


class WordTests(HAProxyCase):
    """
    Each word, by HAProxy's own account.
    """

    async def test_every_way_back(self) -> None:
        """
        Each stage is seen within a second, and from each HAProxy comes back to the same service.
        """
        maintenance = False
        await self.start(Manner(maintenance=lambda: maintenance))
        for stage, condition in (
            (Stage.DRAINING, drains),
            (Stage.DRAINED, drains),
            (Stage.STOPPING, drains),
            (Stage.STARTING, is_down),
        ):
            self.lifecycle.stage = stage
            await self.until(condition)
            self.lifecycle.stage = Stage.SERVING
            await self.until(serves)
        maintenance, self.lifecycle.stage = True, Stage.DRAINED
        await self.until(is_away)
        self.lifecycle.stage = Stage.SERVING
        await self.until(serves)

    async def test_every_step(self) -> None:
        """
        From any stage to any other nothing of the former is left.
        """
        maintenance = False
        await self.start(Manner(maintenance=lambda: maintenance))
        stages = {
            "serving": (Stage.SERVING, False, serves),
            "draining": (Stage.DRAINING, False, drains),
            "maintained": (Stage.DRAINED, True, is_away),
            "starting": (Stage.STARTING, False, is_down),
        }
        for first in stages.values():
            for second in stages.values():
                for stage, maintained, condition in (first, second):
                    self.lifecycle.stage, maintenance = stage, maintained
                    await self.until(condition)

    async def test_reason(self) -> None:
        """
        A service that cannot accept anything is down, and HAProxy says why in its own words.
        """
        await self.start()
        self.lifecycle.trouble = "the journal: disk full,\nno space"
        state = await self.until(is_down)

        self.assertEqual("via agent : down (the journal: disk full no space)", state.agent)

    async def test_shared(self) -> None:
        """
        Where operators use HAProxy's command line, a drain is a weight of nothing, and theirs outlives ours.
        """
        await self.start(Manner(shared=True))
        self.lifecycle.stage = Stage.DRAINING
        await self.until(lambda it: it.weight == 0 and it.admin == 0)
        await self.haproxy.say("set server pc/s1 state maint")
        self.lifecycle.stage = Stage.SERVING
        await self.until(lambda it: it.weight == 100)
        await self.stays(is_away)
        await self.haproxy.say("set server pc/s1 state ready")

        await self.until(serves)

    async def test_ours_alone(self) -> None:
        """
        Where they do not, the word of the coordinator is the last: what anybody else set is undone.
        """
        await self.start()
        await self.haproxy.say("set server pc/s1 state drain")

        await self.until(serves)

    async def test_silence(self) -> None:
        """
        A coordinator that is gone leaves HAProxy with its last word: a drain stays a drain.
        """
        await self.start()
        self.lifecycle.stage = Stage.STOPPING
        await self.until(drains)
        await self.agent.close()

        await self.stays(drains)

    async def test_agent_send(self) -> None:
        """
        That HAProxy says something first, which nobody reads, never costs the answer.
        """
        await self.start(more=f'agent-send "{"pc s1 " * 30}\\n"')
        for stage, condition in (Stage.DRAINING, drains), (Stage.SERVING, serves):
            self.lifecycle.stage = stage
            await self.until(condition)
            for _ in range(20):
                await self.pause(INTER / 1000)
                self.assertEqual("L7OK", (await self.haproxy.state("s1")).agent_status)

    async def test_drain_file(self) -> None:
        """
        What is written into the drain file is what HAProxy does, each word within a second.
        """
        path = Path(self.mktemp())
        write = path.write_text
        await self.start(Manner(maintenance=lambda: file.maintenance))
        file = DrainFile(reactor, path, self.lifecycle)
        file.start()
        self.addCleanup(file.stop)
        for word, condition in (
            ("maint", is_away),
            ("drain", drains),
            ("ready", serves),
            ("stopped", drains),
            ("up", serves),
            ("down", drains),
            ("MAINT", is_away),
            ("nonsense", is_away),
            ("Ready", serves),
        ):
            write(f"{word}\n")
            await self.until(condition)


class Rude:
    """
    A connection to the agent's port that does as it pleases.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def heard(self) -> bytes:
        """
        All that it is told, until the other end closes.
        """
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := self.socket.recv(4_096):
                parts.append(part)
        return b"".join(parts)

    def flood(self, size: int) -> int:
        """
        How much of so many bytes the other end takes before it has had enough.
        """
        sent = 0
        with contextlib.suppress(OSError):
            while sent < size:
                sent += self.socket.send(b"x" * 65_536)
        return sent

    def reset(self) -> None:
        """
        Be gone without a goodbye.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def ask(port: int) -> bytes:
    """
    What an honest one is told.
    """
    rude = Rude(port)
    line = rude.heard()
    rude.socket.close()
    return line


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class AbuseTests(AgentCase):
    """
    What those who ask may do, while an honest one is told what it wants to know.
    """

    LIMITS = AgentLimits(patience=0.5)

    # With these, who had to wait for somebody else to be parted from would never be told.
    ENDLESS = AgentLimits(patience=3_600.0)

    async def assertHonest(self, port: int) -> None:
        """
        Fail unless an honest one has its answer.
        """
        self.assertEqual(b"up ready 100%\n", await deferToThread(ask, port))

    async def test_garbage(self) -> None:
        """
        Whatever somebody says first, the answer is the same.
        """
        port = await self.listen(limits=self.LIMITS)

        def talk(words: bytes) -> bytes:
            rude = Rude(port)
            rude.socket.sendall(words)
            line = rude.heard()
            rude.socket.close()
            return line

        for words in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"\x00" * 2_000,
            b"maint\n",
            b"\n" * 99,
        ):
            self.assertEqual(b"up ready 100%\n", await deferToThread(talk, words))
        self.assertEqual(Stage.SERVING, self.lifecycle.stage)

    async def test_flood(self) -> None:
        """
        Who never ends to talk is not listened to, and parted from.
        """
        port = await self.listen(limits=self.LIMITS)
        rude = await deferToThread(Rude, port)
        flood = deferToThread(rude.flood, 1 << 30)
        await self.assertHonest(port)
        taken = await flood
        rude.socket.close()

        self.assertLess(taken, 8 << 20)

    async def test_crowd(self) -> None:
        """
        A thousand who connect and do nothing do not keep an honest one from its answer, nor cost files.
        """
        port = await self.listen(limits=self.ENDLESS)
        await self.assertHonest(port)
        before, most, crowd = open_files(), 0, []
        for _ in range(20):
            crowd += await deferToThread(lambda: [Rude(port) for _ in range(50)])
            await self.assertHonest(port)
            most = max(most, open_files() - before - len(crowd))
        self.assertLessEqual(most, self.ENDLESS.connections + 10)
        for rude in crowd:
            rude.socket.close()
        while open_files() > before:
            await self.pause(0.05)
        await self.assertHonest(port)

    async def test_half_open(self) -> None:
        """
        Who neither reads nor closes is parted from when the time is over, told all the same.
        """
        port = await self.listen(limits=self.LIMITS)
        begin = monotonic()
        rude = await deferToThread(Rude, port)
        await self.pause(0.3)
        line = await deferToThread(rude.heard)
        self.assertEqual(b"up ready 100%\n", line)
        await self.pause(0.7 - (monotonic() - begin))
        gone = await deferToThread(rude.flood, 1 << 24)
        rude.socket.close()

        self.assertLess(gone, 1 << 24)

    async def test_reset(self) -> None:
        """
        Hundreds who are gone before they were told leave nothing behind.
        """
        port = await self.listen(limits=self.LIMITS)
        await self.assertHonest(port)
        before = open_files()
        await deferToThread(lambda: [Rude(port).reset() for _ in range(500)])
        # What was open before may be closed meanwhile; what these opened must be.
        while open_files() > before:
            await self.pause(0.05)

        await self.assertHonest(port)

    async def test_drain_is_heard_at_once(self) -> None:
        """
        Who asks after a drain is told of it, be it in the same moment.
        """
        port = await self.listen()
        asking = deferToThread(ask, port)
        self.lifecycle.start_drain("", "", Source.COMMAND)

        self.assertEqual(b"drain up 100%\n", await asking)
