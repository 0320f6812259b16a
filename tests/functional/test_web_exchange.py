# SPDX-License-Identifier: MIT
"""
Exchanges with web servers on real sockets, with and without TLS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, field
from OpenSSL import crypto
from twisted.internet import reactor
from twisted.internet.ssl import TLSVersion
from twisted.trial.unittest import TestCase
from twisted.web.server import Request

from powercoord.certificates import ShownCertificate
from powercoord.drivers.web import Answer, Ask, Exchange, Place, Trust, sockets
from powercoord.drivers.web.look import look
from powercoord.drivers.web.trust import shown
from powercoord.errors import PowerAuthError, PowerConnError, PowerError, PowerSettingError
from tests.functional.web_server import Identity, Peer, identity, scripted, served

ADDRESS = "127.0.0.1"


@define(eq=False)
class Errand:
    """
    An operation that nobody stops.
    """

    deadline: float = 1e12
    cancelled: bool = False
    announced: int = 0
    callbacks: list[Any] = field(factory=list)

    def sending(self) -> None:
        self.announced += 1

    def when_cancelled(self, callback: Any) -> None:
        self.callbacks.append(callback)


def hello(_: Request) -> bytes:
    return b"hello"


class TrustTests(TestCase):
    def exchange(self, peer: Peer, trust: Trust, host: str = ADDRESS, scheme: str = "https") -> Exchange:
        place = Place.parse(f"{scheme}://{host}:{peer.number}")
        made = Exchange(reactor, place, trust, sockets(reactor))
        self.addCleanup(peer.close)
        self.addCleanup(made.close)
        return made

    async def ask(self, exchange: Exchange) -> Answer:
        ask = Ask(method="GET", path="/x", headers={"Authorization": "Basic c2VjcmV0"})
        return await exchange.ask(ask, Errand(), reactor.seconds() + 5.0)

    async def refused(self, exchange: Exchange) -> str:
        try:
            await self.ask(exchange)
        except PowerAuthError as error:
            return str(error)
        raise AssertionError("it was trusted")

    def file(self, *identities: Identity) -> str:
        path = Path(self.mktemp())
        path.write_bytes(b"".join(each.pem for each in identities))
        return str(path)

    async def test_pin(self) -> None:
        """
        The pinned certificate is trusted, whoever signed it and whatever its name.
        """
        one = identity("somebody", days=-1)
        exchange = self.exchange(served(hello, one.options()), Trust(pin=one.pin))

        self.assertEqual(b"hello", (await self.ask(exchange)).body)

    async def test_other_pin(self) -> None:
        """
        Another certificate is refused before anything is sent, and its fingerprint is told.
        """
        one, other = identity(), identity()
        peer = served(hello, one.options())
        text = await self.refused(self.exchange(peer, Trust(pin=other.pin)))

        self.assertIn("it is not the pinned one", text)
        self.assertIn(shown(one.pin), text)
        self.assertEqual([], peer.heard)

    async def test_pinned_ca_is_no_leaf(self) -> None:
        """
        A pin is of the leaf: that of the CA above it opens nothing.
        """
        root = identity("root", authority=True)
        leaf = identity("bmc", by=root)
        options = leaf.options(extraCertChain=[crypto.X509.from_cryptography(root.certificate)])
        text = await self.refused(self.exchange(served(hello, options), Trust(pin=root.pin)))

        self.assertIn(shown(leaf.pin), text)

    async def test_pinned_leaf_of_a_chain(self) -> None:
        """
        A pinned leaf is trusted whatever stands above it.
        """
        root = identity("root", authority=True)
        leaf = identity("bmc", by=root)
        options = leaf.options(extraCertChain=[crypto.X509.from_cryptography(root.certificate)])
        exchange = self.exchange(served(hello, options), Trust(pin=leaf.pin))

        self.assertEqual(b"hello", (await self.ask(exchange)).body)

    async def test_ca(self) -> None:
        """
        A certificate that a named CA signed for this address is trusted.
        """
        root = identity("root", authority=True)
        leaf = identity("bmc", by=root, address=ADDRESS)
        exchange = self.exchange(served(hello, leaf.options()), Trust(ca_file=self.file(identity(), root)))

        self.assertEqual(b"hello", (await self.ask(exchange)).body)

    async def test_untrusted(self) -> None:
        """
        What no CA of ours signed, or for somebody else, or too long ago, is refused with its reason.
        """
        root = identity("root", authority=True)
        stranger = identity("stranger", authority=True)
        between = identity("between", by=stranger, authority=True)
        chain = [crypto.X509.from_cryptography(between.certificate)]
        cases = (
            (identity(address=ADDRESS), {}, "signed by itself"),
            (identity(by=stranger, address=ADDRESS), {}, "the CA that signed it"),
            (identity(by=between, address=ADDRESS), {"extraCertChain": chain}, "the CA that signed it"),
            (identity(by=root), {}, f"another name than {ADDRESS}"),
            (identity(by=root, address=ADDRESS, days=-1), {}, "expired"),
        )
        for leaf, more, reason in cases:
            peer = served(hello, leaf.options(**more))
            text = await self.refused(self.exchange(peer, Trust(ca_file=self.file(root))))
            self.assertIn(reason, text)
            self.assertIn(shown(leaf.pin), text)
            self.assertEqual([], peer.heard)

    async def test_system_cas(self) -> None:
        """
        Where nothing is said the system's CAs decide, so a BMC's own certificate is refused.
        """
        one = identity(address=ADDRESS)
        peer = served(hello, one.options())

        self.assertIn("signed by itself", await self.refused(self.exchange(peer, Trust())))
        self.assertEqual([], peer.heard)

    async def test_old_tls(self) -> None:
        """
        TLS 1.0 is spoken only where that is said, and the pin holds there, too.
        """
        one, other = identity(), identity()
        old = one.options(
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_0, lowerMaximumSecurityTo=TLSVersion.TLSv1_0
        )
        old.getContext().set_cipher_list(b"ALL:@SECLEVEL=0")
        peer = served(hello, old)
        with self.assertRaisesRegex(PowerConnError, "legacy_tls"):
            await self.ask(self.exchange(peer, Trust(pin=one.pin)))
        answer = await self.ask(self.exchange(peer, Trust(pin=one.pin, legacy_tls=True)))
        await self.refused(self.exchange(peer, Trust(pin=other.pin, legacy_tls=True)))

        self.assertEqual(b"hello", answer.body)
        self.assertEqual([b"GET /x"], peer.heard)

    async def test_no_certificate(self) -> None:
        """
        A peer that offers TLS without any certificate hears nothing, not even with legacy_tls.
        """
        one = identity()
        bare = one.options(lowerMaximumSecurityTo=TLSVersion.TLSv1_2)
        bare.getContext().set_cipher_list(b"aNULL:@SECLEVEL=0")
        peer = served(hello, bare)
        with self.assertRaisesRegex(PowerError, "TLS failed"):
            await self.ask(self.exchange(peer, Trust(pin=one.pin, legacy_tls=True)))

        self.assertEqual([], peer.heard)

    async def test_plain_where_tls_was_meant(self) -> None:
        """
        A server without TLS is told as such, and hears no password.
        """
        peer = scripted(lambda _, __: b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with self.assertRaisesRegex(PowerConnError, "does not speak TLS") as caught:
            await self.ask(self.exchange(peer, Trust()))

        self.assertFalse(caught.exception.sent)
        self.assertNotIn(b"c2VjcmV0", b"".join(peer.heard))


class LookTests(TestCase):
    async def look(self, peer: Peer, trust: Trust, patience: float = 5.0) -> ShownCertificate:
        self.addCleanup(peer.close)
        place = Place.parse(f"https://{ADDRESS}:{peer.number}")
        return await look(reactor, sockets(reactor), place, trust, patience)

    async def test_shown(self) -> None:
        """
        A certificate is shown with its names and dates, and why it is not trusted; nothing is asked.
        """
        one = identity("idrac-1")
        peer = served(hello, one.options())
        seen = await self.look(peer, Trust())

        self.assertEqual(
            (one.pin, shown(one.pin), "CN=idrac-1"), (seen.fingerprint, seen.shown, seen.subject)
        )
        self.assertIn("signed by itself", seen.distrust)
        self.assertEqual("", (await self.look(peer, Trust(pin=seen.fingerprint))).distrust)
        self.assertEqual([], peer.heard)

    async def test_not_shown(self) -> None:
        """
        Who shows none is told so, and waited for no longer than allowed.
        """
        for answer in (lambda _, __: b"HTTP/1.1 400 No\r\n\r\n", lambda _, __: None):
            with self.assertRaises(PowerConnError):
                await self.look(scripted(answer), Trust(), patience=0.3)

    async def test_plain(self) -> None:
        """
        A place without TLS has nothing to show.
        """
        with self.assertRaises(PowerSettingError):
            await look(reactor, sockets(reactor), Place.parse("http://127.0.0.1"), Trust(), 1.0)
