# SPDX-License-Identifier: MIT
"""
Looking at a certificate without saying anything: what a person must see before trusting it.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.x509 import Certificate, load_der_x509_certificate
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from powercoord.certificates import ShownCertificate
from powercoord.drivers.web.failures import explain
from powercoord.drivers.web.line import Line, Untrusted, connect
from powercoord.drivers.web.place import Place
from powercoord.drivers.web.trust import Judge, Trust, fingerprint, shown
from powercoord.errors import PowerConnError, PowerSettingError


async def look(
    clock: IReactorTime,
    endpoint: Callable[[Place], IStreamClientEndpoint],
    place: Place,
    trust: Trust,
    patience: float,
) -> ShownCertificate:
    """
    Connect, see the certificate, and part.

    :raises PowerSettingError: that place is spoken to without TLS.
    :raises PowerConnError: nobody answers there, or not with TLS.
    """
    if not place.secure:
        raise PowerSettingError(f"{place.text} is spoken to without TLS, so there is no certificate to pin")
    judge = trust.judge(place)
    line = Line(clock, Factory.forProtocol(Protocol), judge, lambda _: None)
    connecting = connect(clock, endpoint(place), line)
    timer = clock.callLater(patience, connecting.cancel)
    try:
        await connecting
    except Untrusted:
        pass
    except Exception as error:  # noqa: BLE001 - what is not ours to explain goes on as it is
        if not timer.active():
            raise PowerConnError(f"{place.text}: no TLS within {patience:g} s") from None
        raise explain(error, place, sent=False) from None
    finally:
        if timer.active():
            timer.cancel()
        line.abortConnection()
    return _described(place, judge)


def _described(place: Place, judge: Judge) -> ShownCertificate:
    if not judge.seen:
        raise PowerConnError(f"{place.text}: it showed no certificate")
    digits = fingerprint(judge.seen)
    subject, issuer, ends = _names(judge.seen)
    return ShownCertificate(place.text, digits, shown(digits), subject, issuer, ends, judge.refusal)


def _names(der: bytes) -> tuple[str, str, str]:
    """
    Whose it is, by whom and until when; a certificate that cannot be read can be pinned all the same.
    """
    try:
        certificate: Certificate = load_der_x509_certificate(der)
        ends = certificate.not_valid_after_utc.date().isoformat()
        return certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string(), ends
    except ValueError:
        return "", "", ""
