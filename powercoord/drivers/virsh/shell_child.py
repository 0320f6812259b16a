# SPDX-License-Identifier: MIT
"""
One virsh that is kept running and given commands, one exchange at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from powercoord.drivers.virsh.shell_framing import Answer, Asked, Exchange, TooMuch

#: What a child may take to end by itself when its input has ended, in seconds.
GRACE = 1.0


class ShellEnded(Exception):
    """
    A virsh ended before it had answered.

    :param complaints: the last that it said.
    """

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = tuple(complaints)


@frozen
class Program:
    """
    How a virsh is started: all that its command line and its surroundings say.
    """

    path: str
    uri: str
    environment: Mapping[str, str]

    def spawn(self, reactor: Any, protocol: ProcessProtocol, *words: str) -> None:
        """
        Start one.

        :raises OSError: the machine cannot.
        """
        reactor.spawnProcess(
            protocol, self.path, ["virsh", "-q", "-c", self.uri, *words], dict(self.environment)
        )


@define(eq=False)
class Shell(ProcessProtocol):
    """
    The child.

    :param ready: whether it has answered once, so it is connected, or was.
    """

    _clock: Any
    _marker: Callable[[], str]
    transport: IProcessTransport | None = field(default=None, init=False)
    ready: bool = field(default=False, init=False)
    dead: bool = field(default=False, init=False)
    ended: Deferred[None] = field(factory=Deferred, init=False)
    _exchange: Exchange | None = field(default=None, init=False)
    _asker: Deferred[Answer] | None = field(default=None, init=False)
    _why: str = field(default="", init=False)
    _guard: IDelayedCall | None = field(default=None, init=False)

    def ask(self, *commands: str) -> Deferred[Answer]:
        """
        Let it carry out some commands; without any, only say that it is there.

        Cancelling the result kills it.

        :raises ShellEnded: it ended, or had to be ended, before its answer was complete.
        """
        if self._asker is not None:
            raise RuntimeError("this shell is busy")
        asker: Deferred[Answer] = Deferred(self._forget)
        if self.dead:
            asker.errback(ShellEnded(()))
            return asker
        self._exchange, self._asker = Exchange(commands, self._marker()), asker
        self._write(self._exchange.request())
        return asker

    def kill(self, why: str = "") -> None:
        """
        End it here and now; it is reaped as it ends.
        """
        self._why, self.dead = self._why or why, True
        if self.transport is not None:
            try:
                self.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                return

    def quit(self) -> None:
        """
        Let it end by itself, and if it does not soon, kill it.
        """
        self.dead = True
        if self.transport is not None and self._guard is None:
            self.transport.closeStdin()
            self._guard = self._clock.callLater(GRACE, self.kill)

    def outReceived(self, data: bytes) -> None:
        """
        From its one pipe.
        """
        self._received(Exchange.out, data)

    def errReceived(self, data: bytes) -> None:
        """
        From the other.
        """
        self._received(Exchange.err, data)

    def processEnded(self, reason: Failure) -> None:
        """
        It is dead and reaped.
        """
        self.transport, self.dead = None, True
        if self._guard is not None and self._guard.active():
            self._guard.cancel()
        exchange, asker = self._exchange, self._asker
        self._exchange = self._asker = None
        if asker is not None and exchange is not None:
            asker.errback(ShellEnded([self._why] if self._why else exchange.answer().errors))
        self.ended.callback(None)

    def _received(self, kept: Callable[[Exchange, bytes], None], data: bytes) -> None:
        exchange, asker = self._exchange, self._asker
        if exchange is None or asker is None or self.dead:
            return
        try:
            kept(exchange, data)
        except TooMuch:
            self.kill("virsh said more than any answer has")
        except Asked:
            self.kill("authentication failed: virsh asks for a password; put it into libvirt's auth.conf")
        if exchange.complete and not self.dead:
            self._exchange = self._asker = None
            self.ready = True
            asker.callback(exchange.answer())

    def _forget(self, _: Deferred[Answer]) -> None:
        self._exchange = self._asker = None
        self.kill()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.writeToChild(0, data)
