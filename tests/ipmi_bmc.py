# SPDX-License-Identifier: MIT
"""
A BMC in memory that does what a test says, and notes what it was asked.

Made for wrong answers: each stage of session set-up can be given a status, each command a completion
code, and what it says can be changed on its way out. `powercoord.sim` has the faithful ones.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from powercoord.drivers.ipmi import channel, chassis, rakp, rmcpplus, session15
from powercoord.drivers.ipmi.activation import (
    ActivateSession,
    GetSessionChallenge,
    SessionActivated,
    SessionChallenge,
)
from powercoord.drivers.ipmi.boot import BootFlags, BootOption, GetBootOptions, SetBootOptions
from powercoord.drivers.ipmi.lan import LanRequest
from powercoord.drivers.ipmi.opensession import Algorithms, OpenRequest, OpenResponse
from powercoord.drivers.ipmi.suites import SUITES, SessionKeys

GUID = bytes(range(16))
RANDOM = bytes(range(100, 116))
CHALLENGE = bytes(range(200, 216))
POWERED = {chassis.Control.OFF: False, chassis.Control.ON: True, chassis.Control.SOFT: False}

STAGES = {
    rmcpplus.PAYLOAD_OPEN_REQUEST: "open",
    rmcpplus.PAYLOAD_RAKP1: "rakp1",
    rmcpplus.PAYLOAD_RAKP3: "rakp3",
}
COMMANDS = {
    (0x00, 0x01): "status",
    (0x00, 0x02): "control",
    (0x00, 0x08): "set-boot",
    (0x00, 0x09): "get-boot",
    (0x06, 0x38): "capabilities",
    (0x06, 0x39): "challenge",
    (0x06, 0x3A): "activate",
    (0x06, 0x3B): "privilege",
    (0x06, 0x3C): "close",
}


@define(kw_only=True)
class ScriptedBmc:
    """
    One BMC.

    :param statuses: RMCP+ status by stage ("open", "rakp1", "rakp3"), taken from the front.
    :param codes: completion codes by command, taken from the front.
    :param lost: called with the name of a request; true: there is no answer to it.
    :param deaf: the same, but the request has no effect either.
    :param garble: changes a datagram before it is sent.
    :param short_errors: an error has nothing behind its status, as in ipmi_sim.
    """

    username: bytes = b"admin"
    password: bytes = b"secret"
    k_g: bytes = b""
    suites: tuple[int, ...] = (3, 17)
    on: bool = False
    limit: int = channel.PRIVILEGE_ADMIN
    initial_privilege: int = channel.PRIVILEGE_USER
    statuses: dict[str, list[int]] = field(factory=dict)
    codes: dict[str, list[int]] = field(factory=dict)
    lost: Callable[[str], bool] = lambda _: False
    deaf: Callable[[str], bool] = lambda _: False
    garble: Callable[[str, bytes], bytes] = lambda _, datagram: datagram
    short_errors: bool = False
    new_random_each_time: bool = False
    hash_open_privilege: bool = False
    rakp2_surplus: bytes = b""
    answer_suite: int | None = None
    per_message: bool = True
    speaks_rmcpplus: bool = True
    log: list[str] = field(factory=list)
    controls: list[chassis.Control] = field(factory=list)
    boot: BootFlags | None = None
    efi_now: bool = False
    privilege: int = 0
    sessions: int = 0
    opened_with: list[int] = field(factory=list)
    datagrams: list[bytes] = field(factory=list)
    _keys: SessionKeys | None = None
    _exchange: rakp.KeyExchange | None = None
    _console_id: int = 0
    _managed_id: int = 0
    _suite: int = 3
    _open_privilege: int = 0
    _outbound: int = 0
    _outbound15: int = 0
    _session15: bool = False
    _randoms: int = 0

    def answer(self, datagram: bytes) -> list[bytes]:
        """
        What it says to this datagram.
        """
        self.datagrams.append(datagram)
        if not rmcpplus.is_rmcpplus(datagram):
            return self._answer15(session15.Session15.decode(datagram))
        packet = rmcpplus.Packet.decode(datagram)
        if packet.kind in STAGES:
            return self._stage(STAGES[packet.kind], packet)
        if self._keys is None or packet.session_id != self._managed_id:
            self.log.append("unknown-session")
            return []
        return self._inside(LanRequest.decode(self._keys.open(packet)))

    def forget(self) -> None:
        """
        Know no session any more, as after a reset of the BMC.
        """
        self._keys, self._session15 = None, False

    def seal(self, message: bytes, sequence: int | None = None) -> bytes:
        """
        A packet of the session, as only this BMC can make it.
        """
        assert self._keys is not None
        if sequence is None:
            self._outbound += 1
            sequence = self._outbound
        return self._keys.seal(self._console_id, sequence, message, bytes(16))

    def _stage(self, name: str, packet: rmcpplus.Packet) -> list[bytes]:
        self.log.append(name)
        if self.deaf(name):
            return []
        make = {"open": self._open, "rakp1": self._rakp1, "rakp3": self._rakp3}[name]
        status = self.statuses[name].pop(0) if self.statuses.get(name) else 0
        payload = make(packet.payload, status)
        if self.lost(name) or not payload:
            return []
        if payload[1] and self.short_errors:
            payload = payload[:2]
        return [self.garble(name, rmcpplus.outside(packet.kind + 1, payload))]

    def _open(self, data: bytes, status: int) -> bytes:
        request = OpenRequest.decode(data)
        self.opened_with.append(request.privilege)
        offered = {Algorithms.of(SUITES[number]): number for number in self.suites}
        if self.answer_suite is not None:
            offered[request.algorithms] = self.answer_suite
        if not status and request.algorithms not in offered:
            status = 0x11
        if status:
            return OpenResponse(request.tag, status, 0, 0).encode()
        self._suite, self._open_privilege = offered[request.algorithms], request.privilege
        self._console_id, self._managed_id = request.console_id, self._managed_id + 0x11
        algorithms = Algorithms.of(SUITES[self._suite])
        answer = OpenResponse(request.tag, 0, 0, self._console_id, self._managed_id, algorithms)
        return answer.encode()

    def _rakp1(self, data: bytes, status: int) -> bytes:
        request = rakp.Rakp1.decode(data)
        if not status and request.managed_id != self._managed_id:
            status = 0x02
        if not status and request.username != self.username:
            status = 0x0D
        if status:
            return rakp.Rakp2(request.tag, status, self._console_id).encode()
        role = request.role
        if self.hash_open_privilege:
            role = rakp.NAME_ONLY | self._open_privilege
        self._randoms += self.new_random_each_time
        self._exchange = rakp.KeyExchange(
            suite=SUITES[self._suite],
            console_id=self._console_id,
            managed_id=self._managed_id,
            console_random=request.console_random,
            managed_random=RANDOM[:-1] + bytes((self._randoms,)),
            guid=GUID,
            role=role,
            username=request.username,
        )
        code = self._exchange.managed_code(self.password) + self.rakp2_surplus
        random = self._exchange.managed_random
        return rakp.Rakp2(request.tag, 0, self._console_id, random, GUID, code).encode()

    def _rakp3(self, data: bytes, status: int) -> bytes:
        request = rakp.Rakp3.decode(data)
        if request.status:
            self.log.append("broken-off")
            return b""
        assert self._exchange is not None
        if not status and request.code != self._exchange.console_code(self.password):
            status = 0x0F
        if status:
            return rakp.Rakp4(request.tag, status, self._console_id).encode()
        key = self._exchange.session_key(self.k_g or self.password)
        self._keys = SessionKeys.derive(SUITES[self._suite], key)
        self._outbound, self.privilege = 0, self.initial_privilege
        self.sessions += 1
        return rakp.Rakp4(request.tag, 0, self._console_id, self._exchange.final_code(key)).encode()

    def _inside(self, request: LanRequest) -> list[bytes]:
        name, message = self._command(request)
        answers = [self.garble(name, self.seal(message))] if message else []
        if name == "close":
            self.forget()
        return answers

    def _command(self, request: LanRequest) -> tuple[str, bytes]:
        name = COMMANDS.get((request.netfn, request.command), "unknown")
        self.log.append(name)
        if self.deaf(name):
            return name, b""
        code = self.codes[name].pop(0) if self.codes.get(name) else 0
        data = b"" if code else self._do(name, request)
        return name, b"" if self.lost(name) else request.answer(code, data).encode()

    def _do(self, name: str, request: LanRequest) -> bytes:
        if name == "status":
            return chassis.ChassisStatus(self.on | 0x40).encode()
        if name == "privilege":
            self.privilege = channel.SetPrivilege.decode(request.data).privilege
            return request.data
        if name == "control":
            control = chassis.ChassisControl.decode(request.data).control
            self.controls.append(control)
            self.on = POWERED.get(control, self.on)
        if name == "set-boot":
            option = SetBootOptions.decode(request.data)
            if option.parameter == 5:
                self.boot = BootFlags.decode(option.data)
        if name == "get-boot":
            parameter = GetBootOptions.decode(request.data).parameter
            return BootOption(parameter, bytes((0x20 * self.efi_now, 0, 0, 0, 0))).encode()
        if name == "capabilities":
            extended = channel.GetAuthCapabilities.decode(request.data).extended
            status = 0 if self.per_message else 0x10
            return channel.AuthCapabilities(1, 0x04, status, 1 | 2 * self.speaks_rmcpplus, extended).encode()
        return b""

    def _answer15(self, packet: session15.Session15) -> list[bytes]:
        request = LanRequest.decode(packet.payload)
        if packet.auth_type == session15.AUTH_MD5:
            code = session15.auth_code(
                session15.AUTH_MD5, self.password, packet.session_id, packet.sequence, packet.payload
            )
            if code != packet.code:
                self.log.append("wrong-code")
                return []
        if packet.session_id == 0x99 and not self._session15:
            self.log.append("unknown-session")
            return []
        name, message = self._command(request)
        if name == "challenge" and message and not request.answer().code:
            message = self._challenge15(request)
        if name == "activate":
            message = self._activate15(request) if message else b""
        if not message:
            return []
        return [self.garble(name, self.wrap15(message, packet).encode())]

    def wrap15(self, message: bytes, packet: session15.Session15) -> session15.Session15:
        """
        The packet around an IPMI 1.5 answer.
        """
        if packet.session_id == 0:
            return session15.Session15(0, 0, 0, message)
        self._outbound15 += 1
        kind = session15.AUTH_MD5 if self.per_message or packet.session_id == 0x55 else 0
        return session15.signed(kind, self.password, packet.session_id, self._outbound15, message)

    def _challenge15(self, request: LanRequest) -> bytes:
        wanted = GetSessionChallenge.decode(request.data)
        code = 0 if wanted.username == self.username else 0x81
        data = b"" if code else SessionChallenge(0x55, CHALLENGE).encode()
        return request.answer(code, data).encode()

    def _activate15(self, request: LanRequest) -> bytes:
        code = self.codes["activated"].pop(0) if self.codes.get("activated") else 0
        if code:
            return request.answer(code).encode()
        wanted = ActivateSession.decode(request.data)
        self._outbound15, self._session15 = wanted.sequence - 1, True
        self.sessions += 1
        kind = session15.AUTH_MD5 if self.per_message else 0
        return request.answer(0, SessionActivated(kind, 0x99, 7, 4).encode()).encode()
