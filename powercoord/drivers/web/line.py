# SPDX-License-Identifier: MIT
"""
One connection to a BMC, between Twisted's HTTP and the socket: what has left, what came, and a quick end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.drivers.web.trust import Judge

#: How long a peer may take to say goodbye.
GOODBYE = 1.0


class Untrusted(Exception):
    """
    The certificate that was shown is not trusted; nothing was said to whoever showed it.
    """

    def __init__(self, judge: Judge) -> None:
        super().__init__(judge.refusal or "it showed no certificate")
        self.judge = judge


@define(eq=False)
class Watch:
    """
    Watches one request on its way.

    :param before: called once, before its first byte leaves.
    :param most: bytes that may come before the answer's headers have ended.
    :param left: whether a byte of it has left.
    :param came: bytes that came; :param head: those before the headers had ended, and what came with them.
    """

    before: Callable[[], None]
    most: int
    left: bool = False
    came: int = 0
    headed: bool = False
    head: bytes = b""

    def leaving(self) -> None:
        """
        Note that bytes leave.
        """
        if not self.left:
            self.left = True
            self.before()

    def coming(self, data: bytes) -> bool:
        """
        Note that bytes have come; False if these are too many.
        """
        too_many = not self.headed and self.came >= self.most
        self.came += len(data)
        if not self.headed and not too_many:
            self.head += data
        return not too_many


@implementer(IHandshakeListener)
class Line(Protocol):
    """
    A connection as Twisted's HTTP client sees it: its transport, and where its bytes come from.

    The client is not connected before TLS is: no request exists before somebody is trusted to hear it.

    :param gone: called when it is over.
    :param watch: of the request that is on its way.
    """

    def __init__(
        self,
        clock: IReactorTime,
        factory: IProtocolFactory,
        judge: Judge | None,
        gone: Callable[[Line], None],
    ) -> None:
        self._clock = clock
        self._factory = factory
        self._client: IProtocol | None = None
        self._goodbye: IDelayedCall | None = None
        self._handshaken = False
        self.judge = judge
        self._gone = gone
        self.watch: Watch | None = None
        self.disconnecting = False
        self._lost: Failure | None = None
        self._waiting: Deferred[IProtocol] | None = None

    def connectionMade(self) -> None:
        """
        There is a socket.
        """
        if ITCPTransport.providedBy(self.transport):
            self._wire.setTcpNoDelay(True)
        if self.judge is None:
            self._open()

    def handshakeCompleted(self) -> None:
        """
        There is TLS; whoever got so far without a certificate that was judged gets no further.
        """
        if self.judge is None or self._handshaken:
            return
        self._handshaken = True
        if self.judge.accepted:
            self._open()
        else:
            self.abortConnection()

    def _open(self) -> None:
        client = self._factory.buildProtocol(self._wire.getPeer())
        if client is None or self.disconnecting:
            self.abortConnection()
            return
        self._client = client
        client.makeConnection(cast(ITransport, self))
        if self._waiting is not None:
            self._waiting.callback(client)

    def opened(self) -> Deferred[IProtocol]:
        """
        Wait until it can be used; asked for once, cancelling ends it at once.
        """
        if self._client is not None:
            return succeed(self._client)
        if self._lost is not None:
            return fail(self._lost)
        self._waiting = Deferred(lambda _: self.abortConnection())
        return self._waiting

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on what came, unless it is a flood.
        """
        if self.watch is not None and not self.watch.coming(data):
            self.abortConnection()
        elif self._client is not None and not self.disconnecting:
            self._client.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The socket is gone.
        """
        self.disconnecting = True
        if self._goodbye is not None and self._goodbye.active():
            self._goodbye.cancel()
        client, self._client = self._client, None
        self._lost = reason if client is not None else self._why(reason)
        if client is not None:
            client.connectionLost(reason)
        elif self._waiting is not None and not self._waiting.called:
            self._waiting.errback(self._lost)
        self._gone(self)

    def _why(self, reason: Failure) -> Failure:
        """
        Why there was never anybody to talk to.
        """
        judge = self.judge
        if judge is None or judge.accepted or not (judge.refusal or self._handshaken):
            return reason
        return Failure(Untrusted(judge))

    # What Twisted's HTTP client asks of a transport.

    def write(self, data: bytes) -> None:
        """
        Send bytes, after telling who watches.
        """
        if self.watch is not None:
            self.watch.leaving()
        self._wire.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        The same.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Say goodbye, and do not wait for long to hear it: there are BMCs that never say it.
        """
        if not self.disconnecting:
            self.disconnecting = True
            self._goodbye = self._clock.callLater(GOODBYE, self._wire.abortConnection)
            self._wire.loseConnection()

    def abortConnection(self) -> None:
        """
        End it here and now.
        """
        self.disconnecting = True
        if self.transport is not None:
            self._wire.abortConnection()

    def pauseProducing(self) -> None:
        """
        As a producer.
        """
        self._wire.pauseProducing()

    def resumeProducing(self) -> None:
        """
        As a producer.
        """
        self._wire.resumeProducing()

    def stopProducing(self) -> None:
        """
        As a producer.
        """
        self.loseConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """
        As a consumer.
        """
        self._wire.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        As a consumer.
        """
        self._wire.unregisterProducer()

    @property
    def _wire(self) -> Any:
        return self.transport


class LineFactory(Factory):
    """
    Makes the line of one attempt to connect.
    """

    noisy = False

    def __init__(self, line: Line) -> None:
        self._line = line

    def buildProtocol(self, addr: object) -> Line:
        """
        Give the line to the socket.
        """
        return self._line


def connect(clock: IReactorTime, endpoint: IStreamClientEndpoint, line: Line) -> Deferred[IProtocol]:
    """
    Bring a line to where it can be used; cancelling ends it at once.

    :return: fires with Twisted's HTTP client.
    """
    if line.judge is not None:
        endpoint = wrapClientTLS(line.judge, endpoint, clock=clock)
    return Deferred.fromCoroutine(_connect(endpoint, line))


async def _connect(endpoint: IStreamClientEndpoint, line: Line) -> IProtocol:
    await endpoint.connect(LineFactory(line))
    return await line.opened()
