# SPDX-License-Identifier: MIT
"""
AMP connections in memory, to a real registry over fake machines, on a clock that a test turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.api.limits import Limits, PeerLog
from powercoord.api.reception import Coordinator, Door, Reception
from powercoord.client import Client
from tests.list_history import ListHistory
from tests.registry.world import World

LOCAL = UNIXAddress(None)
REMOTE = IPv4Address("TCP", "10.0.0.9", 4000)
HIGH_WATER = 65_536


@define(eq=False)
class Pipe:
    """
    One end's transport: what it writes waits until the wire carries it to the other end.

    A paused end is carried nothing, and a producer of an end whose writes pile up is paused, as
    real transports do.
    """

    peer_address: IAddress
    protocol: Any = None
    other: Any = None
    buffer: bytes = b""
    written: bytes = b""
    paused: bool = False
    clogged: bool = False
    producer: Any = None
    leaving: bool = False
    aborted: bool = False
    lost: bool = False

    def write(self, data: bytes) -> None:
        if not (self.leaving or self.lost):
            self.buffer += data
            self.written += data
            if len(self.buffer) > HIGH_WATER and self.producer is not None and not self.clogged:
                self.clogged = True
                self.producer.pauseProducing()

    def getPeer(self) -> IAddress:
        return self.peer_address

    def getHost(self) -> IAddress:
        return LOCAL

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def loseConnection(self) -> None:
        self.leaving = True

    def abortConnection(self) -> None:
        self.leaving = self.aborted = True
        self.buffer = b""

    def carry(self) -> bool:
        """
        Move what was written to the other end; whether anything happened.
        """
        if self.buffer and not self.other.paused and not self.other.lost:
            data, self.buffer = self.buffer, b""
            self.other.protocol.dataReceived(data)
            if self.clogged:
                self.clogged = False
                if self.producer is not None:
                    self.producer.resumeProducing()
            return True
        if self.leaving and not self.lost and (self.aborted or not self.buffer):
            self.end()
            return True
        return False

    def end(self) -> None:
        """
        The connection is over for both ends.
        """
        for each in (self, self.other):
            if not each.lost:
                each.lost = True
                each.protocol.connectionLost(Failure(ConnectionDone()))


def connect(server: Any, client: Any, address: IAddress = LOCAL) -> tuple[Pipe, Pipe]:
    """
    Connect two protocols; what they write waits for `carry`.
    """
    ours, theirs = Pipe(address, server), Pipe(LOCAL, client)
    ours.other, theirs.other = theirs, ours
    server.makeConnection(ours)
    client.makeConnection(theirs)
    return ours, theirs


class Collector(Protocol):
    """
    A peer that only takes down what it is sent.
    """

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    def boxes(self) -> list[dict[bytes, bytes]]:
        return [dict(box) for box in amp.parseString(self.data)]


@define(eq=False)
class AmpWorld:
    """
    A coordinator whose peers are in memory.
    """

    count: int = 3
    secret: bytes | None = None
    limits: Limits = field(factory=Limits)
    options: Mapping[str, Any] = field(factory=dict)
    lifecycle: Any = None
    remembering: bool = True
    world: World = field(init=False)
    reception: Reception = field(init=False)
    door: Door = field(init=False)
    pipes: list[Pipe] = field(factory=list, init=False)
    refusing: bool = field(default=False, init=False)
    attempts: list[float] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.world = World(self.count, **self.options)
        self.restart(self.world.registry)

    def restart(self, registry: Any) -> None:
        """
        Answer from another registry from now on.
        """
        ids = count(1)
        self.reception = Reception(
            Coordinator(
                registry=registry,
                drivers={"fake": self.world.driver},
                clock=self.world.clock,
                ident="rack1",
                new_id=lambda: f"id{next(ids)}",
                random=lambda size: next(ids).to_bytes(size, "big"),
                secret=self.secret,
                limits=self.limits,
                history=ListHistory(self.world.journal.entries) if self.remembering else None,
                lifecycle=self.lifecycle,
            )
        )
        self.door = Door(self.reception)

    @property
    def clock(self) -> Any:
        return self.world.clock

    def join(self, client: Any, address: IAddress = LOCAL) -> Any:
        """
        Connect a peer's protocol; returns the coordinator's end of it.
        """
        link = self.door.buildProtocol(address)
        if link is not None:
            self.pipes += connect(link, client, address)
        return link

    def stock(self, address: IAddress = LOCAL) -> amp.AMP:
        """
        Connect Twisted's own AMP, as somebody else's program would.
        """
        peer = amp.AMP()
        self.join(peer, address)
        return peer

    def raw(self, address: IAddress = LOCAL) -> Collector:
        """
        Connect a peer that sends bytes.
        """
        peer = Collector()
        self.join(peer, address)
        return peer

    def send(self, peer: Collector, data: bytes) -> None:
        """
        Let a peer send bytes, and the wire carry whatever comes of it.
        """
        peer.transport.write(data)
        self.carry()

    def client(self, **options: Any) -> Client:
        """
        A client of ours, connected.
        """
        ids = count(1)
        options = {"requester": "tester", "new_id": lambda: f"c{next(ids)}", "jitter": lambda: 1.0} | options
        address = options.pop("address", LOCAL)
        client = Client(self.clock, MemoryEndpoint(self, address), **options)
        client.start()
        self.carry()
        return client

    def carry(self) -> None:
        """
        Let the wire carry everything until nothing moves, without time passing.
        """
        self.clock.advance(0)
        while any(pipe.carry() for pipe in list(self.pipes)):
            self.clock.advance(0)
        self.pipes = [pipe for pipe in self.pipes if not pipe.lost]

    def turn(self, seconds: float, step: float = 0.05) -> None:
        """
        Let time pass, in steps, and the wire carry.
        """
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.carry()

    def cut(self) -> None:
        """
        Lose every connection, with all that is on the wire.
        """
        for pipe in list(self.pipes):
            pipe.end()
        self.carry()


@implementer(IStreamClientEndpoint)
@define(eq=False)
class MemoryEndpoint:
    """
    Where a client dials: the door of an `AmpWorld`.
    """

    _world: AmpWorld
    _address: IAddress

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self._world.attempts.append(self._world.clock.seconds())
        if self._world.refusing:
            return fail(ConnectionRefusedError())
        protocol = factory.buildProtocol(LOCAL)
        self._world.join(protocol, self._address)
        return succeed(protocol)


@define(eq=False)
class LinkWorld:
    """
    One link with responders of the test's own, and a peer that sends bytes or Twisted's AMP.
    """

    responders: Mapping[Any, Callable[..., Any]]
    limits: Limits = field(factory=Limits)
    clock: Any = None
    peer: Any = field(factory=Collector)
    link: Any = field(init=False)
    pipes: tuple[Pipe, Pipe] = field(init=False)

    def __attrs_post_init__(self) -> None:
        from twisted.internet.task import Clock

        from powercoord.api.wire import Link

        self.clock = Clock()
        references = count(1)
        self.link = Link(
            self.clock,
            self.responders,
            limits=self.limits,
            peers=PeerLog(self.clock),
            new_reference=lambda: f"ref{next(references)}",
        )
        self.pipes = connect(self.link, self.peer, REMOTE)

    def carry(self) -> None:
        while any(pipe.carry() for pipe in self.pipes):
            pass

    def send(self, data: bytes) -> None:
        self.peer.transport.write(data)
        self.carry()

    def turn(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.carry()
