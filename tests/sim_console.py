# SPDX-License-Identifier: MIT
"""
A console for one simulated BMC, without sockets: it speaks the same codecs from the other end.
"""

from __future__ import annotations

from random import Random
from typing import Any

from attrs import define, evolve, field
from twisted.internet.task import Clock

from powercoord.drivers.ipmi.activation import (
    ActivateSession,
    GetSessionChallenge,
    SessionActivated,
    SessionChallenge,
)
from powercoord.drivers.ipmi.channel import SetPrivilege
from powercoord.drivers.ipmi.chassis import ChassisControl, ChassisStatus, Control, GetChassisStatus
from powercoord.drivers.ipmi.lan import LanRequest, LanResponse
from powercoord.drivers.ipmi.opensession import Algorithms, OpenRequest, OpenResponse
from powercoord.drivers.ipmi.quirks import STANDARD, Quirks
from powercoord.drivers.ipmi.rakp import NAME_ONLY, KeyExchange, Rakp1, Rakp2, Rakp3, Rakp4
from powercoord.drivers.ipmi.rmcpplus import (
    PAYLOAD_OPEN_REQUEST,
    PAYLOAD_RAKP1,
    PAYLOAD_RAKP3,
    Packet,
    outside,
)
from powercoord.drivers.ipmi.session15 import AUTH_MD5, signed
from powercoord.drivers.ipmi.session15 import Session15 as Packet15
from powercoord.drivers.ipmi.session15 import outside as outside15
from powercoord.drivers.ipmi.suites import SUITES, SessionKeys
from powercoord.sim.bmc import Bmc
from powercoord.sim.machine import Latency, Machine
from powercoord.sim.profile import Profile

GUID = b"0123456789abcdef"


def make_bmc(clock: Clock, profile: Profile | None = None, latency: Latency | None = None) -> Bmc:
    """
    A BMC on a virtual clock, with a machine that is off.
    """
    machine = Machine(clock, latency or Latency())
    return Bmc(clock, machine, profile or Profile(), GUID, Random(1).randbytes)


class NoAnswer(Exception):
    """
    The BMC was silent.
    """


