# SPDX-License-Identifier: MIT
"""
One operation on the wire: connect, log in, ask one thing, hang up.

The strip's protocol, of which every line ends with CR LF::

    us      LOGIN hunter2        it      OK   or   DENIED
    us      STATE 3              it      ON   or   OFF   or   NONE (no such outlet)
    us      TURN 3 ON            it      OK   or   NONE  or   BUSY

`Exchange` has one Deferred, and whatever happens first ends it: the answer, the loss of the connection, the
deadline, a polite cancel, or a hard one, which is the cancelling of that Deferred.  That it ends once, and
that the connection goes with it, stands in one place: `Exchange._end`.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from powercoord.errors import OperationCancelled, PowerAuthError, PowerConnError
from powercoord.interfaces import IOperation
from powercoord_example.settings import StripSettings


class StripLine(LineOnlyReceiver):
    """
    Hands lines on, and the end of the connection.
    """

    #: A strip that says more in one line is none; this bounds what a stranger can make us keep.
    MAX_LENGTH = 80

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def lineReceived(self, line: bytes) -> None:
        self._exchange.heard(self, line.decode("ascii", "replace"))

    def hang_up(self) -> None:
        """
        At once, whatever is still to be sent.
        """
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._exchange.lost(reason)


@define(eq=False)
class Exchange:
    """
    Asks a strip one thing.

    :param request: what is asked once we are in.
    :param changes: whether it changes power, and must be announced.
    """

    _reactor: Any
    _settings: StripSettings
    _operation: IOperation
    _request: str
    _changes: bool
    _over: Deferred[str] = field(init=False)
    _line: StripLine | None = field(default=None, init=False)
    _connecting: Deferred[Any] | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _inside: bool = field(default=False, init=False)
    _sent: bool = field(default=False, init=False)

    def run(self) -> Deferred[str]:
        """
        Begin; fires with the strip's answer.
        """
        self._over = Deferred(lambda _: self._end(CancelledError()))
        patience = min(float(self._settings.timeout), self._operation.deadline - self._reactor.seconds())
        if patience <= 0:
            self._end(PowerConnError(self._told("no time is left; nothing was sent")))
            return self._over
        self._timer = self._reactor.callLater(patience, self._too_late)
        self._connect(patience)
        # Last, because it calls back at once if the operation was cancelled before.
        self._operation.when_cancelled(self._cancelled)
        return self._over

    def stop(self) -> None:
        """
        The driver is being closed.
        """
        self._end(PowerConnError(self._told("the driver was closed"), sent=self._sent))

    def heard(self, line: StripLine, words: str) -> None:
        """
        A line came: the answer to the login, or to what we asked.
        """
        if self._inside:
            self._end(words)
        elif words == "OK":
            self._inside = True
            self._ask(line)
        elif words == "DENIED":
            # Once is enough: some devices lock an account after three.
            self._end(PowerAuthError(self._told("the password was refused")))
        else:
            self._end(PowerConnError(self._told("it does not speak like a strip")))

    def lost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        self._end(PowerConnError(self._told(f"connection lost: {reason.getErrorMessage()}"), sent=self._sent))

    def _connect(self, patience: float) -> None:
        host, _, port = self._settings.address.rpartition(":")
        factory = Factory.forProtocol(lambda: StripLine(self))
        endpoint = HostnameEndpoint(self._reactor, host, int(port), timeout=patience)
        self._connecting = endpoint.connect(factory)
        self._connecting.addCallbacks(self._connected, self._refused)

    def _connected(self, line: StripLine) -> None:
        self._line = line
        line.sendLine(f"LOGIN {self._settings.password}".encode())

    def _refused(self, failure: Failure) -> None:
        self._end(PowerConnError(self._told(failure.getErrorMessage())))

    def _ask(self, line: StripLine) -> None:
        if self._changes:
            # Before the first byte leaves: from here on only an answer tells what became of it.
            self._operation.sending()
            if self._operation.cancelled:
                self._end(OperationCancelled())
                return
            self._sent = True
        line.sendLine(self._request.encode())

    def _cancelled(self) -> None:
        """
        The polite cancel: what has not left stays; what has left is waited for.
        """
        if not self._sent:
            self._end(OperationCancelled())

    def _too_late(self) -> None:
        self._end(PowerConnError(self._told("no answer in time"), sent=self._sent))

    def _told(self, text: str) -> str:
        return f"strip {self._settings.address}: {' '.join(text.split())}"

    def _end(self, result: str | Exception) -> None:
        """
        Only the first one counts, and nothing is left behind.
        """
        if self._over.called:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if isinstance(result, Exception):
            self._over.errback(Failure(result))
        else:
            self._over.callback(result)
        if self._line is not None:
            self._line.hang_up()
        elif self._connecting is not None:
            self._connecting.cancel()
