# SPDX-License-Identifier: MIT
"""
For a region that listens: a client for each coordinator that dials in.

::

    racks = Racks(reactor, on_rack, requester="region", secret=secret)
    await serverFromString(reactor, "tcp:5250:interface=10.0.0.1").listen(racks)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.api.commands import Identify
from powercoord.client.client import Client
from powercoord.client.line import Line


class Racks(Factory):
    """
    Accepts coordinators, lets each say who it is, and keeps one `Client` for each.

    A coordinator that dials in again is the same client on a new connection.

    :param on_rack: told each client when its coordinator comes for the first
        time; its `name` is what the coordinator calls itself.
    :param options: those of `Client`; with ``secret`` both sides must know it.
    """

    noisy = False
    _log = Logger()

    def __init__(self, clock: Any, on_rack: Callable[[Client], None], **options: Any) -> None:
        self.clients: dict[str, Client] = {}
        self._clock = clock
        self._on_rack = on_rack
        self._options = options
        self._porter = Client(clock, None, **options)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        A link whose coordinator is asked who it is.
        """
        line = Line(self._porter.outfit, dialled=False)
        line.link.made = lambda: self._begin(line)
        return line.link

    def _begin(self, line: Line) -> None:
        Deferred.fromCoroutine(self._introduce(line)).addErrback(self._unknown, line)

    async def _introduce(self, line: Line) -> None:
        await line.greet()
        ident = (await line.link.call(Identify))["ident"]
        client = self.clients.get(ident)
        if client is None:
            client = self.clients[ident] = Client(self._clock, None, name=ident, **self._options)
            client.attach(line)
            self._on_rack(client)
        else:
            client.attach(line)

    def _unknown(self, failure: Failure, line: Line) -> None:
        self._log.warn(
            "a coordinator at {peer} did not introduce itself: {e}", peer=line.link.peer, e=failure.value
        )
        line.link.close()
