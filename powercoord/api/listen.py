# SPDX-License-Identifier: MIT
"""
Listening for AMP, and ceasing to in the right order.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.api.certificates import Certificates, TlsEndpoint
from powercoord.api.reception import Door, Reception
from powercoord.errors import ConfigError

_SEPARATOR = re.compile(r"(?<!\\):")


def _option(parts: Sequence[str], name: str, place: int = 0) -> str:
    """
    What an endpoint string says for an option, by its name or at its place.
    """
    for part in parts:
        if part.startswith(f"{name}="):
            return part.partition("=")[2].replace("\\:", ":")
    return parts[place].replace("\\:", ":") if 0 < place < len(parts) and "=" not in parts[place] else ""


def _named(part: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator:
        raise ConfigError(f"'{part}' needs a name before it, such as privateKey=")
    return name, value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def guarded(endpoint: str, *, secret: bool, insecure: bool) -> str:
    """
    An endpoint string that nobody else can use: local sockets get a mode.

    :raises ConfigError: it is open to the network, with nothing to keep strangers out.
    """
    parts = _SEPARATOR.split(endpoint)
    if parts[0] == "unix" and not _option(parts, "mode"):
        return f"{endpoint}:mode=660"
    if parts[0] == "tcp" and not (secret or insecure or _is_loopback(_option(parts, "interface"))):
        raise ConfigError(
            f"{endpoint}: plaintext is for the loopback interface (add :interface=127.0.0.1);"
            " set a secret, or say insecure = true if your network is the guard"
        )
    return endpoint


def clear_stale(endpoint: str) -> None:
    """
    Remove a local socket, and its lock, that nobody listens on any more.

    A lock names a process by its number, and after a restart that may well
    be another process; whether somebody listens is the better question.
    """
    parts = _SEPARATOR.split(endpoint)
    path = Path(_option(parts, "address", 1))
    if parts[0] != "unix" or not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        except OSError:
            return


@define(eq=False)
class AmpListener(Service):
    """
    Listens on endpoints; stops by listening no more, and then parting from every peer.

    :param endpoint: makes an endpoint of a string, if not as Twisted does.
    """

    _reactor: Any
    _endpoints: Sequence[str]
    _reception: Reception
    _insecure: bool = False
    _endpoint: Callable[[str], Any] | None = None
    ports: list[IListeningPort] = field(factory=list, init=False)
    _certificates: list[Certificates] = field(factory=list, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def prepare_certificates(self) -> Callable[[], None]:
        """
        Read all certificates again; call the result to use them for new connections.

        :raises ConfigError: one of them cannot be used; all old ones stay.
        """
        renewals = [certificates.prepare() for certificates in self._certificates]

        def use() -> None:
            for renew in renewals:
                renew()

        return use

    def listen(self) -> Deferred[None]:
        """
        Listen on all endpoints.

        :raises ConfigError: naming the endpoint and the reason; then none is
            listened on.
        """
        return Deferred.fromCoroutine(self._listen())

    def startService(self) -> None:
        """
        Listen, for whoever has no use for `listen`.

        :raises ConfigError: it cannot; one that shows only later is logged.
        """
        super().startService()
        failures: list[Failure] = []

        def failed(failure: Failure) -> None:
            failures.append(failure)
            self._log.critical("{reason}", reason=failure.getErrorMessage())

        self.listen().addErrback(failed)
        if failures:
            failures[0].raiseException()

    def stop_accepting(self) -> Deferred[None]:
        """
        Take no new connections; those that are there go on.
        """
        return Deferred.fromCoroutine(self._stop_accepting())

    def stopService(self) -> Deferred[None]:
        """
        Take no new connections, and end those that are there.
        """
        super().stopService()

        async def stop() -> None:
            await self._stop_accepting()
            await self._reception.close("it is being stopped")

        return Deferred.fromCoroutine(stop())

    async def _listen(self) -> None:
        it = self._reception.coordinator
        for endpoint in self._endpoints:
            text = guarded(endpoint, secret=it.secret is not None, insecure=self._insecure)
            try:
                clear_stale(text)
                port = await self._made(text).listen(Door(self._reception))
            except Exception as error:
                await self._stop_accepting()
                raise ConfigError(f"cannot listen on {endpoint}: {error}") from error
            self.ports.append(port)
            self._log.info("listening for AMP on {endpoint}", endpoint=endpoint)

    def _made(self, text: str) -> Any:
        kind, *parts = _SEPARATOR.split(text)
        if kind != "ssl":
            return self._endpoint(text) if self._endpoint else serverFromString(self._reactor, text)
        options = dict(_named(part) for part in parts[1:])
        endpoint = TlsEndpoint.of(parts[0] if parts else "", options, self._reactor)
        self._certificates.append(endpoint.certificates)
        return endpoint

    async def _stop_accepting(self) -> None:
        ports, self.ports = self.ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
