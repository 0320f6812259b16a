# SPDX-License-Identifier: MIT
"""
Whom we believe to be the BMC before it hears a password: a CA, or one pinned certificate. Never just anybody.

A certificate is judged inside the handshake, at depth 0 of its chain, so whoever is not believed gets
a TLS alert and no byte of ours. The SHA-256 of what was shown instead is kept, to be told.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography.x509 import load_der_x509_certificate
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate as CaCertificate
from twisted.internet.ssl import (
    CertificateOptions,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from powercoord.drivers.web.place import Place
from powercoord.errors import PowerSettingError

_DIGITS = re.compile(r"[0-9A-F]{64}")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

# Without certificates (aNULL) anybody could answer, and no callback would be asked about it.
_LEGACY_CIPHERS = "ALL:!aNULL:!eNULL:@SECLEVEL=0"


def parse_pin(text: str) -> str:
    """
    A certificate's SHA-256 in capital digits, from digits of either case, with or without colons.

    :raises PowerSettingError: it is none.
    """
    digits = text.strip().removeprefix("sha256:").replace(":", "").upper()
    if not _DIGITS.fullmatch(digits):
        raise PowerSettingError(
            "pin is not the SHA-256 of a certificate: 64 hexadecimal digits, colons between them or not;"
            " 'powercoord pin NODE' shows it"
        )
    return digits


def shown(digits: str) -> str:
    """
    A fingerprint as people compare them: in pairs of digits.
    """
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _pin(text: str) -> str:
    return parse_pin(text) if text else ""


@frozen(kw_only=True)
class Trust:
    """
    What a certificate must be.

    :param pin: SHA-256 of the one certificate; then neither its names, dates nor issuer matter.
    :param ca_file: PEM file with the CAs that may have signed it; none: the system's.
    :param legacy_tls: whether TLS 1.0 and 1.1, SHA-1 and short keys may be used, too.
    """

    pin: str = field(default="", converter=_pin)
    ca_file: str = ""
    legacy_tls: bool = False

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        if self.pin and self.ca_file:
            raise PowerSettingError("pin and ca_file are both set; one certificate is trusted for one reason")

    def judge(self, place: Place) -> Judge:
        """
        Make who decides about the certificate that one connection is shown.

        :raises PowerSettingError: the CA file cannot be used.
        """
        return Judge(self, place, self._context())

    def _context(self) -> SSL.Context:
        options: dict[str, Any] = {"trustRoot": _roots(self.ca_file)}
        if self.legacy_tls:
            options["insecurelyLowerMinimumTo"] = TLSVersion.TLSv1_0
        context: SSL.Context = CertificateOptions(**options).getContext()
        if self.legacy_tls:
            context.set_cipher_list(_LEGACY_CIPHERS.encode())
        return context


def _roots(ca_file: str) -> Any:
    if not ca_file:
        return platformTrust()
    try:
        found = _PEM.findall(Path(ca_file).read_bytes())
        certificates = [CaCertificate.loadPEM(pem) for pem in found]
    except (OSError, crypto.Error, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no certificate"
        raise PowerSettingError(f"ca_file {ca_file}: {reason}") from None
    if not certificates:
        raise PowerSettingError(f"ca_file {ca_file} has no certificate in PEM form in it")
    return trustRootFromCertificates(certificates)


@implementer(IOpenSSLClientConnectionCreator)
@define(eq=False)
class Judge:
    """
    Judges the certificate of one connection, and remembers what it saw.

    :param seen: the certificate that was shown, in DER; empty if none was.
    :param refusal: why it is not trusted, if it is not.
    :param accepted: whether it is.
    """

    _trust: Trust
    _place: Place
    _context: SSL.Context
    seen: bytes = field(default=b"", init=False)
    refusal: str = field(default="", init=False)
    accepted: bool = field(default=False, init=False)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N803 - Twisted's names
        """
        See `IOpenSSLClientConnectionCreator`.
        """
        connection = SSL.Connection(self._context, None)
        if not self._place.literal:
            connection.set_tlsext_host_name(self._place.host.encode("idna"))
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(self, _: Any, certificate: crypto.X509, error: int, depth: int, preverified: int) -> bool:
        """
        OpenSSL asks about each certificate of a chain, the leaf last, and once more about one for each fault.

        A fault above the leaf is kept until the leaf has been seen, so that the leaf can be told.
        Whatever escaped from here would be lost in OpenSSL, and is a no.
        """
        try:
            self._look(certificate, error, depth, bool(preverified))
        except Exception as broken:  # noqa: BLE001 - see above
            self._refuse(f"it cannot be read ({type(broken).__name__})")
        self.accepted = depth == 0 and not self.refusal
        return depth > 0 or self.accepted

    def _look(self, certificate: crypto.X509, error: int, depth: int, preverified: bool) -> None:
        if depth == 0:
            self.seen = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        if self._trust.pin:
            if depth == 0 and fingerprint(self.seen) != self._trust.pin:
                self._refuse("it is not the pinned one")
        elif not preverified:
            self._refuse(_FAULTS.get(error, f"OpenSSL's verification says {error}"))
        elif depth == 0:
            self._refuse(_stranger(self.seen, self._place))

    def _refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason


def fingerprint(der: bytes) -> str:
    """
    SHA-256 of a certificate, in the form of `parse_pin`.
    """
    return sha256(der).hexdigest().upper()


def _stranger(der: bytes, place: Place) -> str:
    """
    Why a certificate is for somebody else; empty if it is not.
    """
    certificate = load_der_x509_certificate(der)
    verify = verify_certificate_ip_address if place.literal else verify_certificate_hostname
    try:
        verify(certificate, place.host)
    except (VerificationError, CertificateError):
        return f"it is for another name than {place.host}"
    return ""


# X509_V_ERR_* of OpenSSL's x509_vfy.h, those that BMCs are known for.
_FAULTS = {
    9: "it is not yet valid (is the BMC's clock right?)",
    10: "it has expired",
    18: "it is signed by itself",
    19: "its chain ends in a CA that is not trusted",
    20: "the CA that signed it is not trusted",
    21: "the CA that signed it is not trusted",
    66: "its key is too short",
    67: "its CA's key is too short",
    68: "it is signed with a hash that is too weak",
}
