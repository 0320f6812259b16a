# SPDX-License-Identifier: MIT
"""
How a BMC of IPMI 1.5 lets a console in: Get Session Challenge and Activate Session, sections 22.16 and 22.17.
"""

from __future__ import annotations

from hmac import compare_digest
from types import MappingProxyType

from powercoord.drivers.ipmi.activation import (
    ActivateSession,
    GetSessionChallenge,
    SessionActivated,
    SessionChallenge,
)
from powercoord.drivers.ipmi.completion import INVALID_DATA
from powercoord.drivers.ipmi.lan import NETFN_APP
from powercoord.drivers.ipmi.session15 import AUTH_MD5, auth_code, signed
from powercoord.drivers.ipmi.session15 import Session15 as Packet15
from powercoord.sim.commands import ANYBODY, Call, Command, Refusal, Table
from powercoord.sim.handshake import RANDOM_LENGTH, current_password
from powercoord.sim.profile import Privilege
from powercoord.sim.sessions import Session15

NO_SUCH_USER = 0x81
NO_SLOT = 0x81
PRIVILEGE_TOO_HIGH = 0x86

_FIRST_SEQUENCE = 1


def _challenge(call: Call) -> bytes:
    wanted = GetSessionChallenge.decode(call.request.data)
    user = call.profile.user(wanted.username)
    if wanted.auth_type != AUTH_MD5 or not call.profile.ipmi15:
        raise Refusal(INVALID_DATA)
    if user is None:
        raise Refusal(NO_SUCH_USER)
    session = Session15(
        id=call.table.unused_id(),
        user=user,
        privilege=ANYBODY,
        challenge=call.random_bytes(RANDOM_LENGTH),
        password=current_password(user, call.faults),
    )
    if not call.table.add(session):
        raise Refusal(NO_SLOT)
    return SessionChallenge(session.id, session.challenge).encode()


def _activate(call: Call) -> bytes:
    wanted, session = ActivateSession.decode(call.request.data), call.session
    if not isinstance(session, Session15) or session.user is None:
        raise Refusal(INVALID_DATA)
    if wanted.auth_type != AUTH_MD5 or wanted.challenge != session.challenge:
        raise Refusal(INVALID_DATA)
    if call.faults.slots_full:
        raise Refusal(NO_SLOT)
    if not Privilege.CALLBACK <= wanted.privilege <= session.user.privilege:
        raise Refusal(PRIVILEGE_TOO_HIGH)
    session.limit, session.active = wanted.privilege, True
    session.privilege = min(wanted.privilege, Privilege.USER)
    session.outbound = wanted.sequence - 1
    session.expect(_FIRST_SEQUENCE)
    return SessionActivated(AUTH_MD5, session.id, _FIRST_SEQUENCE, wanted.privilege).encode()


def is_genuine(session: Session15, packet: Packet15) -> bool:
    """
    Whether a packet was sent by somebody who knows the password, and has not been here before.
    """
    if packet.auth_type != AUTH_MD5:
        return False
    code = auth_code(AUTH_MD5, session.password, packet.session_id, packet.sequence, packet.payload)
    if not compare_digest(code, packet.code):
        return False
    return session.fresh(packet.sequence) if session.active else True


def sealed(session: Session15, payload: bytes) -> bytes:
    """
    The datagram for an answer inside a session.
    """
    sequence = session.next_outbound() & 0xFFFFFFFF
    return signed(AUTH_MD5, session.password, session.id, sequence, payload).encode()


IPMI15_COMMANDS: Table = MappingProxyType(
    {
        (NETFN_APP, GetSessionChallenge.COMMAND): Command("challenge", ANYBODY, _challenge),
        (NETFN_APP, ActivateSession.COMMAND): Command("activate", ANYBODY, _activate),
    }
)
