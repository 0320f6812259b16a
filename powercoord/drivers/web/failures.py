# SPDX-License-Identifier: MIT
"""
What went wrong on the wire, as the error that tells the caller what to do about it.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from powercoord.drivers.web.line import Untrusted
from powercoord.drivers.web.place import Place
from powercoord.drivers.web.seat import TooLong
from powercoord.drivers.web.trust import Judge, fingerprint, shown
from powercoord.errors import PowerActionError, PowerAuthError, PowerConnError


def is_loss(error: Exception) -> bool:
    """
    Whether the connection was lost, so that an old one may only have gone stale.
    """
    return isinstance(_root(error), ConnectionClosed)


def explain(error: Exception, place: Place, *, sent: bool) -> Exception:
    """
    An error of Twisted or OpenSSL in our words; what is none of theirs as it is.

    :param sent: whether a change may have arrived.
    """
    root = _root(error)
    if isinstance(root, ConnectingCancelledError):
        return CancelledError()
    if isinstance(root, Untrusted):
        return PowerAuthError(f"{place.text}: {distrust(root.judge)}")
    if isinstance(root, TooLong):
        return PowerActionError(f"{place.text}: its answer is too long for one", sent=sent)
    words = _tls(root) if isinstance(root, SSL.Error) else _words(root)
    return PowerConnError(f"{place.text}: {words}", sent=sent) if words else root


def distrust(judge: Judge) -> str:
    """
    Why nothing was said to whoever answered, and what would be right.
    """
    if not judge.seen:
        return "it showed no certificate, so nothing was sent"
    return (
        f"its certificate is not trusted: {judge.refusal}; nothing was sent. It shows SHA-256"
        f" {shown(fingerprint(judge.seen))}: if that is the BMC's, set it as pin, else name its CA in ca_file"
    )


def _root(error: Exception) -> Exception:
    """
    What is inside of Twisted's wrappings; of several reasons the first that says something.
    """
    while True:
        reasons = getattr(error, "reasons", None)
        if not reasons:
            return error
        inner: list[Any] = [reason.value if isinstance(reason, Failure) else reason for reason in reasons]
        error = next((each for each in inner if not isinstance(each, ResponseFailed)), inner[0])


def _words(error: Exception) -> str:
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return words
    if type(error).__module__.startswith("twisted.web"):
        return f"it does not answer as HTTP asks ({type(error).__name__})"
    return ""


_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (Refused, "connection refused"),
    (DNSLookupError, "no such host name"),
    (TimeoutError, "cannot connect in time"),
    (ConnectError, "cannot connect"),
    (ConnectionClosed, "the connection was closed before the answer had come"),
)


def _tls(error: SSL.Error) -> str:
    """
    OpenSSL's reasons, and what may help.
    """
    inner = error.args[0] if error.args else ()
    reasons = [entry[-1] for entry in inner if isinstance(entry, tuple) and entry] if inner else []
    reason = str(reasons[-1]) if reasons else "no reason given"
    if any(word in reason for word in ("wrong version number", "packet length", "http request")):
        return f"it does not speak TLS there ({reason})"
    return f"TLS failed ({reason}); if its TLS is older than 1.2, legacy_tls allows that"
