# SPDX-License-Identifier: MIT
"""
Dialling out to region controllers, and serving them on the connections we made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import clientFromString
from twisted.logger import Logger

from powercoord.api.calls import CallFailed
from powercoord.api.commands import Identify
from powercoord.api.dialling import Backoff, Dialler
from powercoord.api.reception import Reception
from powercoord.api.wire import Link

PATIENCE = 10.0


@define(eq=False)
class RegionDialler(Service):
    """
    One connection to each region controller, kept up.

    :param regions: client endpoint strings.
    :param secret: what both sides must know; nothing is served before that
        is shown.
    """

    _reactor: Any
    _regions: Sequence[str]
    _reception: Reception
    _secret: bytes | None = field(repr=False)
    _jitter: Callable[[], float]
    _diallers: list[Dialler] = field(factory=list, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def startService(self) -> None:
        """
        Dial every region.
        """
        super().startService()
        self._diallers = [self._dialler(region) for region in self._regions]
        for dialler in self._diallers:
            dialler.start()

    def stopService(self) -> Deferred[None]:
        """
        Dial no more; the connections are the reception's to close.
        """
        super().stopService()
        for dialler in self._diallers:
            dialler.stop()
        return succeed(None)

    def _dialler(self, region: str) -> Dialler:
        return Dialler(
            clock=self._reactor,
            endpoint=clientFromString(self._reactor, region),
            make=self._make,
            greet=lambda link: Deferred.fromCoroutine(self._greet(link, region)),
            ready=partial(self._ready, region),
            failed=partial(self._failed, region),
            backoff=Backoff(first=1.0, longest=60.0, jitter=self._jitter),
            patience=PATIENCE,
        )

    def _make(self) -> Link:
        return self._reception.link(secret=self._secret, dialled=True)

    async def _greet(self, link: Link, region: str) -> None:
        await self._reception.demand_proof(link)
        try:
            ident = (await link.call(Identify))["ident"]
        except CallFailed:
            ident = "unnamed"
        self._log.info("serving region {ident} at {region}", ident=ident, region=region)

    def _ready(self, region: str, link: Link) -> None:
        link.when_lost(lambda reason: self._log.info("lost {region}: {reason}", region=region, reason=reason))

    def _failed(self, region: str, error: Exception) -> None:
        self._log.warn("no connection to region {region}: {error}", region=region, error=error)
