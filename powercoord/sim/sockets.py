# SPDX-License-Identifier: MIT
"""
Two ways to give thousands of BMCs an address each.

`SharedSocket`: one socket for all addresses of 127.0.0.0/8, which tells for which one a datagram was
(``IP_PKTINFO``) and answers from there. `SocketEach`: one UDP port of Twisted per address; it costs a file
descriptor each and two to three times the time, but a BMC can close its port, so that datagrams are refused.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.drivers.ipmi.rmcp import MAX_DATAGRAM
from powercoord.sim.line import Peer

Receive = Callable[[bytes, Peer], None]

# Python's socket module names these only since 3.14.
IP_PKTINFO = 8
SO_BINDTODEVICE = 25

#: struct in_pktinfo: interface index, local address, address in the header.
_PKTINFO_LENGTH = 12
_RECEIVE_BUFFER = 8 << 20
_AT_ONCE = 128
_SPARE_FILES = 64

_log = Logger()


class Wires(Protocol):
    """
    How the fleet listens and talks.
    """

    port: int

    def open(self, receivers: Mapping[str, Receive]) -> None:
        """
        Listen at these addresses; the port is chosen now if it was 0.

        :raises CannotListenError: the port is taken.
        """

    def send(self, address: str, datagram: bytes, peer: Peer) -> None:
        """
        Send from this address. What cannot be sent is lost, as datagrams are.
        """

    def close(self) -> Deferred[None]:
        """
        Stop listening.
        """

    def set_closed(self, address: str, closed: bool) -> None:
        """
        Refuse datagrams at one address, or listen there again.
        """


@implementer(IReadDescriptor)
@define(eq=False)
class SharedSocket:
    """
    One socket for all.
    """

    _reactor: Any = field(repr=False)
    port: int
    _socket: socket.socket | None = field(init=False, default=None)
    _receivers: Mapping[bytes, Receive] = field(init=False, factory=dict, repr=False)

    def open(self, receivers: Mapping[str, Receive]) -> None:
        self._receivers = {socket.inet_aton(address): receive for address, receive in receivers.items()}
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            _only_loopback(opened)
            opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            opened.bind(("0.0.0.0", self.port))  # noqa: S104 - what is not for our addresses is dropped
        except OSError as error:
            opened.close()
            raise CannotListenError("0.0.0.0", self.port, error) from error  # noqa: S104
        self.port = opened.getsockname()[1]
        self._socket = opened
        self._reactor.addReader(self)

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        return "simulated fleet"

    def connectionLost(self, reason: Failure) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def doRead(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                datagram, ancillary, _, peer = self._socket.recvmsg(MAX_DATAGRAM + 1, 64)
            except OSError:
                return
            self._deliver(datagram, ancillary, peer)

    def _deliver(self, datagram: bytes, ancillary: list[tuple[int, int, bytes]], peer: Peer) -> None:
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                receive = self._receivers.get(data[8:_PKTINFO_LENGTH])
                if receive is not None:
                    receive(datagram, peer)

    def send(self, address: str, datagram: bytes, peer: Peer) -> None:
        if self._socket is None:
            return
        info = bytes(4) + socket.inet_aton(address) + bytes(4)
        try:
            self._socket.sendmsg([datagram], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, peer)
        except OSError:
            return

    def close(self) -> Deferred[None]:
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None
        return succeed(None)

    def set_closed(self, address: str, closed: bool) -> None:
        if closed:
            raise ValueError("a BMC can refuse datagrams only in a fleet with a socket for each (each=True)")


def _only_loopback(opened: socket.socket) -> None:
    """
    Keep other machines' datagrams out, where the kernel allows to say so.
    """
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo\0")
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENODEV, errno.ENOPROTOOPT):
            raise


@define(eq=False)
class OwnPort(DatagramProtocol):
    """
    One BMC's own port.

    :ivar wanted: whether it is to listen; :ivar closing: fires when it has closed.
    """

    receive: Receive = field(repr=False)  # Twisted logs a port's protocol; this leads to the whole fleet
    wanted: bool = field(init=False, default=True)
    closing: Deferred[None] | None = field(init=False, default=None)

    def datagramReceived(self, datagram: bytes, addr: Peer) -> None:
        self.receive(datagram, addr)


@define(eq=False)
class SocketEach:
    """
    One socket for each.
    """

    _reactor: Any = field(repr=False)
    port: int
    _ports: dict[str, OwnPort] = field(init=False, factory=dict, repr=False)

    def open(self, receivers: Mapping[str, Receive]) -> None:
        allow_files(len(receivers) + _SPARE_FILES)
        self._ports = {address: OwnPort(receive) for address, receive in receivers.items()}
        try:
            for address in self._ports:
                self._listen(address)
        except CannotListenError:
            self.close()
            raise

    def send(self, address: str, datagram: bytes, peer: Peer) -> None:
        transport = self._ports[address].transport
        if transport is None:
            return
        try:
            transport.write(datagram, peer)
        except OSError:
            return

    def close(self) -> Deferred[None]:
        for port in self._ports.values():
            port.wanted = False
        closing = [self._shut(address) for address in self._ports]
        return DeferredList(closing).addCallback(_nothing)

    def set_closed(self, address: str, closed: bool) -> None:
        port = self._ports[address]
        port.wanted = not closed
        if closed:
            self._shut(address)
        elif port.transport is None:
            self._listen(address)

    def _listen(self, address: str) -> None:
        port = self._reactor.listenUDP(self.port, self._ports[address], interface=address)
        self.port = port.getHost().port

    def _shut(self, address: str) -> Deferred[None]:
        port = self._ports[address]
        if port.transport is None:
            return succeed(None)
        if port.closing is None:
            stop: Callable[[], Any] = port.transport.stopListening
            port.closing = maybeDeferred(stop)
            port.closing.addCallback(self._has_shut, address)
            port.closing.addErrback(_log_failure, address)
        return port.closing

    def _has_shut(self, _: object, address: str) -> None:
        port = self._ports[address]
        port.closing = None
        if port.wanted:  # meanwhile it is to be open again
            self._listen(address)


def _log_failure(failure: Failure, address: str) -> None:
    _log.failure("The port of {address} could not be closed and opened again", failure, address=address)


def _nothing(_: object) -> None:
    return None


def allow_files(count: int) -> None:
    """
    Raise our own limit of open files as far as is needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
