# SPDX-License-Identifier: MIT
"""
Telling HAProxy how far the service has come: its agent check.

HAProxy connects, may send a string, reads one line, and closes (HAProxy's
configuration manual, section 5.2, "agent-check").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.api.agent_words import Manner, answer
from powercoord.api.limits import name_of
from powercoord.api.listen import clear_stale, guarded
from powercoord.errors import ConfigError
from powercoord.interfaces import IDoor
from powercoord.stages import ILifecycle

# Seconds in which an answer to HAProxy has left, and HAProxy has closed.
GOODBYE = 0.05

_log = Logger()


@frozen(kw_only=True)
class AgentLimits:
    """
    What those who ask may cost.

    :param connections: above it the oldest, which has had its answer, is parted from
    :param patience: seconds for one connection, from first to last
    :param unread: bytes of a peer's that are read and forgotten; then no more is read
    """

    connections: int = 32
    patience: float = 2.0
    unread: int = 4_096


class Asked(Protocol):
    """
    One who asked: is told, and parted from.

    Only our half of the connection is closed at once.  To close it whole while
    something of the peer's is unread (HAProxy's ``agent-send``) is a reset,
    and a reset may overtake the answer.
    """

    _timer: IDelayedCall | None = None
    _read = 0

    def __init__(self, agent: AgentCheck) -> None:
        self._agent = agent

    def connectionMade(self) -> None:
        transport: Any = self.transport
        limits = self._agent.limits
        self._timer = self._agent.clock.callLater(limits.patience, self._late)
        self._agent.arrived(self)
        transport.write(self._agent.line())
        transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        self._read += len(data)
        if self._read > self._agent.limits.unread:
            transport: Any = self.transport
            transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._agent.left(self)

    def abort(self) -> None:
        """
        Part at once.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def _late(self) -> None:
        self._timer = None
        self.abort()


def _networks(texts: Sequence[str]) -> Sequence[IPv4Network | IPv6Network]:
    try:
        return tuple(map(ip_network, texts))
    except ValueError as error:
        raise ConfigError(
            f"who may ask for agent checks: {error}; 10.0.0.5 and 10.0.0.0/24 would do"
        ) from None


class _Hall(Factory):
    noisy = False

    def __init__(self, agent: AgentCheck) -> None:
        self._agent = agent

    def buildProtocol(self, addr: IAddress | None) -> Asked | None:
        """
        Somebody to be told, or None (then Twisted closes the connection) for a stranger.
        """
        return Asked(self._agent) if self._agent.knows(name_of(addr)) else None


@implementer(IDoor)
@define(eq=False)
class AgentCheck:
    """
    Listens for HAProxy, and answers from memory.

    It goes on answering while the other doors close, because until HAProxy
    has heard of the drain it sends new connections here; so it is the door
    that opens first and closes last.

    :param allow: networks, or addresses, from which HAProxy may ask besides
        this machine.
    :param endpoint: makes endpoints of their strings.
    :raises ConfigError: one of them is none.
    """

    _reactor: Any
    _endpoints: Sequence[str]
    _lifecycle: ILifecycle
    _manner: Manner = field(factory=Manner)
    _allow: Sequence[IPv4Network | IPv6Network] = field(default=(), converter=_networks)
    _endpoint: Callable[[Any, str], IStreamServerEndpoint] = serverFromString
    limits: AgentLimits = field(factory=AgentLimits)
    name: str = field(init=False)
    ports: list[IListeningPort] = field(factory=list, init=False)
    _asking: dict[Asked, None] = field(factory=dict, init=False)
    _quiet_until: float = field(default=0.0, init=False)
    _untold: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.name = f"agent check at {', '.join(self._endpoints) or 'no endpoint'}"

    @property
    def clock(self) -> IReactorTime:
        """
        The clock of its connections.
        """
        clock: IReactorTime = self._reactor
        return clock

    async def open(self) -> None:
        """
        Listen on every endpoint, or on none.

        :raises ConfigError: naming the endpoint and the reason.
        """
        for endpoint in self._endpoints:
            try:
                text = self._guarded(endpoint)
                clear_stale(text)
                port = await self._endpoint(self._reactor, text).listen(_Hall(self))
            except Exception as error:
                await self.close()
                raise ConfigError(f"cannot listen for agent checks on {endpoint}: {error}") from error
            self.ports.append(port)
            _log.info("listening for agent checks on {endpoint}", endpoint=endpoint)

    async def stop_accepting(self) -> None:
        """
        Nothing: who asks now is told of the drain.
        """

    async def close(self) -> None:
        """
        Listen no more; who is there has had the answer.
        """
        ports, self.ports = self.ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        if self._asking:
            await deferLater(self._reactor, GOODBYE)
        for asked in list(self._asking):
            asked.abort()

    def line(self) -> bytes:
        """
        The answer as it leaves.
        """
        return f"{answer(self._lifecycle, self._manner)}\n".encode("ascii")

    def knows(self, peer: str) -> bool:
        """
        Whether a peer may ask; complains, at most once a minute, if not.
        """
        if peer == "local":
            return True
        address = ip_address(peer.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or any(address in network for network in self._allow):
            return True
        self._complain(peer)
        return False

    def arrived(self, asked: Asked) -> None:
        """
        Count somebody; make room if there are too many.
        """
        self._asking[asked] = None
        if len(self._asking) > self.limits.connections:
            oldest = next(iter(self._asking))
            del self._asking[oldest]
            oldest.abort()

    def left(self, asked: Asked) -> None:
        """
        Count somebody no more.
        """
        self._asking.pop(asked, None)

    def _guarded(self, endpoint: str) -> str:
        try:
            return guarded(endpoint, secret=bool(self._allow), insecure=False)
        except ConfigError:
            raise ConfigError(
                "it is open to the network; name those who may ask, or add :interface=127.0.0.1"
            ) from None

    def _complain(self, peer: str) -> None:
        now = self.clock.seconds()
        if now < self._quiet_until:
            self._untold += 1
            return
        more = f" (and {self._untold} times more before)" if self._untold else ""
        _log.warn("agent check: {peer} is not allowed to ask; refused{more}", peer=peer, more=more)
        self._quiet_until, self._untold = now + 60.0, 0
