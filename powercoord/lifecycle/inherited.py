# SPDX-License-Identifier: MIT
"""
Listening sockets that systemd opened for us, and keeps open while we restart.

sd_listen_fds(3), and Twisted's endpoint strings ``systemd:domain=…:name=…``.
Twisted finds the descriptors, and is left to serve those of TCP.  A local
socket it would make writable for everybody on adopting it, and unlink on
letting go, so that nobody could reach the next one of us: those are ours.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, MutableMapping, Sequence
from ipaddress import ip_address
from typing import Any, Self

from attrs import define, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from powercoord.errors import ConfigError
from powercoord.lifecycle.inherited_port import LocalPort
from powercoord.nearest import nearest

_OPTION = re.compile(r":(domain|index|name)=([^:]*)")


@frozen
class Handed:
    """
    A descriptor as it was found: its family, and where it listens.
    """

    family: socket.AddressFamily
    address: Any
    listens: bool

    @property
    def is_local(self) -> bool:
        """
        Whether only this machine reaches it.
        """
        return self.family is socket.AF_UNIX or ip_address(self.address[0]).is_loopback


def look_at(fileno: int) -> Handed:
    """
    See what a descriptor is, and leave it alone.

    :raises OSError: it is no socket.
    """
    with socket.socket(fileno=os.dup(fileno)) as it:
        stream = it.type is socket.SOCK_STREAM
        listens = stream and bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        return Handed(socket.AddressFamily(it.family), it.getsockname(), listens)


@implementer(IStreamServerEndpoint)
@define(eq=False)
class LocalEndpoint:
    """
    A local socket that was handed over; can be listened on once.
    """

    _reactor: Any
    _adopted: AdoptedStreamServerEndpoint
    _used: bool = False

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """
        Accept on it.
        """
        if self._used:
            return fail(ConfigError("it is listened on already"))
        self._used = True
        port = LocalPort(self._reactor, socket.socket(fileno=self._adopted.fileno), protocolFactory)
        port.startListening()
        return succeed(port)


@define(eq=False)
class Inherited:
    """
    What systemd handed over.

    :param names: of the sockets, in their order (``FileDescriptorName=``).
    :param look: `look_at`.
    """

    _reactor: Any
    _names: Sequence[str]
    _look: Callable[[int], Handed] = look_at

    @classmethod
    def from_environment(cls, reactor: Any, environ: MutableMapping[str, str]) -> Self:
        """
        Take the names out of the environment; Twisted takes the rest when it is imported.
        """
        return cls(reactor, [name for name in environ.pop("LISTEN_FDNAMES", "").split(":") if name])

    def endpoint(self, text: str) -> IStreamServerEndpoint:
        """
        As ``serverFromString``, also for local sockets that were handed over.

        :raises ConfigError: no such socket was.
        """
        if not text.startswith("systemd:"):
            ordinary: IStreamServerEndpoint = serverFromString(self._reactor, text)
            return ordinary
        found = self._find(text)
        handed = self._verified(text, found)
        return LocalEndpoint(self._reactor, found) if handed.family is socket.AF_UNIX else found

    def check(self, endpoints: Sequence[str], *, secret: bool, insecure: bool) -> Sequence[str]:
        """
        Look at all that endpoint strings need of systemd; says which sockets nobody asked for.

        :raises ConfigError: one is not there, or strangers could reach it.
        """
        used = set()
        for text in endpoints:
            if text.startswith("systemd:"):
                found = self._find(text)
                handed = self._verified(text, found)
                if not (handed.is_local or secret or insecure):
                    raise ConfigError(
                        f"{text}: plaintext is for the loopback interface, and that socket is bound to"
                        f" {handed.address[0]}; set a secret, or say insecure = true if your network"
                        " is the guard"
                    )
                used.add(self._name(text))
        return [name for name in self._names if name not in used]

    def _find(self, text: str) -> AdoptedStreamServerEndpoint:
        try:
            found = serverFromString(self._reactor, text)
        except (KeyError, IndexError):
            raise ConfigError(f"{text}: {self._missing(text)}") from None
        except (AttributeError, TypeError, ValueError):
            raise ConfigError(
                f"{text}: write systemd:domain=UNIX:name=NAME (or INET or INET6; NAME is the socket's"
                " FileDescriptorName=), or index=0 in place of the name if there is one socket"
            ) from None
        assert isinstance(found, AdoptedStreamServerEndpoint)  # noqa: S101 - what Twisted makes of "systemd:"
        return found

    def _name(self, text: str) -> str | None:
        options = dict(_OPTION.findall(text))
        index = int(options.get("index", len(self._names)))
        return self._names[index] if index < len(self._names) else options.get("name")

    def _missing(self, text: str) -> str:
        if not self._names:
            return "systemd handed over no socket; is the socket unit started, and not only the service?"
        asked = dict(_OPTION.findall(text)).get("name")
        there = f"systemd handed over {', '.join(self._names)}"
        guess = nearest(asked, self._names) if asked else None
        return f"{there}; did you mean {guess}?" if guess else there

    def _verified(self, text: str, found: AdoptedStreamServerEndpoint) -> Handed:
        try:
            handed = self._look(found.fileno)
        except OSError as error:
            raise ConfigError(f"{text}: descriptor {found.fileno} is no socket: {error.strerror}") from None
        if not handed.listens:
            raise ConfigError(
                f"{text}: that socket does not listen for streams; it wants ListenStream= and Accept=no"
            )
        if handed.family != found.addressFamily:
            raise ConfigError(f"{text}: that socket's domain is {handed.family.name.removeprefix('AF_')}")
        return handed
