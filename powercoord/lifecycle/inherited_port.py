# SPDX-License-Identifier: MIT
"""
Accepting on a local socket that stays another's: its path is never touched.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from attrs import define, field
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger(namespace="powercoord.lifecycle")
# As many as Twisted's own ports take before others have their turn.
_AT_ONCE = 100
_PAUSE = 1.0
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@implementer(IListeningPort, IReadDescriptor)
@define(eq=False)
class LocalPort:
    """
    Accepts what comes, until it is stopped; the kernel keeps what comes after that.
    """

    _reactor: Any
    _socket: socket.socket
    _factory: IProtocolFactory
    _listening: bool = field(default=False, init=False)
    _pause: IDelayedCall | None = field(default=None, init=False)

    def startListening(self) -> None:  # noqa: N802 - Twisted's name
        """
        Accept from now on.
        """
        self._socket.setblocking(False)
        self._socket.set_inheritable(False)
        self._factory.doStart()
        self._listening = True
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """
        Accept no more, and close our end of the socket.
        """
        if self._listening:
            self._listening = False
            self._reactor.removeReader(self)
            if self._pause is not None:
                self._pause.cancel()
                self._pause = None
            self._socket.close()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """
        Where it is.
        """
        return UNIXAddress(self._socket.getsockname() or None)

    def fileno(self) -> int:
        """
        For the reactor.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        For the reactor.
        """
        return "powercoord.lifecycle.inherited"

    def doRead(self) -> None:
        """
        Take those who wait, and not so many that others would starve.
        """
        for _ in range(_AT_ONCE):
            try:
                connection, _peer = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._not_accepted(error)
                return
            with connection:
                connection.setblocking(False)
                # It makes itself a copy of the descriptor.
                self._reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, self._factory)
            if not self._listening:
                return

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor gives it up (at the end of the process).
        """
        self.stopListening()

    def _not_accepted(self, error: OSError) -> None:
        """
        One who left while waiting is nothing; without descriptors, trying on would only burn time.
        """
        if error.errno in _FULL:
            _log.warn("no connection can be accepted just now: {reason}", reason=error.strerror)
            self._reactor.removeReader(self)
            self._pause = self._reactor.callLater(_PAUSE, self._go_on)
        elif error.errno != errno.ECONNABORTED:
            _log.warn("a connection was not accepted: {reason}", reason=error.strerror)

    def _go_on(self) -> None:
        self._pause = None
        self._reactor.addReader(self)
