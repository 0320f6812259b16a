# SPDX-License-Identifier: MIT
"""
A certificate that signs itself, as BMCs have it when they leave the factory.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LASTS = timedelta(days=30)


@frozen
class Certificate:
    """
    :param pem: the certificate, which is also its own certificate authority.
    :param fingerprint: SHA-256 of its DER form, in lower-case digits.
    """

    pem: bytes
    key: bytes = field(repr=False)
    fingerprint: str

    @classmethod
    def make(cls, addresses: Sequence[str], now: datetime | None = None) -> Certificate:
        """
        For these IP addresses, and for ``localhost``; valid from a day ago, for a month.
        """
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated BMC")])
        names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(each)) for each in addresses)]
        builder = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _LASTS)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        signed = builder.sign(key, hashes.SHA256())
        return cls(
            signed.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            signed.fingerprint(hashes.SHA256()).hex(),
        )

    def context(self) -> Any:
        """
        What Twisted's ``listenSSL`` needs.
        """
        from twisted.internet.ssl import PrivateCertificate

        return PrivateCertificate.loadPEM(self.key + self.pem).options()
