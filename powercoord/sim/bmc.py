# SPDX-License-Identifier: MIT
"""
One simulated BMC: a datagram goes in, an answer comes out. No socket, no timer.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from powercoord.drivers.ipmi.lan import LanRequest
from powercoord.drivers.ipmi.rmcp import CLASS_ASF, MalformedDatagram, Ping, Pong, Rmcp
from powercoord.drivers.ipmi.rmcpplus import PAYLOAD_IPMI, Packet, is_rmcpplus
from powercoord.drivers.ipmi.rmcpplus import outside as outside20
from powercoord.drivers.ipmi.session15 import AUTH_NONE, outside
from powercoord.drivers.ipmi.session15 import Session15 as Packet15
from powercoord.sim.app import APP_COMMANDS
from powercoord.sim.chassis import CHASSIS_COMMANDS
from powercoord.sim.commands import Call, Command, Refusal, Table, name_of, perform
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.handshake import Handshake
from powercoord.sim.ipmi15 import IPMI15_COMMANDS, is_genuine, sealed
from powercoord.sim.machine import Machine
from powercoord.sim.profile import Profile
from powercoord.sim.sessions import Session, Session15, Session20, SessionTable

COMMANDS: Table = MappingProxyType({**APP_COMMANDS, **IPMI15_COMMANDS, **CHASSIS_COMMANDS})

#: Commands that make or end sessions; a forgetful BMC remembers the session for these.
_ABOUT_SESSIONS = frozenset(
    ("authentication", "challenge", "activate", "privilege", "close", "cipher-suites")
)


@frozen
class Reply:
    """
    A datagram to send back, ``delay`` seconds from now.
    """

    datagram: bytes
    delay: float = 0.0


@define(eq=False)
class Bmc:
    """
    A BMC and its machine.

    :param random_bytes: for session ids, challenges and initialization vectors; seeded in tests.
    """

    _clock: IReactorTime = field(repr=False)
    machine: Machine
    profile: Profile
    guid: bytes
    _random_bytes: Callable[[int], bytes] = field(repr=False)
    faults: Faults = HEALTHY
    sessions: SessionTable = field(init=False)
    _handshake: Handshake = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restart(self.profile)

    def restart(self, profile: Profile) -> None:
        """
        Begin anew as another kind of BMC: all sessions are gone, and the machine does not notice.
        """
        self.profile = profile
        self.sessions = SessionTable(self._clock, self._new_id, profile.slots, profile.idle_timeout)
        self._handshake = Handshake(profile, self.sessions, self.guid, self._random_bytes)

    def receive(self, datagram: bytes) -> Reply | None:
        """
        What a BMC does with a datagram; whatever is in it, this does not raise.
        """
        if self.faults.dead or self.faults.closed:
            return None
        try:
            if is_rmcpplus(datagram):
                return self._receive20(Packet.decode(datagram))
            if Rmcp.decode(datagram).kind == CLASS_ASF:
                return self._reply(Pong(Ping.decode(datagram).tag).encode())
            return self._receive15(Packet15.decode(datagram))
        except MalformedDatagram:
            return None

    def forget_sessions(self) -> None:
        """
        What a restart of the BMC does to whoever has a session.
        """
        self.sessions.clear()

    def _new_id(self) -> int:
        return int.from_bytes(self._random_bytes(4), "little")

    def _reply(self, datagram: bytes | None, extra: float = 0.0) -> Reply | None:
        return None if datagram is None else Reply(datagram, self.faults.reply_delay + extra)

    def _receive20(self, packet: Packet) -> Reply | None:
        if not self.profile.suites:
            return None
        if packet.session_id == 0 and packet.kind == PAYLOAD_IPMI:
            request = LanRequest.decode(packet.payload)
            return self._answer(request, None, lambda answer: outside20(PAYLOAD_IPMI, answer))
        if packet.session_id == 0:
            return self._reply(self._handshake.answer(packet, self.faults), self.faults.handshake_delay)
        session = self.sessions.find(packet.session_id)
        if not isinstance(session, Session20) or session.keys is None or packet.kind != PAYLOAD_IPMI:
            return None
        request = LanRequest.decode(session.keys.open(packet))
        if not session.fresh(packet.sequence):
            return None
        self.sessions.touch(session)
        vector = self._random_bytes(16)
        seal, number = session.keys.seal, session.next_outbound
        return self._answer(
            request, session, lambda answer: seal(session.console_id, number(), answer, vector)
        )

    def _receive15(self, packet: Packet15) -> Reply | None:
        request = LanRequest.decode(packet.payload)
        if packet.session_id == 0:
            return self._answer(request, None, outside) if packet.auth_type == AUTH_NONE else None
        session = self.sessions.find(packet.session_id)
        if not isinstance(session, Session15) or not is_genuine(session, packet):
            return None
        self.sessions.touch(session)
        return self._answer(request, session, lambda answer: sealed(session, answer))

    def _answer(
        self, request: LanRequest, session: Session | None, seal: Callable[[bytes], bytes]
    ) -> Reply | None:
        command = COMMANDS.get((request.netfn, request.command))
        name = "" if command is None else name_of(request, command)
        code, data = self._perform(request, session, command)
        if session is not None and self.faults.forgetful and name not in _ABOUT_SESSIONS:
            self.sessions.close(session.id)
        if name in self.faults.mute:
            return None
        about_sessions = name in _ABOUT_SESSIONS
        extra = self.faults.handshake_delay if about_sessions else self.faults.command_delay
        return self._reply(seal(request.answer(code, data).encode()), extra)

    def _perform(
        self, request: LanRequest, session: Session | None, command: Command | None
    ) -> tuple[int, bytes]:
        call = Call(
            request, session, self.sessions, self.machine, self.profile,
            self.guid, self.faults, self._random_bytes,
        )  # fmt: skip
        try:
            return 0, perform(call, command)
        except Refusal as refusal:
            return refusal.code, b""
