# SPDX-License-Identifier: MIT
"""
The webhook driver and what a web server may say: nothing usable, too much, or what a regex chokes on.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from powercoord.certificates import ICertified
from powercoord.drivers.webhook import WebhookDriver, WebhookSettings, driver
from powercoord.errors import PowerActionError, PowerAuthError, PowerError, PowerSettingError
from powercoord.model import PowerState, Target
from powercoord.strict import Moment
from tests.functional.web_server import Identity, Peer, identity, served
from tests.ipmi_world import FakeOperation

reactor: Any = global_reactor


class AnswerTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.answer = b""
        self.peer = served(lambda _: self.answer)
        self.driver: WebhookDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.peer.close()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    async def read(self, answer: bytes, **more: Any) -> PowerState:
        self.answer = answer
        uris = {
            f"power_{name}_uri": f"http://127.0.0.1:{self.peer.number}/" for name in ("on", "off", "query")
        }
        target = self.driver.target(WebhookSettings(**{**uris, "timeout": Moment(2.0), **more}))
        return await self.driver.read(target, FakeOperation(reactor.seconds() + 10))

    async def error(self, answer: bytes, **more: Any) -> PowerError:
        try:
            await self.read(answer, **more)
        except PowerError as error:
            return error
        raise AssertionError("it did not fail")

    async def test_words(self) -> None:
        """
        The words of one state tell it; those of both, or of none, tell nothing.
        """
        self.assertIs(PowerState.ON, await self.read(b'{"status" : "running"}'))
        self.assertIs(PowerState.OFF, await self.read(b'{"status" : "stopped"}'))
        for answer in (b"", b"hello", b'{"status" : "running"}\n{"status" : "stopped"}'):
            self.assertIsInstance(await self.error(answer), PowerActionError)

    async def test_long(self) -> None:
        """
        In a long answer the words are found, wherever they stand; of one without end nothing is believed.
        """
        self.assertIs(PowerState.ON, await self.read(b"x" * 50_000 + b"\nstatus: running"))
        self.assertIsInstance(await self.error(b"status: running " * 10_000), PowerActionError)

    async def test_endless_regex(self) -> None:
        """
        A regex that would take for ever on an answer is ended in time, and the coordinator goes on meanwhile.
        """
        before = reactor.seconds()
        turns: list[float] = []
        clock = reactor.callLater(0.5, lambda: turns.append(reactor.seconds() - before))
        error = await self.error(b"a" * 60 + b"!", power_on_regex="(a+)+$")
        self.assertIn("takes too long", str(error))
        self.assertLess(reactor.seconds() - before, 2.2)
        self.assertFalse(clock.active())
        self.assertLess(turns[0], 1.0)


class CertificateTests(TestCase):
    """
    Whose certificate is to be pinned.
    """

    timeout = 30

    def setUp(self) -> None:
        self.driver: WebhookDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def server(self, shows: Identity | None) -> Peer:
        peer = served(lambda _: b"status: running", shows.options() if shows else None)
        self.addCleanup(lambda: Deferred.fromCoroutine(peer.close()))
        return peer

    def target(self, query: str, switch: str, **more: Any) -> Target:
        uris = {"power_on_uri": switch + "/on", "power_off_uri": switch + "/off", "power_query_uri": query}
        return self.driver.target(WebhookSettings(**{**uris, "password": "secret", **more}))

    async def test_pinned(self) -> None:
        """
        What is shown, and nothing is said for it, is the pin with which the server is believed.
        """
        shows = identity()
        peer = self.server(shows)
        uri = f"https://127.0.0.1:{peer.number}"
        target = self.target(uri, uri)

        seen = await ICertified(self.driver).certificate(target)

        self.assertEqual((shows.pin, uri, 1), (seen.fingerprint, seen.place, peer.connections))
        operation = FakeOperation(reactor.seconds() + 10)
        pinned = self.target(uri, uri, pin=seen.fingerprint)
        self.assertIs(PowerState.ON, await self.driver.read(pinned, operation))
        with self.assertRaises(PowerAuthError):
            await self.driver.read(target, operation)

    async def test_several_servers(self) -> None:
        """
        Servers with one certificate have one pin; with different ones, or without any, they have none.
        """
        shows = identity()
        plain, *others = [
            f"{scheme}://127.0.0.1:{self.server(each).number}"
            for scheme, each in (("http", None), ("https", shows), ("https", shows), ("https", identity()))
        ]

        for query, switch in ((others[0], others[1]), (plain, others[0])):
            seen = await self.driver.certificate(self.target(query, switch))
            self.assertEqual(shows.pin, seen.fingerprint)
        for query, switch, words in (
            (others[0], others[2], "different certificates"),
            (plain, plain, "without TLS"),
        ):
            with self.assertRaisesRegex(PowerSettingError, words):
                await self.driver.certificate(self.target(query, switch))
