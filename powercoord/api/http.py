# SPDX-License-Identifier: MIT
"""
What monitoring reads over HTTP: ``/health`` and ``/metrics``; nothing can be changed there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.policies import LimitTotalConnectionsFactory
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from powercoord.api.health import health, health_form, why_not
from powercoord.api.listen import clear_stale, guarded
from powercoord.api.metrics import Metrics
from powercoord.errors import ConfigError
from powercoord.interfaces import IDoor, IRegistry
from powercoord.stages import ILifecycle

_log = Logger()

CONNECTIONS = 64
PATIENCE = 15.0
"""
Seconds for which a connection may be silent.
"""


class _Bodiless(Request):
    """
    A request that may have no body: nothing here wants one.
    """

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """
        Part from who announces one, before it is kept anywhere.
        """
        if length:
            self.channel.loseConnection()
            length = 0
        super().gotLength(length)


class _Page(Resource):
    """
    One page, made anew for each who asks.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, page: Callable[[], tuple[int, str, bytes]]) -> None:
        super().__init__()
        self._page = page

    def render_GET(self, request: Request) -> bytes:
        """
        Its status, type and text.
        """
        code, kind, text = self._page()
        request.setResponseCode(code)
        request.setHeader(b"content-type", kind.encode())
        request.setHeader(b"cache-control", b"no-store")
        return text


@implementer(IDoor)
@define(eq=False)
class HttpDoor:
    """
    Listens for monitoring.

    ``/health`` answers 200 while a change that was asked for would be
    accepted, else 503; its body says why, as JSON.  ``/metrics`` is for
    Prometheus.  Like the agent check it answers until the very end.
    """

    _reactor: Any
    _endpoints: Sequence[str]
    _registry: IRegistry
    _lifecycle: ILifecycle
    _metrics: Metrics
    _insecure: bool = False
    _endpoint: Callable[[Any, str], IStreamServerEndpoint] = serverFromString
    name: str = field(init=False)
    ports: list[IListeningPort] = field(factory=list, init=False)
    site: Site = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name = f"HTTP at {', '.join(self._endpoints) or 'no endpoint'}"
        root = Resource()
        root.putChild(b"health", _Page(self._health))
        root.putChild(b"metrics", _Page(self._measured))
        self.site = Site(root, requestFactory=_Bodiless, timeout=PATIENCE, reactor=self._reactor)
        self.site.displayTracebacks = False
        self.site.noisy = False

    async def open(self) -> None:
        """
        Listen on every endpoint, or on none.

        :raises ConfigError: naming the endpoint and the reason.
        """
        factory: Any = LimitTotalConnectionsFactory()
        factory.connectionLimit, factory.wrappedFactory = CONNECTIONS, self.site
        for endpoint in self._endpoints:
            try:
                text = guarded(endpoint, secret=False, insecure=self._insecure)
                clear_stale(text)
                port = await self._endpoint(self._reactor, text).listen(factory)
            except Exception as error:
                await self.close()
                raise ConfigError(f"cannot listen for HTTP on {endpoint}: {error}") from error
            self.ports.append(port)
            _log.info("listening for HTTP on {endpoint}", endpoint=endpoint)

    async def stop_accepting(self) -> None:
        """
        Nothing: who looks now is told of the stop.
        """

    async def close(self) -> None:
        """
        Listen no more; silent connections end by themselves or with the process.
        """
        ports, self.ports = self.ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)

    def _health(self) -> tuple[int, str, bytes]:
        it = health(self._registry, self._lifecycle)
        form = {**health_form(it), "why_not": why_not(it)}
        code = http.OK if it.accepting else http.SERVICE_UNAVAILABLE
        return code, "application/json", json.dumps(form).encode() + b"\n"

    def _measured(self) -> tuple[int, str, bytes]:
        return http.OK, "text/plain; version=0.0.4; charset=utf-8", self._metrics.text()
