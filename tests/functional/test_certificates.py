# SPDX-License-Identifier: MIT
"""
TLS endpoints on real sockets, and certificates that are renewed under way.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from powercoord.api.listen import AmpListener
from powercoord.errors import ConfigError
from tests.functional.amp_coordinator import RealCoordinator


def write_certificate(folder: Path, name: str) -> None:
    """
    A new key, and a certificate for it in a name's own words.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def name_in(der: bytes) -> str:
    """
    Whose certificate it is.
    """
    attribute = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(attribute[0].value)


def connect(port: int) -> ssl.SSLSocket:
    """
    A TLS connection that believes anybody; it blocks.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


def peer(connection: ssl.SSLSocket) -> str:
    der = connection.getpeercert(binary_form=True)
    assert der is not None
    return name_in(der)


class CertificateTests(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def endpoint(self, more: str = "") -> str:
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        return f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1{more}"

    def listener(self, endpoint: str) -> AmpListener:
        it = RealCoordinator(reactor)
        self.addCleanup(shutil.rmtree, it.folder, ignore_errors=True)
        return AmpListener(reactor, [endpoint], it.reception)

    async def start(self, endpoint: str) -> AmpListener:
        listener = self.listener(endpoint)
        await listener.listen()
        self.addCleanup(listener.stopService)
        return listener

    async def dial(self, listener: AmpListener) -> ssl.SSLSocket:
        port: Any = listener.ports[0].getHost()
        connection: ssl.SSLSocket = await deferToThread(connect, port.port)
        self.addCleanup(connection.close)
        return connection

    async def test_renewed(self) -> None:
        """
        New connections get a renewed certificate once it is used; one that is there goes on.
        """
        write_certificate(self.folder, "first")
        listener = await self.start(self.endpoint())
        before = await self.dial(listener)
        write_certificate(self.folder, "second")
        use = listener.prepare_certificates()
        between = await self.dial(listener)
        use()
        after = await self.dial(listener)

        self.assertEqual(["first", "first", "second"], [peer(before), peer(between), peer(after)])
        before.sendall(b"\0\4_ask\0\x011\0\x08_command\0\4Ping\0\0")
        self.assertIn(b"_answer", await deferToThread(before.recv, 1000))

    async def test_unusable(self) -> None:
        """
        Files that cannot be used are refused by name, and the old certificate stays.
        """
        write_certificate(self.folder, "first")
        listener = await self.start(self.endpoint())
        key = (self.folder / "key.pem").read_bytes()
        write_certificate(self.folder, "second")
        (self.folder / "key.pem").write_bytes(key)

        error = self.assertRaises(ConfigError, listener.prepare_certificates)
        self.assertIn("certificate.pem", str(error))
        self.assertNotIn("PRIVATE", str(error))
        (self.folder / "key.pem").unlink()
        error = self.assertRaises(ConfigError, listener.prepare_certificates)
        self.assertIn("key.pem: No such file", str(error))
        self.assertEqual("first", peer(await self.dial(listener)))

    async def test_wrong_options(self) -> None:
        """
        An option that is unknown or has no name is told, and so is a chain with nothing in it.
        """
        write_certificate(self.folder, "first")
        (self.folder / "empty.pem").write_text("nothing")
        cases = {
            ":sslmethod=TLSv1_METHOD": "unknown option sslmethod",
            ":server.pem": "'server.pem' needs a name before it",
            f":extraCertChain={self.folder / 'empty.pem'}": "there is no certificate in it",
            f":extraCertChain={os.devnull}0": "No such file",
        }
        for more, reason in cases.items():
            error = await self.assertFailure(self.listener(self.endpoint(more)).listen(), ConfigError)
            self.assertIn(reason, str(error))
