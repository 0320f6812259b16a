# SPDX-License-Identifier: MIT
"""
How a BMC lets a console in: its end of open session and RAKP, IPMI 2.0 sections 13.17 to 13.24.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from attrs import define, field

from powercoord.drivers.ipmi.completion import (
    STATUS_BAD_INTEGRITY_VALUE,
    STATUS_BAD_SESSION,
    STATUS_NO_RESOURCES,
    STATUS_OK,
)
from powercoord.drivers.ipmi.opensession import Algorithms, OpenRequest, OpenResponse
from powercoord.drivers.ipmi.rakp import NAME_ONLY, KeyExchange, Rakp1, Rakp2, Rakp3, Rakp4
from powercoord.drivers.ipmi.rmcpplus import (
    PAYLOAD_OPEN_REQUEST,
    PAYLOAD_OPEN_RESPONSE,
    PAYLOAD_RAKP1,
    PAYLOAD_RAKP2,
    PAYLOAD_RAKP3,
    PAYLOAD_RAKP4,
    Packet,
    outside,
)
from powercoord.drivers.ipmi.suites import SUITES, SessionKeys, Suite
from powercoord.sim.faults import Faults
from powercoord.sim.profile import Privilege, Profile, User
from powercoord.sim.sessions import Session20, SessionTable

STATUS_UNAUTHORIZED_ROLE = 0x0A
STATUS_UNAUTHORIZED_NAME = 0x0D
STATUS_NO_SUITE = 0x11

RANDOM_LENGTH = 16
_ROLE = 0x0F


def current_password(user: User, faults: Faults) -> bytes:
    """
    The password that a user has at this moment.
    """
    return user.password if faults.password is None else faults.password


@define
class Handshake:
    """
    The steps of one BMC. Each returns a whole datagram, or None: silence.

    A repeated step is answered as the first time, because the answer may have been lost.
    """

    _profile: Profile
    _table: SessionTable
    _guid: bytes
    _random_bytes: Callable[[int], bytes] = field(repr=False)

    def answer(self, packet: Packet, faults: Faults) -> bytes | None:
        """
        One step.

        :raises MalformedDatagram: it cannot be read.
        """
        if packet.kind == PAYLOAD_OPEN_REQUEST:
            opened = self._open(OpenRequest.decode(packet.payload), faults)
            return outside(PAYLOAD_OPEN_RESPONSE, opened.encode())
        if packet.kind == PAYLOAD_RAKP1:
            second = self._rakp1(Rakp1.decode(packet.payload), faults)
            return outside(PAYLOAD_RAKP2, second.encode())
        if packet.kind == PAYLOAD_RAKP3:
            fourth = self._rakp3(Rakp3.decode(packet.payload), faults)
            return None if fourth is None else outside(PAYLOAD_RAKP4, fourth.encode())
        return None

    def _open(self, request: OpenRequest, faults: Faults) -> OpenResponse:
        suite = self._agreed(request.algorithms)
        if suite is None:
            return OpenResponse(request.tag, STATUS_NO_SUITE, 0, request.console_id)
        limit = min(request.privilege, Privilege.ADMINISTRATOR) or Privilege.ADMINISTRATOR
        session = Session20(
            id=self._table.unused_id(), console_id=request.console_id, limit=limit, suite=suite
        )
        if faults.slots_full or not self._table.add(session):
            return OpenResponse(request.tag, STATUS_NO_RESOURCES, 0, request.console_id)
        return OpenResponse(
            request.tag, STATUS_OK, limit, request.console_id, session.id, Algorithms.of(suite)
        )

    def _agreed(self, wanted: Algorithms) -> Suite | None:
        offered = (SUITES[number] for number in self._profile.suites)
        return next((suite for suite in offered if Algorithms.of(suite) == wanted), None)

    def _rakp1(self, message: Rakp1, faults: Faults) -> Rakp2:
        session = self._table.find(message.managed_id)
        if not isinstance(session, Session20) or session.active:
            return Rakp2(message.tag, STATUS_BAD_SESSION, 0)
        name = self._profile.firmware.name(message.username)
        user = None if name is None else self._profile.user(name)
        status = _admission(session, message.role, user)
        if status or user is None:
            self._table.close(session.id)
            return Rakp2(message.tag, status, session.console_id)
        session.user = user
        session.exchange = exchange = self._exchange(session, message)
        code = self._profile.firmware.rakp2_code(exchange.managed_code(self._key(session, user, faults)))
        return Rakp2(message.tag, STATUS_OK, session.console_id, exchange.managed_random, self._guid, code)

    def _exchange(self, session: Session20, message: Rakp1) -> KeyExchange:
        before = session.exchange
        if before is not None and before.console_random == message.console_random:
            managed_random = before.managed_random
        else:
            managed_random = self._random_bytes(RANDOM_LENGTH)
        return KeyExchange(
            suite=session.suite,
            console_id=session.console_id,
            managed_id=session.id,
            console_random=message.console_random,
            managed_random=managed_random,
            guid=self._guid,
            role=message.role,
            username=message.username,
        )

    def _rakp3(self, message: Rakp3, faults: Faults) -> Rakp4 | None:
        session = self._table.find(message.managed_id)
        if not isinstance(session, Session20) or session.exchange is None or session.user is None:
            return Rakp4(message.tag, STATUS_BAD_SESSION, 0)
        if message.status != STATUS_OK:
            self._table.close(session.id)
            return None
        key = self._key(session, session.user, faults)
        proof = self._profile.firmware.rakp3_exchange(session.exchange)
        if not compare_digest(proof.console_code(key), message.code):
            self._table.close(session.id)
            return Rakp4(message.tag, STATUS_BAD_INTEGRITY_VALUE, session.console_id)
        if not session.active:
            self._activate(session, session.exchange, self._profile.kg or key)
        code = session.exchange.final_code(session.session_key)
        return Rakp4(message.tag, STATUS_OK, session.console_id, code)

    def _key(self, session: Session20, user: User, faults: Faults) -> bytes:
        return self._profile.firmware.password(current_password(user, faults), session.suite)

    def _activate(self, session: Session20, exchange: KeyExchange, key: bytes) -> None:
        session.session_key = exchange.session_key(key)
        session.keys = SessionKeys.derive(session.suite, session.session_key)
        session.limit = min(session.limit, exchange.role & _ROLE or session.limit)
        session.privilege = min(Privilege.USER, session.limit)
        session.active = True
        self._table.touch(session)


def _admission(session: Session20, role: int, user: User | None) -> int:
    """
    May this user have this role? Without `NAME_ONLY` the user must be the one of exactly that role.
    """
    level = role & _ROLE
    if user is None or (not role & NAME_ONLY and level and level > user.privilege):
        return STATUS_UNAUTHORIZED_NAME
    if level > min(user.privilege, session.limit):
        return STATUS_UNAUTHORIZED_ROLE
    return STATUS_OK
