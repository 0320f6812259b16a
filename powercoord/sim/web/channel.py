# SPDX-License-Identifier: MIT
"""
One connection to a simulated BMC: twisted.web reads the requests, and here they are answered, or not.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocolNegotiationFactory
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES, RESPONSES, HTTPChannel, Request
from twisted.web.http_headers import Headers
from zope.interface import implementer

from powercoord.sim.web.bmc import WebBmc
from powercoord.sim.web.exchange import Answer, Ask, Ending, Framing, Reaction

#: A request's body, at most.
MAX_BODY = 1 << 20

#: Answers of one BMC that do not end, at most.
MAX_STREAMS = 32

#: Seconds without a request after which a connection is closed.
IDLE = 60.0

_AMT_CHUNK = 0x400
_PIECE = 65536
_PAUSE = 0.001
_BETWEEN_NEWS = 0.05


class Exchange(Request):
    """
    One request and what becomes of it.
    """

    channel: Any
    transport: Any
    _later: IDelayedCall | None = None
    _streaming = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's names, here and below
        self.content: Any = BytesIO()
        if length is not None and length > MAX_BODY:
            self.channel.refuse(413)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if self.content.tell() + len(data) > MAX_BODY:
            self.channel.refuse(413)
        else:
            self.content.write(data)

    def process(self) -> None:
        if self.channel.refused:  # the rest of its body was in the same piece
            return
        bmc: WebBmc = self.channel.factory.bmc
        reaction = bmc.receive(self._ask())
        if reaction.delay:
            self._later = self.channel.callLater(reaction.delay, self._react, reaction)
        else:
            self._react(reaction)

    def connectionLost(self, reason: Failure) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._streaming:
            self.channel.factory.deaf(self)
        super().connectionLost(reason)

    def tell(self, text: bytes) -> None:
        """
        Write one more piece of an answer that does not end.
        """
        self.channel.write(b"%x\r\n%s\r\n" % (len(text), text))

    def _ask(self) -> Ask:
        path, _, query = self.uri.decode("latin-1").partition("?")
        headers = {
            name.decode("latin-1").lower(): values[0].decode("latin-1")
            for name, values in self.requestHeaders.getAllRawHeaders()
        }
        return Ask(
            method=self.method.decode("latin-1"),
            path=path,
            query=query,
            headers=headers,
            body=self.content.read(),
            connection=self.channel.number,
        )

    def _react(self, reaction: Reaction) -> None:
        self._later = None
        answer, ending = reaction.answer, reaction.ending
        if ending is Ending.DROPPED:
            self.transport.abortConnection()
        elif answer is not None:
            self._send(answer, ending)

    def _send(self, answer: Answer, ending: Ending | None) -> None:
        old = self.clientproto != b"HTTP/1.1"
        framing = _framing(answer, old, ending)
        self.channel.persistent = self.channel.persistent and not (
            answer.close or framing is Framing.UNTIL_CLOSE
        )
        bodiless = self.method == b"HEAD" or answer.code in NO_BODY_CODES
        self.startedWriting = 1
        self._head(answer, framing)
        body = b"" if bodiless else _framed(answer.body, framing, ended=not answer.stream)
        if ending is Ending.TORN:
            self.channel.write(body[: len(body) // 2])
            self.transport.loseConnection()
        elif ending is Ending.ENDLESS:
            self._go_on()
        elif answer.stream:
            self.channel.write(body)
            self._streaming = self.channel.factory.listen(self)
        else:
            self.channel.write(body)
            self.finish()

    def _head(self, answer: Answer, framing: Framing) -> None:
        headers = Headers()
        for name, value in answer.headers:
            headers.addRawHeader(name, value)
        if answer.code not in NO_BODY_CODES:
            if framing is Framing.LENGTH:
                headers.addRawHeader("Content-Length", str(len(answer.body)))
            elif framing is not Framing.UNTIL_CLOSE:
                headers.addRawHeader("Transfer-Encoding", "chunked")
        if not self.channel.persistent:
            headers.setRawHeaders("Connection", ["close"])
        reason = RESPONSES.get(answer.code, b"Unknown")
        self.channel.writeHeaders(b"HTTP/1.1", b"%d" % answer.code, reason, headers)

    def _go_on(self) -> None:
        self.tell(b" " * _PIECE)
        self._later = self.channel.callLater(_PAUSE, self._go_on)


def _framing(answer: Answer, old: bool, ending: Ending | None) -> Framing:
    if ending is Ending.ENDLESS:
        return Framing.CHUNKED
    if old and answer.framing is not Framing.LENGTH:
        return Framing.UNTIL_CLOSE
    return answer.framing


def _framed(body: bytes, framing: Framing, *, ended: bool) -> bytes:
    if framing in (Framing.LENGTH, Framing.UNTIL_CLOSE):
        return body
    if framing is Framing.CHUNKED_AMT:
        pieces = [body[start : start + _AMT_CHUNK] for start in range(0, len(body), _AMT_CHUNK)]
        chunks = [b"%04X\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    else:
        chunks = [b"%x\r\n%s\r\n" % (len(body), body)] if body else []
    return b"".join([*chunks, b"0\r\n\r\n" if ended else b""])


class Channel(HTTPChannel):
    """
    One connection.

    :ivar number: counted from 1; :ivar refused: nothing more is heard on it.
    """

    factory: Any
    transport: Any
    requestFactory = Exchange  # noqa: N815
    number = 0
    refused = False

    def connectionMade(self) -> None:
        self.number = self.factory.joined(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if not self.refused and not self.factory.bmc.faults.dead:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self.factory.left(self)

    def refuse(self, code: int) -> None:
        """
        Say why, and hear nothing more.
        """
        self.refused = True
        self.transport.write(b"HTTP/1.1 %d %s\r\nConnection: close\r\n\r\n" % (code, RESPONSES[code]))
        self.loseConnection()


@implementer(IProtocolNegotiationFactory)
class Doorway(ServerFactory):
    """
    Where connections to one BMC arrive.

    :ivar streams: the answers that do not end.
    """

    noisy = False

    def __init__(self, reactor: Any, bmc: WebBmc) -> None:
        self._reactor = reactor
        self.bmc = bmc
        self.channels: set[Channel] = set()
        self.streams: set[Exchange] = set()
        self._telling: IDelayedCall | None = None
        self._empty: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return "<simulated BMC>"  # Twisted logs a port's factory; this one leads to the whole fleet

    def buildProtocol(self, addr: object) -> Channel:
        channel = Channel()
        channel.factory = self
        channel.timeOut = IDLE  # type: ignore[assignment]
        channel.callLater = self._reactor.callLater  # type: ignore[method-assign]
        return channel

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - Twisted's name
        """
        Who offers protocols by ALPN, as curl does, is refused where none is taken.
        """
        return [b"http/1.1"]

    def listen(self, exchange: Exchange) -> bool:
        """
        Tell this one what happens, from now on; False: there are too many, and its connection is dropped.
        """
        if len(self.streams) >= MAX_STREAMS:
            exchange.transport.loseConnection()
            return False
        if not self.streams:
            self.bmc.news()
            self._telling = self._reactor.callLater(_BETWEEN_NEWS, self._tell)
        self.streams.add(exchange)
        return True

    def deaf(self, exchange: Exchange) -> None:
        """
        This one does not listen any more.
        """
        self.streams.discard(exchange)
        if not self.streams and self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell(self) -> None:
        self._telling = None
        news = self.bmc.news()
        for exchange in list(self.streams) if news else ():
            exchange.tell(news)
        if self.streams:
            self._telling = self._reactor.callLater(_BETWEEN_NEWS, self._tell)

    def joined(self, channel: Channel) -> int:
        """
        A connection was made.
        """
        self.channels.add(channel)
        return self.bmc.record.connected()

    def left(self, channel: Channel) -> None:
        """
        A connection has ended.
        """
        self.channels.discard(channel)
        self.bmc.record.disconnected()
        if not self.channels:
            empty, self._empty = self._empty, []
            for waiting in empty:
                waiting.callback(None)

    def log(self, request: Request) -> None:
        """
        The record is kept by the BMC.
        """

    def abort(self) -> None:
        """
        End all connections at once.
        """
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def close(self) -> Deferred[None]:
        """
        End all connections at once; fires when they are gone.
        """
        if not self.channels:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._empty.append(gone)
        self.abort()
        return gone
