# SPDX-License-Identifier: MIT
"""
The service that twistd runs: it starts and stops everything, in a stated order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.durable import IJournal
from powercoord.errors import JournalUnavailable
from powercoord.interfaces import IDoor, IPowerDriver
from powercoord.lifecycle.course import Companion, Course, StopPlan
from powercoord.lifecycle.exiting import EX_UNAVAILABLE
from powercoord.lifecycle.lifecycle import Lifecycle
from powercoord.lifecycle.pace import Pace, take_in_order
from powercoord.lifecycle.signals import Signals
from powercoord.registry import Registry
from powercoord.registry.audience import Audience

_log = Logger(namespace="powercoord.lifecycle")


@define(eq=False, repr=False, slots=False)
class Coordinator(Service):
    """
    A registry with its doors, drivers and journal, from start to stop.

    The doors are opened in their order and closed in the reverse order: the
    first is the last to answer.

    :param companions: started before anything else, stopped in the reverse order
        when all else is over.
    :param ended: called once with the exit code, when all is over.
    :param tell: says a line to whoever started the process.
    """

    _clock: IReactorTime
    lifecycle: Lifecycle
    registry: Registry
    _doors: Sequence[IDoor]
    _drivers: Sequence[IPowerDriver]
    _journal: IJournal
    _plan: StopPlan
    _ended: Callable[[int], None]
    _tell: Callable[[str], None]
    _signals: Signals | None = None
    _companions: Sequence[Companion] = ()
    ready: Deferred[None] = field(factory=Deferred, init=False)
    _pace: Pace = field(init=False)
    _course: Course = field(init=False)
    _starting: Deferred[None] | None = field(default=None, init=False)
    _cannot: str | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _waiting: Audience[None] = field(factory=Audience, init=False)

    def __attrs_post_init__(self) -> None:
        self._pace = Pace(self._clock)
        self._course = Course(
            self._clock,
            self.lifecycle,
            self.registry,
            self._doors,
            self._drivers,
            self._journal,
            self._plan,
            self._pace,
            self._companions,
        )
        self.lifecycle.watch(self._changed)

    def startService(self) -> None:
        """
        Take up what was left, and open the doors; `ready` fires when all are open.
        """
        super().startService()
        if self._signals is not None:
            self._signals.install()
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._faulty_start)

    def stopService(self) -> Deferred[None]:
        """
        Stop, in order; a second call waits for the first.
        """
        super().stopService()
        self.lifecycle.stop("the end of the service")
        waiting = self._waiting.join()
        if self._over:
            self._waiting.tell(None)
        return waiting

    async def _start(self) -> None:
        self.lifecycle.restore()
        for companion in self._companions:
            companion.start()
        if await self._take_up() and await self._open_doors():
            self._serve()

    async def _take_up(self) -> bool:
        """
        Go on where the journal ends; tells whether it is still wanted to.
        """
        try:
            recovered = await self._journal.open()
        except JournalUnavailable as error:
            self._cannot_serve(f"cannot use the journal: {error}")
            return False
        if self.lifecycle.stop_requested:
            return False
        self.registry.recover(recovered)
        return True

    async def _open_doors(self) -> bool:
        for door in self._doors:
            try:
                await door.open()
            except Exception as error:  # noqa: BLE001 - without its doors it serves nobody
                self._cannot_serve(f"cannot open {door.name}: {error}")
            if self.lifecycle.stop_requested:
                return False
        return True

    def _serve(self) -> None:
        _log.info("open: {doors}", doors=", ".join(door.name for door in self._doors))
        self.lifecycle.opened()
        self.ready.callback(None)

    def _cannot_serve(self, reason: str) -> None:
        _log.error("{reason}", reason=reason)
        if not self.lifecycle.stop_requested:
            self._cannot = reason
            self._tell(reason)
            self.lifecycle.stop("a failed start")

    def _faulty_start(self, failure: Failure) -> None:
        _log.failure("fault while starting", failure)
        self._cannot_serve(f"fault while starting: {failure.getErrorMessage()}")

    def _changed(self) -> None:
        if self.lifecycle.forced is not None:
            self._pace.hurry()
        if self.lifecycle.stop_requested and not self._stopping:
            self._stopping = True
            Deferred.fromCoroutine(self._stop()).addErrback(_log_fault).addBoth(self._end)

    async def _stop(self) -> None:
        await take_in_order(self._course.steps(self._starting), self._pace)

    def _end(self, _: object) -> None:
        if self._cannot is not None:
            code = EX_UNAVAILABLE
        else:
            code, line = self._course.verdict()
            _log.info("{line}; exit code {code}", line=line, code=code)
            if code:
                self._tell(line)
        self._course.over()
        self._over = True
        self._ended(code)
        self._waiting.tell(None)


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while stopping", failure)
