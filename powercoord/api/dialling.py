# SPDX-License-Identifier: MIT
"""
Keeping one connection that we make ourselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.api.wire import Link


@frozen(kw_only=True)
class Backoff:
    """
    How long to pause between two attempts, in seconds.

    :param jitter: 0 to 1 at random, so that a fleet does not come back in step.
    :param lasting: a connection that lasted this long was a success.
    """

    first: float
    longest: float
    jitter: Callable[[], float]
    lasting: float = 10.0

    def pause(self, failures: int) -> float:
        """
        The pause after this many failures in a row.
        """
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest) * (0.5 + 0.5 * self.jitter())


@define(eq=False)
class Dialler:
    """
    Dials, greets, waits until the connection is lost, pauses, and dials again.

    :param make: makes a link for a new connection.
    :param greet: does what must be done first on it; a failure ends it.
    :param ready: told a link once it was greeted.
    :param failed: told each failure to get that far.
    """

    _clock: IReactorTime
    _endpoint: IStreamClientEndpoint
    _make: Callable[[], Link]
    _greet: Callable[[Link], Deferred[None]]
    _ready: Callable[[Link], None]
    _failed: Callable[[Exception], None]
    _backoff: Backoff
    _patience: float
    _log: Logger = field(factory=Logger)
    _wanted: bool = field(default=False, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Dial now, and keep at it until `stop`.
        """
        if not self._wanted:
            self._wanted = True
            self._running = Deferred.fromCoroutine(self._run())
            self._running.addErrback(self._ended)

    def stop(self) -> None:
        """
        Dial no more.  A link that was handed out is its holder's to close.
        """
        self._wanted = False
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the connection is not kept any more", failure)

    async def _run(self) -> None:
        failures = 0
        while self._wanted:
            lasted = 0.0
            try:
                link = await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may go well
                if self._wanted:
                    self._failed(error)
            else:
                begun = self._clock.seconds()
                await self._lost(link)
                lasted = self._clock.seconds() - begun
            failures = 1 if lasted > self._backoff.lasting else failures + 1
            if self._wanted:
                await deferLater(self._clock, self._backoff.pause(failures))

    async def _connect(self) -> Link:
        factory = Factory.forProtocol(self._make)
        factory.noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        link: Link = await connecting.addTimeout(self._patience, self._clock)
        try:
            await self._greet(link).addTimeout(self._patience, self._clock)
        except BaseException:
            link.close()
            raise
        return link

    async def _lost(self, link: Link) -> None:
        lost: Deferred[str] = Deferred()
        link.when_lost(lost.callback)
        self._ready(link)
        await lost
