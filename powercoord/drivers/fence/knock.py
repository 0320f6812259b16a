# SPDX-License-Identifier: MIT
"""
Whether a device is there, found out without a login: no account is locked by it.

A TCP port takes a connection or not.  An IPMI device answers Get Channel Authentication Capabilities
(IPMI 2.0, section 22.13) to anybody.
"""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from powercoord.drivers.fence.metadata import Agent
from powercoord.drivers.fence.settings import FenceAgentSettings
from powercoord.drivers.ipmi.address import PORT, Address, Peer
from powercoord.drivers.ipmi.ask import Command, OutsideAsk
from powercoord.drivers.ipmi.channel import PRIVILEGE_USER, GetAuthCapabilities
from powercoord.drivers.ipmi.resolve import Resolver
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.errors import PowercoordError
from powercoord.interfaces import IOperation

#: How long a device may take to answer, in seconds, and how often it is asked by datagrams.
PATIENCE = 1.0
_TIMES = 3

_SPEAKS_IPMI = "lanplus"


@define(eq=False)
class Knock:
    """
    Knocks at devices.
    """

    _reactor: Any
    _resolver: Resolver = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._resolver = Resolver(self._reactor, lambda: self._reactor.nameResolver)

    async def answers(self, settings: FenceAgentSettings, agent: Agent | None, operation: IOperation) -> bool:
        """
        Whether somebody is there; True where nobody knows how to find out.
        """
        port = port_of(settings, agent)
        host = settings.address.strip("[]")
        if agent is not None and _SPEAKS_IPMI in agent.parameters and host:
            return await self._ipmi(host, port or PORT, operation)
        return port is None or not host or await self._tcp(host, port)

    async def _tcp(self, host: str, port: int) -> bool:
        there = HostnameEndpoint(self._reactor, host, port, timeout=PATIENCE)
        try:
            connected: Any = await there.connect(Factory.forProtocol(Protocol))
        except Exception:  # noqa: BLE001 - whatever keeps us from connecting keeps the agent from it
            return False
        connected.transport.abortConnection()
        return True

    async def _ipmi(self, host: str, port: int, operation: IOperation) -> bool:
        try:
            peer = await self._peer(evolve(Address.parse(host), port=port), operation)
        except PowercoordError:
            return False
        question = Question(self._reactor, peer)
        socket = self._reactor.listenUDP(0, question, interface="::" if ":" in peer[0] else "")
        try:
            return await question.answered
        finally:
            question.over()
            socket.stopListening()

    async def _peer(self, address: Address, operation: IOperation) -> Peer:
        if address.literal:
            return address.host, address.port
        return await self._resolver.peer(address, self._reactor.seconds() + PATIENCE, operation)


class Question(DatagramProtocol):
    """
    Asks one device what authentication it knows, some times.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, peer: Peer) -> None:
        self.answered: Deferred[bool] = Deferred(lambda _: self.over())
        self._clock = clock
        self._peer = peer
        request = GetAuthCapabilities(PRIVILEGE_USER, extended=False)
        command = Command(GetAuthCapabilities.NETFN, GetAuthCapabilities.COMMAND, request.encode())
        self._ask = OutsideAsk(command, sequence=1)
        self._left = _TIMES
        self._timer: Any = None

    def startProtocol(self) -> None:
        self.transport.connect(*self._peer)
        self._say()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            answer = self._ask.read(datagram)
        except MalformedDatagram:
            return
        if answer is not None:
            self._tell(True)

    def connectionRefused(self) -> None:
        self._tell(False)

    def stopProtocol(self) -> None:
        # The reactor closes a socket that it is told an error of: nobody listens there.
        self._tell(False)

    def over(self) -> None:
        """
        Ask no more.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _say(self) -> None:
        if not self._left:
            self._tell(False)
            return
        self._left -= 1
        self._timer = self._clock.callLater(PATIENCE / _TIMES, self._say)
        # May say at once that an earlier one was refused.
        self.transport.write(self._ask.write())

    def _tell(self, answers: bool) -> None:
        self.over()
        if not self.answered.called:
            self.answered.callback(answers)


def port_of(settings: FenceAgentSettings, agent: Agent | None) -> int | None:
    """
    The port that an agent's login goes to, by the rules of their library.
    """
    parameter = None if agent is None else agent.parameters.get("ipport")
    default = None if parameter is None else parameter.default
    if any(settings.options.get(name) in (True, 1, "1", "yes", "on", "true") for name in ("ssh", "secure")):
        default = "22"
    chosen = str(settings.options.get("ipport", default or ""))
    return int(chosen) if chosen.isdecimal() and 0 < int(chosen) < 65536 else None
