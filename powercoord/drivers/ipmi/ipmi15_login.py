# SPDX-License-Identifier: MIT
"""
The script that opens an IPMI 1.5 session with MD5: capabilities, challenge, activation.

IPMI 2.0 sections 22.13, 22.16, 22.17.
"""

from __future__ import annotations

from powercoord.drivers.ipmi import channel, session15
from powercoord.drivers.ipmi.activation import (
    ActivateSession,
    GetSessionChallenge,
    SessionActivated,
    SessionChallenge,
)
from powercoord.drivers.ipmi.ask import Command, NoAnswer, OutsideAsk, Reply, Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.channel import AuthCapabilities, GetAuthCapabilities
from powercoord.drivers.ipmi.completion import OK, words
from powercoord.drivers.ipmi.rmcpplus_login import SlotsFull, StartOver
from powercoord.drivers.ipmi.session import Session15
from powercoord.errors import PowerAuthError, PowerConnError, PowerRefusedError, PowerSettingError

_MD5 = 1 << session15.AUTH_MD5
_SLOTS_FULL = frozenset((0x81, 0x82, 0x83))
_LOST_SESSION = frozenset((0x84, 0x85))
_TOO_HIGH = 0x86
#: A repeated activation with a wrong password is one more failed attempt, and those lock accounts.
_ACTIVATIONS = 2
_HALF = 0x7FFF_FFFF


def ask_capabilities(bmc: Bmc, login: Login) -> Script[AuthCapabilities]:
    """
    What the BMC offers; needs no password.
    """
    request = GetAuthCapabilities(login.privilege)
    response = yield _outside(bmc, login, request)
    if response.code != OK:
        # Old firmware refuses to be asked about RMCP+.
        request = GetAuthCapabilities(login.privilege, extended=False)
        response = yield _outside(bmc, login, request)
    if response.code != OK:
        raise _refused(bmc, request, response)
    return AuthCapabilities.decode(response.data)


def open_ipmi15(bmc: Bmc, login: Login, offered: AuthCapabilities) -> Script[Session15]:
    """
    Open a session.

    :raises PowerAuthError: the BMC does not want this user or password.
    :raises PowerSettingError: it does not offer MD5.
    :raises SlotsFull: it may work later.
    :raises StartOver: it may work at once.
    """
    if login.quirks.check_capabilities and not offered.auth_types & _MD5:
        raise PowerSettingError(
            f"{bmc.what}: offers no MD5 at this privilege level, only weaker authentication"
        )
    challenge = yield from _challenge(bmc, login)
    inbound = bmc.entropy.number() & _HALF | 0x10
    activated = yield from _activate(bmc, login, challenge, inbound)
    per_message = login.quirks.per_message or offered.per_message or activated.auth_type
    return Session15(
        session_id=activated.session_id,
        auth_type=session15.AUTH_MD5 if per_message else session15.AUTH_NONE,
        password=login.password,
        quirks=login.quirks,
        outbound=activated.sequence or 1,
        # Some begin one number too early.
        inbound=inbound - 2,
        privilege=channel.PRIVILEGE_USER,
    )


def _challenge(bmc: Bmc, login: Login) -> Script[SessionChallenge]:
    request = GetSessionChallenge(session15.AUTH_MD5, login.username)
    response = yield _outside(bmc, login, request)
    if response.code in (0x81, 0x82):
        name = login.username.decode(errors="replace")
        raise PowerAuthError(f"{bmc.what}: user '{name}': {_words(request, response)}")
    if response.code != OK:
        raise _refused(bmc, request, response)
    return SessionChallenge.decode(response.data)


def _activate(bmc: Bmc, login: Login, challenge: SessionChallenge, inbound: int) -> Script[SessionActivated]:
    request = ActivateSession(session15.AUTH_MD5, login.privilege, challenge.challenge, inbound)
    ask = _outside(bmc, login, request)
    ask.auth_type, ask.session_id, ask.password = session15.AUTH_MD5, challenge.session_id, login.password
    ask.limit = _ACTIVATIONS
    try:
        response = yield ask
    except NoAnswer:
        if ask.attempts < _ACTIVATIONS:
            raise
        # A BMC is silent where the code is wrong, and it answered the challenge just before.
        raise PowerAuthError(f"{bmc.what}: no answer to the login; the password is probably wrong") from None
    if response.code in _SLOTS_FULL:
        raise SlotsFull(_words(request, response))
    if response.code in _LOST_SESSION:
        raise StartOver(PowerConnError(f"{bmc.what}: {_words(request, response)}"))
    if response.code == _TOO_HIGH:
        raise PowerAuthError(f"{bmc.what}: {_words(request, response)}")
    if response.code != OK:
        raise _refused(bmc, request, response)
    return SessionActivated.decode(response.data)


_Request = GetAuthCapabilities | GetSessionChallenge | ActivateSession


def _outside(bmc: Bmc, login: Login, request: _Request) -> OutsideAsk:
    command = Command(request.NETFN, request.COMMAND, request.encode())
    return OutsideAsk(command, bmc.tag(), login.quirks.check_checksums)


def _words(request: _Request, response: Reply) -> str:
    return words(response.code, request.NETFN, request.COMMAND)


def _refused(bmc: Bmc, request: _Request, response: Reply) -> PowerRefusedError:
    return PowerRefusedError(f"{bmc.what}: {type(request).__name__}: {_words(request, response)}")
