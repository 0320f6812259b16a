# SPDX-License-Identifier: MIT
"""
The service that twistd runs: it starts the doors and stops everything in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from powercoord.durable import IJournal
from powercoord.interfaces import IDoor, IPowerDriver
from powercoord.lifecycle.stopping import Step, stop_in_order
from powercoord.registry import Registry

_log = Logger()
_QUIET = 15.0


@define(eq=False, slots=False)
class Coordinator(Service):
    """
    A registry with its doors, drivers and journal.

    :param grace: how long a stop waits for actions to end by themselves.
    :param cannot_serve: called with a reason when a door cannot be opened.
    """

    _clock: IReactorTime
    registry: Registry
    _doors: Sequence[IDoor]
    _drivers: Sequence[IPowerDriver]
    _journal: IJournal
    _grace: float
    _cannot_serve: Callable[[str], None]
    ready: Deferred[None] = field(factory=Deferred, init=False)
    _stopped: Deferred[None] | None = field(default=None, init=False)

    def startService(self) -> None:
        """
        Open the doors; `ready` fires when all are open.
        """
        super().startService()
        Deferred.fromCoroutine(self._open()).addErrback(
            lambda failure: _log.failure("fault while starting", failure)
        )

    def stopService(self) -> Deferred[None]:
        """
        Stop, in order; a second call waits for the first.
        """
        super().stopService()
        if self._stopped is None:
            self._stopped = Deferred.fromCoroutine(self._stop())
        waiting: Deferred[None] = Deferred()
        self._stopped.addBoth(_pass_on, waiting)
        return waiting

    async def _open(self) -> None:
        for door in self._doors:
            try:
                await door.open()
            except Exception as error:  # noqa: BLE001 - without its doors it serves nobody
                reason = f"cannot open {door.name}: {error}"
                _log.error("{reason}", reason=reason)
                self._cannot_serve(reason)
                return
        _log.info("serving {doors}", doors=", ".join(door.name for door in self._doors))
        self.ready.callback(None)

    async def _stop(self) -> None:
        await stop_in_order(
            [
                Step("refuse new work", self._refuse),
                *(Step(f"stop accepting at {door.name}", door.stop_accepting) for door in self._doors),
                Step("wait for actions", self._wait),
                Step("interrupt what is left", self._interrupt),
                *(Step(f"close {door.name}", door.close) for door in self._doors),
                *(Step(f"close driver {driver.name}", driver.close) for driver in self._drivers),
                Step("close the journal", lambda: _awaitable(self._journal.close())),
            ]
        )

    async def _refuse(self) -> None:
        self.registry.drain("the coordinator is stopping", "stop")

    async def _wait(self) -> None:
        idle = self.registry.idle()
        if self._grace != inf:
            idle.addTimeout(self._grace, self._clock)
        try:
            await idle
        except TimeoutError:
            _log.warn(
                "{count} nodes still busy after {grace} s", count=len(self.registry.busy()), grace=self._grace
            )

    async def _interrupt(self) -> None:
        stopped = self.registry.stop("the coordinator stopped")
        stopped.addTimeout(_QUIET, self._clock)
        await stopped


async def _awaitable(deferred: Deferred[None]) -> None:
    await deferred


def _pass_on(result: None, waiting: Deferred[None]) -> None:
    waiting.callback(result)
