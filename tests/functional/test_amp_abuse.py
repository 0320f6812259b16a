# SPDX-License-Identifier: MIT
"""
Peers that behave badly, on real sockets, while an honest one goes on working.

Each attack is plain socket code in a thread; the honest client and the coordinator run in the reactor.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from powercoord.api.boxes import encode
from powercoord.api.limits import Limits
from powercoord.client import Client, RemoteError
from powercoord.model import PowerState
from tests.functional.amp_coordinator import RealCoordinator

LIMITS = Limits(unfinished=1.0, idle=1.5, stalled=2.0, per_peer=20, connections=40)


def resident() -> int:
    """
    The memory of this process in MB.
    """
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 // 1_000_000


class Attacker:
    """
    One connection that does as it pleases.
    """

    def __init__(self, port: int, *, timeout: float = 8.0, small: bool = False) -> None:
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> int:
        """
        Send all of it, or until the other end has had enough; returns how much went.
        """
        sent = 0
        try:
            while sent < len(data):
                sent += self.socket.send(data[sent : sent + 65_536])
        except OSError:
            return sent
        return sent

    def until_closed(self) -> bytes:
        """
        What comes until the other end closes; raises TimeoutError if it does not.
        """
        received = b""
        try:
            while data := self.socket.recv(65_536):
                received += data
        except ConnectionError:
            pass
        return received

    def close(self) -> None:
        """
        Go away.
        """
        self.socket.close()


class AbuseTests(TestCase):
    timeout = 120

    async def start(self, limits: Limits = LIMITS) -> None:
        self.it = RealCoordinator(reactor, limits=limits)
        self.addCleanup(shutil.rmtree, self.it.folder)
        await self.it.listener.listen()
        self.addCleanup(self.it.listener.stopService)
        self.honest = Client.from_string(reactor, f"unix:{self.it.socket}", requester="honest")
        await self.honest.connect()
        self.addCleanup(self.honest.close)
        watch = await self.honest.watch(nodes=["nobody"])
        self.lagged = Deferred.fromCoroutine(anext(watch))
        self.lagged.addErrback(lambda failure: failure.trap(StopAsyncIteration))

    async def attack(self, attacks: list[Callable[[Attacker], Any]], **options: Any) -> list[Any]:
        """
        Run attacks at once, with the honest client working meanwhile; what each returned.
        """

        def one(attack: Callable[[Attacker], Any]) -> Any:
            attacker = Attacker(self.it.port, **options)
            try:
                return attack(attacker)
            finally:
                attacker.close()

        running = gatherResults([deferToThread(one, attack) for attack in attacks], consumeErrors=True)
        worked = 0
        while not running.called or worked == 0:
            readings = await self.honest.query(self.it.names()[:10])
            self.assertEqual({PowerState.OFF}, {reading.state for reading in readings})
            worked += 1
        result: list[Any] = await running
        return result

    def assertUnharmed(self, logs: Any) -> None:
        """
        The honest connection is the one it was, and the log has no traceback and few lines.
        """
        self.assertNoResult(self.lagged)
        self.assertEqual([], [event for event in logs if "log_failure" in event])
        self.assertLess(sum("reason" in event for event in logs), 30)
        self.assertEqual([], self.flushLoggedErrors())

    async def test_other_protocols(self) -> None:
        """
        HTTP, TLS and noise are cut off at once, alone, with one line in the log for each kind of misdeed.
        """
        await self.start()
        noise = random.Random(5).randbytes(300_000)
        with capturedLogs() as logs:
            garbage = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000, b"\x16\x03\x01\x02\x00" * 50_000, noise]

            def throw(data: bytes) -> Callable[[Attacker], Any]:
                return lambda attacker: (attacker.send(data), attacker.until_closed())

            answers = await self.attack([throw(data) for data in garbage * 3])

        self.assertEqual({b""}, {received for _, received in answers})
        self.assertUnharmed(logs)
        self.assertEqual(1, sum(event.get("reason") == "it does not speak AMP" for event in logs))

    async def test_half_a_box(self) -> None:
        """
        A peer that begins a box and leaves it at that is cut off after the time for a box.
        """
        await self.start()

        def half(attacker: Attacker) -> float:
            begun = time.monotonic()
            attacker.send(encode({b"_ask": b"1", b"_command": b"Ping"})[:-3])
            attacker.until_closed()
            return time.monotonic() - begun

        with capturedLogs() as logs:
            for took in await self.attack([half] * 3):
                self.assertTrue(0.9 < took < 20, took)
        self.assertUnharmed(logs)

    async def test_endless_box(self) -> None:
        """
        A box that never ends is cut at a size, and costs no memory to speak of.
        """
        await self.start()
        before = resident()
        pairs = b"".join(b"\x00\x04%04d\xff\xff" % index + b"v" * 65_535 for index in range(150))

        def endless(attacker: Attacker) -> int:
            return attacker.send(pairs)

        with capturedLogs() as logs:
            sent = await self.attack([endless] * 5)
        self.assertTrue(all(each < len(pairs) for each in sent), sent)
        self.assertUnharmed(logs)
        self.assertLess(resident() - before, 60)

    async def test_peer_that_does_not_read(self) -> None:
        """
        A peer that asks and asks and reads nothing is stopped, and cut off in the end.
        """
        await self.start()
        before = resident()
        asks = b"".join(encode({b"_ask": b"%x" % index, b"_command": b"Status"}) for index in range(100_000))

        def deaf(attacker: Attacker) -> int:
            return attacker.send(asks)

        with capturedLogs() as logs:
            sent = await self.attack([deaf] * 3, small=True)
        self.assertTrue(all(each < len(asks) for each in sent), sent)
        self.assertUnharmed(logs)
        self.assertLess(resident() - before, 60)

    async def test_flood_of_commands(self) -> None:
        """
        A peer that sends commands without waiting is served, at its own expense.
        """
        await self.start()
        asks = b"".join(
            encode({b"_ask": b"%x" % index, b"_command": b"Query", b"nodes": b'["n1"]'})
            for index in range(3_000)
        )

        def flood(attacker: Attacker) -> int:
            attacker.socket.settimeout(20)
            Thread(target=attacker.send, args=(asks,), daemon=True).start()
            return count_answers(attacker.socket, 3_000)

        with capturedLogs() as logs:
            self.assertEqual([3_000], await self.attack([flood]))
        self.assertUnharmed(logs)

    async def test_nonsense_in_boxes(self) -> None:
        """
        Boxes that mean nothing leave the connection as it is: what comes after them is answered.
        """
        await self.start()
        rng = random.Random(7)
        names = [b"_ask", b"_command", b"_answer", b"_error", b"nodes", b"batch", b"filter", b"context", b"x"]
        commands = [b"Ping", b"PowerOn", b"Submit", b"Query", b"Subscribe", b"StartTLS", b"Cancel", b"Status"]

        def box() -> bytes:
            chosen = {rng.choice(names): rng.randbytes(rng.randrange(40)) for _ in range(rng.randrange(1, 9))}
            if b"_command" in chosen and rng.random() < 0.9:
                chosen[b"_command"] = rng.choice(commands)
            return encode(chosen)

        nonsense = b"".join(b"\0\0" if rng.random() < 0.1 else box() for _ in range(3_000))
        last = encode({b"_ask": b"the-last", b"_command": b"Ping"})

        def talk(attacker: Attacker) -> bool:
            attacker.send(nonsense + last)
            received = b""
            while b"the-last" not in received:
                received += attacker.socket.recv(65_536)
            return True

        with capturedLogs() as logs:
            self.assertEqual([True] * 2, await self.attack([talk] * 2))
        self.assertUnharmed(logs)

    async def test_mute_peer(self) -> None:
        """
        A peer that says nothing, and does not answer when it is asked whether it lives, is cut off.
        """
        await self.start()

        def mute(attacker: Attacker) -> bytes:
            return attacker.until_closed()

        with capturedLogs() as logs:
            (received,) = await self.attack([mute])
        self.assertIn(b"Ping", received)
        self.assertUnharmed(logs)

    async def test_many_connections(self) -> None:
        """
        One address gets so many connections and no more, and others are served.
        """
        await self.start()

        def many(_: Attacker) -> int:
            others = [Attacker(self.it.port) for _ in range(30)]
            open_ones = 1
            for other in others:
                other.send(encode({b"_ask": b"1", b"_command": b"Ping"}))
                other.socket.settimeout(1)
                with contextlib.suppress(OSError):
                    open_ones += bool(other.socket.recv(100))
            for other in others:
                other.close()
            return open_ones

        with capturedLogs() as logs:
            self.assertEqual([20], await self.attack([many]))
        self.assertUnharmed(logs)

    async def test_reset(self) -> None:
        """
        Peers that vanish in the middle of everything leave nothing behind.
        """
        await self.start()

        def vanish(attacker: Attacker) -> None:
            attacker.send(encode({b"_ask": b"1", b"_command": b"Subscribe"}))
            attacker.send(
                encode({b"_ask": b"2", b"_command": b"Query", b"nodes": b'["n1","n2"]', b"stream": b"1"})
            )
            attacker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with capturedLogs() as logs:
            for _ in range(5):
                await self.attack([vanish] * 3)
        self.assertUnharmed(logs)

    async def test_broken_registry(self) -> None:
        """
        A fault of ours spoils one answer, and nothing else on that connection.
        """
        await self.start()
        self.it.driver.machine("n1/n1").latency = 0.3
        self.it.drivers["broken"] = None
        waiting, broken = self.honest.on("n1"), self.honest.drivers()
        error = await self.assertFailure(broken, RemoteError)

        self.assertEqual("INTERNAL", error.code)
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))
        self.assertEqual(PowerState.ON, (await waiting).state)
        self.assertNoResult(self.lagged)


def count_answers(connection: socket.socket, answers: int) -> int:
    """
    Read until there are as many answers as that, or the connection ends; how many there were.
    """
    received, counted = b"", 0
    while counted < answers and (data := connection.recv(65_536)):
        received += data
        counted = received.count(b"_answer")
    return counted
