# SPDX-License-Identifier: MIT
"""
A web server in memory, whose every byte a test says itself, on a clock that a test turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.drivers.web import Answer, Ask, Bounds, Exchange, Place, Trust


class Socket(StringTransport):
    """
    Our end of a connection; the test is the other.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.open = True
        self.aborted = False

    def loseConnection(self) -> None:
        self.drop()

    def abortConnection(self) -> None:
        self.aborted = True
        self.drop()

    def drop(self, lost: bool = False) -> None:
        """
        End it, a turn of the reactor later, as TCP does.
        """
        if self.open:
            self.open = False
            reason = Failure(ConnectionLost() if lost else ConnectionDone())
            self.clock.callLater(0, self.protocol.connectionLost, reason)

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def heard(self) -> bytes:
        """
        What has come since the last look.
        """
        data = self.value()
        self.clear()
        return data


@define(eq=False)
class Errand:
    """
    An operation as the registry gives it.
    """

    deadline: float = 1000.0
    cancelled: bool = False
    announced: int = 0
    callbacks: list[Callable[[], None]] = field(factory=list)
    on_sending: Callable[[], None] | None = None

    def sending(self) -> None:
        self.announced += 1
        if self.on_sending is not None:
            self.on_sending()

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def stop(self) -> None:
        self.cancelled = True
        for callback in self.callbacks:
            callback()


@implementer(IStreamClientEndpoint)
@define(eq=False)
class World:
    """
    Connections to one server, in the order in which they were made.

    :param mute: whether nobody answers a connection.
    :param refuses: whether all are refused.
    """

    clock: Clock = field(factory=Clock)
    sockets: list[Socket] = field(factory=list)
    exchanges: list[Exchange] = field(factory=list)
    mute: bool = False
    refuses: bool = False
    attempts: int = 0

    def exchange(self, **bounds: Any) -> Exchange:
        place = Place.parse("http://192.0.2.1")
        exchange = Exchange(self.clock, place, Trust(), lambda _: self, Bounds(**bounds))
        self.exchanges.append(exchange)
        return exchange

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        self.attempts += 1
        if self.mute:
            return Deferred()
        if self.refuses:
            return Deferred.fromCoroutine(self._refuse())
        socket = Socket(self.clock)
        protocol = protocolFactory.buildProtocol(None)
        socket.protocol = protocol
        self.sockets.append(socket)
        protocol.makeConnection(socket)
        return succeed(protocol)

    async def _refuse(self) -> IProtocol:
        raise ConnectionRefusedError

    @property
    def socket(self) -> Socket:
        return self.sockets[-1]

    def heard(self) -> bytes:
        return self.socket.heard()

    def say(self, body: bytes = b"", status: str = "200 OK", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.say("\r\n".join([*lines, "", ""]).encode() + body)
        self.turn()

    def turn(self) -> None:
        """
        Let what is due happen.
        """
        self.clock.advance(0)


def ask(
    exchange: Exchange, method: str = "GET", path: str = "/x", errand: Errand | None = None, **more: Any
) -> Deferred[Answer]:
    """
    Begin an exchange that has ten seconds.
    """
    body = b"{}" if method in ("POST", "PATCH") else None
    changes = more.pop("changes", False)
    until = more.pop("until", 10.0)
    asked = Ask(method=method, path=path, body=body, **more)
    return Deferred.fromCoroutine(exchange.ask(asked, errand or Errand(), until, changes=changes))
