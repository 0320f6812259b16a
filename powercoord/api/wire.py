# SPDX-License-Identifier: MIT
"""
One AMP connection that its peer cannot break, for either side of it.

Twisted's own AMP drops a connection, and every call on it, for an undeclared
error, a malformed argument or a long answer; keeps half a box for ever; and
reads on while nobody reads its answers.  Here nothing that a peer sends as AMP
and nothing that our side raises ends the connection or another call on it, and
what one peer can cost is bounded by `Limits`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.amp import Command
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.api.boxes import BoxParser, Flawed, Garbage, ValueTooLong
from powercoord.api.calls import ANSWER, ASK, COMMAND, ERROR, LinkLost, Questions
from powercoord.api.commands import Ping
from powercoord.api.limits import Limits, PeerLog, name_of
from powercoord.api.serving import MAX_TAG, Responders, Serving

CHUNK = 65_536
CHECK_EVERY = 1.0


@implementer(IPushProducer)
class Link(Protocol):
    """
    Answers commands of a peer, and asks it.

    Its reading is what it "produces": while the peer does not read, or has
    too much in flight, nothing more is read from it.
    """

    transport: Any

    def __init__(
        self,
        clock: IReactorTime,
        responders: Responders,
        *,
        limits: Limits,
        peers: PeerLog,
        new_reference: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._peers = peers
        self._parser = BoxParser()
        self._questions = Questions()
        self.serving = Serving(self._send, self._eased, limits, new_reference)
        self.serving.add({Ping: dict})
        self.serving.add(responders)
        self._out: list[bytes] = []
        self._out_size = 0
        self._reading = self._paused = self._ended = False
        self._clogged_at: float | None = None
        self._box_begun_at: float | None = None
        self._heard_at = 0.0
        self._pinged = False
        self._check: IDelayedCall | None = None
        self._lost: str | None = None
        self.made: Callable[[], None] | None = None
        self._when_lost: list[Callable[[str], None]] = []

    # What Twisted calls.

    def connectionMade(self) -> None:
        """
        Begin.
        """
        self.serving.peer = name_of(self.transport.getPeer())
        self._heard_at = self._clock.seconds()
        self.transport.registerProducer(self, True)
        self._check = self._clock.callLater(CHECK_EVERY, self._checked)
        if self.made is not None:
            self.made()

    def dataReceived(self, data: bytes) -> None:
        """
        Take what came, and answer what is complete.
        """
        if not self._ended:
            self._heard_at = self._clock.seconds()
            self._pinged = False
            self._parser.feed(data)
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go of everything that waited for this peer.
        """
        self._ended = True
        if self._check is not None and self._check.active():
            self._check.cancel()
        text = reason.getErrorMessage()
        self.serving.abandon()
        self._questions.lost(text)
        self._lost = text
        for callback in self._when_lost:
            callback(text)

    def pauseProducing(self) -> None:
        """
        Our answers pile up: the peer does not read them.
        """
        self._clogged_at = self._clock.seconds()
        self._flow()

    def resumeProducing(self) -> None:
        """
        The peer reads again.
        """
        self._clogged_at = None
        self._eased()

    def stopProducing(self) -> None:
        """
        Nothing: `connectionLost` follows.
        """

    # Asking.

    @property
    def peer(self) -> str:
        """
        What logs call the peer.
        """
        return self.serving.peer

    @property
    def ended(self) -> bool:
        """
        Whether the connection is over, or about to be.
        """
        return self._ended

    def when_lost(self, callback: Callable[[str], None]) -> None:
        """
        Call ``callback`` with the reason when the connection is lost, at once if it was.
        """
        if self._lost is None:
            self._when_lost.append(callback)
        else:
            callback(self._lost)

    def call(self, command: type[Command], **values: Any) -> Deferred[dict[str, Any]]:
        """
        Send a command; fires with the answer's values by name.

        Fails with `CallFailed`, `LinkLost` or `ValueTooLong`.
        """
        if self._ended:
            return fail(LinkLost("the connection is closed"))
        try:
            data, answer = self._questions.ask(command, values)
        except ValueTooLong as error:
            return fail(error)
        self._send(data)
        return answer

    # Reading.

    def _read(self) -> None:
        """
        Take boxes until there are no more, or no more may be taken.
        """
        if self._reading:
            return
        self._reading = True
        boxes = 0
        try:
            while not (self._ended or self._clogged_at is not None or self.serving.busy):
                box = self._parser.take()
                if box is None:
                    break
                boxes += 1
                self._received(box)
        except Garbage as error:
            self.drop(str(error))
        finally:
            self._reading = False
        self._time_unfinished(boxes)
        self._flush()
        self._flow()

    def _received(self, box: dict[bytes, bytes] | Flawed) -> None:
        if isinstance(box, Flawed):
            self._complain(box.reason)
            if COMMAND in box.box and len(box.box.get(ASK, b"")) <= MAX_TAG:
                self.serving.refuse(box.box, box.reason)
        elif ANSWER in box or ERROR in box:
            if not self._questions.answered(box):
                self._complain("it answers what nobody asked")
        elif COMMAND not in box:
            self._complain("a box without a command")
        elif len(box.get(ASK, b"")) > MAX_TAG:
            self._complain(f"an _ask of more than {MAX_TAG} bytes")
        else:
            self.serving.asked(box)

    def _time_unfinished(self, boxes: int) -> None:
        if not self._parser.unfinished:
            self._box_begun_at = None
        elif boxes or self._box_begun_at is None:
            self._box_begun_at = self._heard_at

    def _eased(self) -> None:
        if self._paused and not self._ended:
            self._read()

    def _flow(self) -> None:
        """
        Let the transport read exactly while we may take more.
        """
        wanted = self._clogged_at is not None or self.serving.busy
        if wanted is self._paused or self._ended:
            return
        self._paused = wanted
        if wanted:
            self.transport.pauseProducing()
        else:
            self._heard_at = self._clock.seconds()
            self._box_begun_at = None if self._box_begun_at is None else self._heard_at
            self.transport.resumeProducing()

    # Writing.

    def _send(self, data: bytes) -> None:
        if self._ended:
            return
        if not self._reading:
            self.transport.write(data)
            return
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._out and not self._ended:
            data = b"".join(self._out)
            self._out.clear()
            self._out_size = 0
            self.transport.write(data)

    # Watching over the peer.

    def _checked(self) -> None:
        now = self._clock.seconds()
        self._check = self._clock.callLater(CHECK_EVERY, self._checked)
        if self._clogged_at is not None:
            if now - self._clogged_at > self._limits.stalled:
                self.drop("it does not read its answers")
        elif self._paused:
            return
        elif self._box_begun_at is not None and now - self._box_begun_at > self._limits.unfinished:
            self.drop("a box that does not end")
        elif now - self._heard_at > self._limits.idle:
            self._doubt(now)

    def _doubt(self, now: float) -> None:
        """
        The peer has been quiet: ping it, and take longer silence for death.
        """
        if now - self._heard_at > 2 * self._limits.idle:
            self.drop("no sign of life")
        elif not self._pinged:
            self._pinged = True
            self.call(Ping).addBoth(self._alive)

    def _alive(self, _: object) -> None:
        """
        Any answer will do, an error too; `dataReceived` took note of it.
        """

    def _complain(self, reason: str, consequence: str = "") -> None:
        self._peers.complain(self.peer, reason, consequence)

    # Ending.

    def drop(self, reason: str) -> None:
        """
        End the connection at once, with one line in the log; nothing more is read or sent.
        """
        if not self._ended:
            self._complain(reason, "dropped")
            self.transport.unregisterProducer()
            self.abort()

    def close(self) -> None:
        """
        End the connection after what was written has left.
        """
        if not self._ended:
            self._flush()
            self._ended = True
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """
        End the connection at once, whatever was written.
        """
        self._ended = True
        self.transport.abortConnection()
