# SPDX-License-Identifier: MIT
"""
One kept connection to a BMC: opened when it is needed, used by one request at a time, closed when it is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from powercoord.drivers.web.counters import Counters
from powercoord.drivers.web.keeping import kept_for
from powercoord.drivers.web.line import Line, Watch, connect
from powercoord.drivers.web.place import Place
from powercoord.drivers.web.trust import Trust


@frozen(kw_only=True)
class Ask:
    """
    A request.

    :param path: from the root of the BMC's web server, with its query.
    :param headers: beside ``Host`` and the body's length; they may hold secrets.
    :param repeatable: whether it does no harm twice; None: as HTTP says of its method.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    repeatable: bool | None = None

    @property
    def harmless(self) -> bool:
        """
        Whether it may be sent again when nobody knows whether it arrived.
        """
        return self.method in ("GET", "HEAD") if self.repeatable is None else self.repeatable


@frozen
class Answer:
    """
    What a BMC answered, in full.
    """

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """
        The last header of that name, or nothing.
        """
        values = self.headers.getRawHeaders(name, [])
        return values[-1] if values else ""


@frozen(kw_only=True)
class Bounds:
    """
    How much of a BMC we bear.

    :param body: bytes of an answer's body.
    :param head: bytes of an answer before its body, whatever comes there.
    :param idle: seconds that an unused connection is kept.
    :param connections: how many there may be.
    """

    body: int = 1 << 20
    head: int = 1 << 16
    idle: float = 10.0
    connections: int = 1


class TooLong(Exception):
    """
    A body is longer than the bound.
    """


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@define(eq=False, repr=False)
class Seat:
    """
    Where at most one connection sits.

    :param endpoint: makes the endpoint of a place, without TLS.
    """

    _clock: IReactorTime
    _place: Place
    _trust: Trust
    _endpoint: Callable[[Place], IStreamClientEndpoint]
    _bounds: Bounds
    _counters: Counters
    _pool: HTTPConnectionPool = field(init=False)
    _agent: Agent = field(init=False)
    _line: Line | None = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _emptied: Deferred[None] | None = field(default=None, init=False)
    _kept_until: float = field(default=inf, init=False)
    connected: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        """
        Twisted's pool knows when a connection can be used again, and when it has been idle for too long.
        """
        self._pool = HTTPConnectionPool(self._clock)
        self._pool.maxPersistentPerHost = 1
        self._pool.cachedConnectionTimeout = self._bounds.idle  # type: ignore[assignment]
        self._pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(self._clock, self, self._pool)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802 - Twisted's name
        """
        See `IAgentEndpointFactory`: it is always the same.
        """
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        """
        See `IStreamClientEndpoint`.
        """
        judge = self._trust.judge(self._place) if self._place.secure else None
        self._counters.connections += 1
        self.connected += 1
        self._line = line = Line(self._clock, protocolFactory, judge, self._gone)
        line.watch = self._watch
        return connect(self._clock, self._endpoint(self._place), line).addCallback(self._usable)

    def _usable(self, client: IProtocol) -> IProtocol:
        self._counters.handshakes += 1
        return client

    async def fetch(
        self,
        ask: Ask,
        watch: Watch,
        heard: Callable[[bytes], None] | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Answer:
        """
        Send a request and have its whole answer; whatever ends this otherwise ends the connection, too.

        :param heard: is told the body of a 200 as it comes, without bounds, in place of collecting it.
        :param begun: is told that an answer has begun.
        """
        if self._line is not None and self._clock.seconds() >= self._kept_until:
            self._pool.closeCachedConnections()
        self._watch = watch
        if self._line is not None:
            self._line.watch = watch
        try:
            response = await self._agent.request(
                ask.method.encode(),
                (self._place.text + ask.path).encode("ascii"),
                Headers({name: [value] for name, value in ask.headers.items()}),
                None if ask.body is None else _Bytes(ask.body),
            )
            watch.headed = True
            if begun is not None:
                begun()
            streams = heard is not None and response.code == 200
            body = _Stream(heard) if heard is not None and streams else _Body(self._bounds.body)
            response.deliverBody(body)
            answer = Answer(response.code, response.headers, await body.whole)
            self._kept_until = self._clock.seconds() + kept_for(watch.head)
            return answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._watch = None
            if self._line is not None:
                self._line.watch = None

    def abort(self) -> None:
        """
        Close what there is, here and now.
        """
        if self._line is not None:
            self._line.abortConnection()
            if self._line.transport is None:
                self._line = None

    async def close(self) -> None:
        """
        Close an idle connection, and wait until it is.
        """
        self._pool.closeCachedConnections()
        if self._line is not None:
            self._emptied = Deferred()
            await self._emptied

    def _gone(self, line: Line) -> None:
        if self._line is line:
            self._line = None
            emptied, self._emptied = self._emptied, None
            if emptied is not None:
                emptied.callback(None)


@implementer(IBodyProducer)
@define
class _Bytes:
    """
    A body that is there already.
    """

    _body: bytes = field(repr=False)

    @property
    def length(self) -> int:
        """
        Its length.
        """
        return len(self._body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802
        """
        All at once.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It is all written.
        """

    def resumeProducing(self) -> None:
        """
        It is all written.
        """

    def stopProducing(self) -> None:
        """
        It is all written.
        """


class _Body(Protocol):
    """
    Collects a body, within bounds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self.whole: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what came, unless it is too much.
        """
        self._size += len(data)
        if self._size <= self._most:
            self._parts.append(data)
        elif not self.whole.called:
            self._parts.clear()
            self.whole.errback(TooLong())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be done; without a length, the end of the connection is the end of the body.
        """
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)


class _Stream(_Body):
    """
    Passes a body on as it comes; a listener that raises ends it.
    """

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        super().__init__(0)
        self._heard = heard

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        if self.whole.called:
            return
        try:
            self._heard(data)
        except Exception:  # noqa: BLE001 - whoever listens has the error
            self.whole.errback()
