# SPDX-License-Identifier: MIT
"""
Web servers on loopback with certificates of their own, which count what they hear.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from powercoord.drivers.web.trust import fingerprint


@frozen
class Identity:
    """
    A key and a certificate.
    """

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def pin(self) -> str:
        return fingerprint(self.der)

    def options(self, **more: Any) -> CertificateOptions:
        return CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(self.key),
            certificate=crypto.X509.from_cryptography(self.certificate),
            **more,
        )


def identity(
    name: str = "bmc",
    *,
    by: Identity | None = None,
    address: str | None = None,
    authority: bool = False,
    days: int = 1,
) -> Identity:
    """
    A certificate for a name, signed by itself or by a CA.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if address is not None:
        names.append(x509.IPAddress(ipaddress.ip_address(address)))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Identity(key, builder.sign(by.key if by else key, hashes.SHA256()))


@define(eq=False)
class Peer:
    """
    A listener, and what it has heard.
    """

    heard: list[bytes] = field(factory=list)
    connections: int = 0
    open: list[Protocol] = field(factory=list)
    port: IListeningPort = field(init=False)

    @property
    def number(self) -> int:
        return int(self.port.getHost().port)  # type: ignore[attr-defined]

    def listen(self, factory: Factory, options: CertificateOptions | None = None) -> None:
        made = factory.buildProtocol

        def build(address: Any) -> Any:
            self.connections += 1
            return made(address)

        factory.buildProtocol = build  # type: ignore[method-assign]
        where: Any = reactor
        if options is None:
            self.port = where.listenTCP(0, factory, interface="127.0.0.1")
        else:
            self.port = where.listenSSL(0, factory, options, interface="127.0.0.1")

    async def close(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for each in list(self.open):
            if each.transport is not None:
                each.transport.abortConnection()  # type: ignore[attr-defined]
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]


class Scripted(Protocol):
    """
    Answers each thing it hears with what a function says, raw.
    """

    def __init__(self, peer: Peer, answer: Callable[[Scripted, bytes], bytes | None]) -> None:
        self.peer = peer
        self.answer = answer
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.peer.open.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.peer.heard.append(data)
        said = self.answer(self, data)
        if said is not None and self.transport is not None:
            self.transport.write(said)

    def connectionLost(self, reason: Any = None) -> None:
        self.peer.open.remove(self)
        self.gone.callback(None)


def scripted(
    answer: Callable[[Scripted, bytes], bytes | None], options: CertificateOptions | None = None
) -> Peer:
    """
    A server that answers in raw bytes.
    """
    peer = Peer()

    class Scripts(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Scripted:
            return Scripted(peer, answer)

    peer.listen(Scripts(), options)
    return peer


def served(render: Callable[[Request], bytes], options: CertificateOptions | None = None) -> Peer:
    """
    A real web server.
    """
    peer = Peer()

    class Root(Resource):
        isLeaf = True  # noqa: N815 - Twisted's name

        def render(self, request: Request) -> bytes:
            peer.heard.append(request.method + b" " + request.uri)
            return render(request)

    peer.listen(Site(Root()), options)
    return peer