@define
class Console:
    """
    Somebody with a password, and at most one session.
    """

    bmc: Bmc
    suite: int = 17
    username: bytes = b"admin"
    password: bytes = b"secret"
    kg: bytes = b""
    console_id: int = 0xA0A1A2A3
    privilege: int = 4
    managed_id: int = 0
    keys: SessionKeys | None = None
    sequence: int = 0
    request_sequence: int = 0
    quirks: Quirks = STANDARD
    exchange: KeyExchange | None = field(init=False, default=None)

    def ask(self, datagram: bytes) -> bytes:
        reply = self.bmc.receive(datagram)
        if reply is None:
            raise NoAnswer
        return reply.datagram

    def step(self, kind: int, message: Any) -> bytes:
        return Packet.decode(self.ask(outside(kind, message.encode()))).payload

    def open(self) -> OpenResponse:
        """
        Ask for a session.
        """
        wanted = OpenRequest(1, self.privilege, self.console_id, Algorithms.of(SUITES[self.suite]))
        response = OpenResponse.decode(self.step(PAYLOAD_OPEN_REQUEST, wanted))
        self.managed_id = response.managed_id
        return response

    def rakp1(self, role: int | None = None, random: bytes = b"R" * 16) -> Rakp2:
        """
        Say who we are.
        """
        role = self.privilege | NAME_ONLY if role is None else role
        name = self.username.ljust(16, b"\0") if self.quirks.pad_username else self.username
        message = Rakp1(2, self.managed_id, random, role, name)
        second = Rakp2.decode(self.step(PAYLOAD_RAKP1, message))
        if second.status == 0:
            self.exchange = KeyExchange(
                suite=SUITES[self.suite],
                console_id=self.console_id,
                managed_id=self.managed_id,
                console_random=random,
                managed_random=second.managed_random,
                guid=second.guid,
                role=role,
                username=name,
            )
        return second

    def rakp3(self, status: int = 0) -> Rakp4:
        """
        Prove it.
        """
        assert self.exchange is not None
        proof = self.exchange
        if self.quirks.plain_rakp3_role:
            proof = proof.with_role(self.privilege)
        if self.quirks.pad_username:
            proof = evolve(proof, username=self.username)
        code = proof.console_code(self.password)
        message = Rakp3(3, status, self.managed_id, code)
        return Rakp4.decode(self.step(PAYLOAD_RAKP3, message))

    def log_in(self, raise_privilege: bool = True) -> Console:
        """
        All steps, each of which must succeed; then the privilege asked for.
        """
        assert self.open().status == 0
        second = self.rakp1()
        assert self.exchange is not None
        assert second.code == self.exchange.managed_code(self.password) + bytes(self.quirks.long_rakp2_code)
        fourth = self.rakp3()
        key = self.exchange.session_key(self.kg or self.password)
        assert (fourth.status, fourth.code) == (0, self.exchange.final_code(key))
        self.keys = SessionKeys.derive(SUITES[self.suite], key)
        if raise_privilege:
            assert self.do(SetPrivilege(self.privilege)).code == 0
        return self

    def sealed(self, command: Any, sequence: int | None = None) -> bytes:
        """
        The datagram for a command in the session.
        """
        assert self.keys is not None
        self.sequence += 1
        self.request_sequence = (self.request_sequence + 1) % 64
        request = LanRequest(command.NETFN, command.COMMAND, command.encode(), self.request_sequence)
        number = self.sequence if sequence is None else sequence
        return self.keys.seal(self.managed_id, number, request.encode(), b"V" * 16)

    def read(self, datagram: bytes) -> LanResponse:
        """
        The answer in a datagram of the session.
        """
        assert self.keys is not None
        packet = Packet.decode(datagram)
        assert packet.session_id == self.console_id
        return LanResponse.decode(self.keys.open(packet))

    def do(self, command: Any) -> LanResponse:
        """
        One command and its answer.
        """
        response = self.read(self.ask(self.sealed(command)))
        assert response.sequence == self.request_sequence
        return response

    def control(self, control: Control) -> int:
        """
        The completion code of a power command.
        """
        return self.do(ChassisControl(control)).code

    def power(self) -> bool:
        """
        The power as the BMC tells it.
        """
        return ChassisStatus.decode(self.do(GetChassisStatus()).data).on


@define
class Console15:
    """
    The same by IPMI 1.5.
    """

    bmc: Bmc
    username: bytes = b"admin"
    password: bytes = b"secret"
    privilege: int = 4
    session_id: int = 0
    sequence: int = 0

    def ask(self, datagram: bytes) -> LanResponse:
        reply = self.bmc.receive(datagram)
        if reply is None:
            raise NoAnswer
        return LanResponse.decode(Packet15.decode(reply.datagram).payload)

    def outside(self, command: Any) -> LanResponse:
        """
        One command without a session.
        """
        request = LanRequest(command.NETFN, command.COMMAND, command.encode())
        return self.ask(outside15(request.encode()))

    def do(self, command: Any) -> LanResponse:
        """
        One command in the session.
        """
        request = LanRequest(command.NETFN, command.COMMAND, command.encode())
        packet = signed(AUTH_MD5, self.password, self.session_id, self.sequence, request.encode())
        self.sequence += bool(self.sequence)
        return self.ask(packet.encode())

    def log_in(self) -> Console15:
        """
        Challenge, activation, privilege.
        """
        challenged = self.outside(GetSessionChallenge(AUTH_MD5, self.username))
        challenge = SessionChallenge.decode(challenged.data)
        self.session_id = challenge.session_id
        activated = self.do(ActivateSession(AUTH_MD5, self.privilege, challenge.challenge, 77))
        assert activated.code == 0
        self.sequence = SessionActivated.decode(activated.data).sequence
        assert self.do(SetPrivilege(self.privilege)).code == 0
        return self


def second_console(first: Console) -> Console:
    """
    Somebody else with the same password.
    """
    return evolve(first, console_id=first.console_id + 1, managed_id=0, keys=None, sequence=0)
