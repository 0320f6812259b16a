# SPDX-License-Identifier: MIT
"""
Whether something accepts connections at an address.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

TIMEOUT = 3.0
"""
Seconds that one connection may take.
"""


class _Silent(Protocol):
    """
    Says nothing: that it was let in is all that is to be known.
    """

    transport: Any

    def connectionMade(self) -> None:
        """
        Go at once, and do not wait for the other side.
        """
        self.transport.abortConnection()


def tcp_probe(reactor: Any, address: str) -> Deferred[str]:
    """
    Try a connection to ``host:port``; fires with why there is none, or with nothing.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    endpoint = HostnameEndpoint(reactor, host, int(port), timeout=TIMEOUT)
    connecting = endpoint.connect(Factory.forProtocol(_Silent))
    return connecting.addCallbacks(lambda _: "", lambda failure: f"{address}: {failure.getErrorMessage()}")
