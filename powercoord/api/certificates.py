# SPDX-License-Identifier: MIT
"""
TLS endpoints whose certificate can be renewed while connections go on.

A certificate of today lives for weeks.  Twisted reads the files of an ``ssl:``
endpoint once; here each connection takes what was read last, and one that is
there keeps what it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from OpenSSL.SSL import Connection, Context
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from powercoord.errors import ConfigError

_END = b"-----END CERTIFICATE-----"


@frozen
class CertificateFiles:
    """
    Where a certificate lies, as an ``ssl:`` endpoint string names it.

    :param chain: certificates between ours and one that peers trust.
    :param parameters: for Diffie-Hellman without elliptic curves.
    """

    key: Path
    certificate: Path
    chain: Path | None = None
    parameters: Path | None = None

    def read(self) -> Context:
        """
        What the files say now.

        :raises ConfigError: they cannot be used; names the file and the reason.
        """
        try:
            own = ssl.PrivateCertificate.loadPEM(_content(self.certificate) + b"\n" + _content(self.key))
            options = ssl.CertificateOptions(
                privateKey=own.privateKey.original,
                certificate=own.original,
                extraCertChain=self._between(),
                dhParameters=self._parameters(),
            )
            context: Context = options.getContext()
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - OpenSSL's errors have nothing else in common
            reason = str(error) or type(error).__name__
            raise ConfigError(
                f"{self.certificate} with the key {self.key} cannot be used: {reason}"
            ) from None
        return context

    def _between(self) -> list[Any] | None:
        if self.chain is None:
            return None
        parts = _content(self.chain).split(_END)[:-1]
        if not parts:
            raise ConfigError(f"{self.chain}: there is no certificate in it")
        return [ssl.Certificate.loadPEM(part + _END).original for part in parts]

    def _parameters(self) -> Any:
        return None if self.parameters is None else ssl.DiffieHellmanParameters(_content(self.parameters))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


@implementer(IOpenSSLServerConnectionCreator)
@define(eq=False)
class Certificates:
    """
    Makes the TLS side of new connections from what was read last.
    """

    _files: CertificateFiles
    _context: Context = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._context = self._files.read()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:  # noqa: N802, N803 - Twisted's
        """
        The state of one connection.
        """
        return Connection(self._context, None)

    def prepare(self) -> Callable[[], None]:
        """
        Read the files again; call the result to use them from now on.

        :raises ConfigError: they cannot be used, and the old ones stay.
        """
        context = self._files.read()

        def use() -> None:
            self._context = context

        return use


@define(eq=False)
class TlsEndpoint:
    """
    A TCP endpoint with TLS on it.

    """

    certificates: Certificates
    _tcp: str
    _reactor: Any

    @classmethod
    def of(cls, port: str, options: Mapping[str, str], reactor: Any) -> TlsEndpoint:
        """
        The endpoint of an ``ssl:`` string.

        :param options: what follows the port, by name; colons are still escaped.
        :raises ConfigError: the certificate cannot be used, or an option is unknown.
        """
        unknown = set(options) - {*_FILES, *_SOCKET}
        if unknown:
            raise ConfigError(
                f"ssl:{port}: unknown option {min(unknown)}; there are {', '.join((*_FILES, *_SOCKET))}"
            )
        paths = {name: Path(options[name].replace("\\:", ":")) for name in _FILES if name in options}
        key = paths.get("privateKey", Path("server.pem"))
        files = CertificateFiles(
            key, paths.get("certKey", key), paths.get("extraCertChain"), paths.get("dhParameters")
        )
        socket = "".join(f":{name}={options[name]}" for name in _SOCKET if name in options)
        return cls(Certificates(files), f"tcp:{port}{socket}", reactor)

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        As Twisted's endpoints do.
        """
        wrapped = TLSMemoryBIOFactory(self.certificates, isClient=False, wrappedFactory=factory)
        listening: Deferred[IListeningPort] = serverFromString(self._reactor, self._tcp).listen(wrapped)
        return listening


_FILES = ("privateKey", "certKey", "extraCertChain", "dhParameters")
_SOCKET = ("interface", "backlog")
