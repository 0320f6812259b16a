# SPDX-License-Identifier: MIT
"""
Where the service stands between starting and stopping, and who wants it where.

# Note [Holds]

A drain can be asked for in three ways, and each is a hold of its own: the
service takes new changes when none is left.  Each is taken back only by the
way it was asked for.  A file that says ``ready`` all the time would otherwise
undo an operator's command at every start, and a command could say "resumed"
while a file goes on saying ``maint``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.entries import Accepted, Ended, Entry, Resolved
from powercoord.lifecycle.machine import Event, after
from powercoord.lifecycle.makers import WorkMakers
from powercoord.lifecycle.record import DrainRecord, RecordUnreadable
from powercoord.registry import Registry
from powercoord.stages import Drain, ILifecycle, Source, Stage

_log = Logger(namespace="powercoord.lifecycle")


@frozen
class Forced:
    """
    Somebody does not want to wait: the process ends at once, with this code.
    """

    by: str
    code: int


@implementer(ILifecycle)
@define(eq=False, repr=False)
class Lifecycle:
    """
    The one state machine of the service.

    It decides and tells; who watches it does the rest (see `Coordinator`).

    :param now: the wall clock, for what is written down.
    :param drain_file: whether there is a file that may drain the service.  A
        drain by a file that nobody reads any more is not restored.
    """

    _clock: IReactorTime
    _now: Callable[[], datetime]
    _registry: Registry
    _record: DrainRecord
    _makers: WorkMakers
    _drain_file: bool = False
    stage: Stage = field(default=Stage.STARTING, init=False)
    stop_requested: bool = field(default=False, init=False)
    forced: Forced | None = field(default=None, init=False)
    _holds: dict[Source, Drain] = field(factory=dict, init=False)
    _listeners: dict[object, Callable[[], None]] = field(factory=dict, init=False)
    _told: int = field(default=0, init=False)
    _check: IDelayedCall | None = field(default=None, init=False)
    _quiet: Deferred[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._registry.subscribe(self._published)

    @property
    def drain(self) -> Drain | None:
        """
        The oldest of the reasons for which nothing new is taken.
        """
        return next(iter(self._holds.values()), None)

    @property
    def pending(self) -> int:
        """
        How many actions are in play or waiting.
        """
        return self._registry.pending

    @property
    def trouble(self) -> str | None:
        """
        Why nothing new can be accepted just now.
        """
        return self._registry.trouble

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """
        Call ``listener`` after every change.
        """
        watch = object()
        self._listeners[watch] = listener

        def unwatch() -> None:
            self._listeners.pop(watch, None)

        return unwatch

    def restore(self) -> None:
        """
        Hold again what was held when the service last ended; before anybody is let in.
        """
        for drain in self._saved():
            if drain.source is Source.FILE and not self._drain_file:
                _log.warn("no drain file is read any more; not drained by {by}", by=drain.by)
                continue
            _log.warn(
                "draining as before: {reason} (by {by}, since {since})",
                reason=drain.reason,
                by=drain.by,
                since=drain.since.isoformat(timespec="seconds"),
            )
            self._hold(drain)

    def opened(self) -> None:
        """
        All that was left of last time is taken up, and the doors are open.
        """
        if self._holds:
            self._move(Event.HELD)
        else:
            self._makers.start()
            self._move(Event.READY)

    def start_drain(self, reason: str, by: str, source: Source) -> None:
        """
        Take no new changes.
        """
        before = self._holds.get(source)
        drain = Drain(
            since=self._now() if before is None else before.since, reason=reason, by=by, source=source
        )
        if drain == before:
            return
        _log.info("draining: {reason} (by {by})", reason=reason, by=by)
        self._hold(drain)
        self._save(source)
        if self.stage is Stage.STARTING and not self.stop_requested:
            self._tell()
        else:
            self._move(Event.HELD)

    def resume(self, by: str, source: Source) -> None:
        """
        Take back what was asked for in this way; new changes are taken when nothing else holds.
        """
        if source not in self._holds or (source is Source.SIGNAL and self.stop_requested):
            return
        del self._holds[source]
        self._save(source)
        remaining = self.drain
        if remaining is not None:
            _log.info(
                "{by} resumes, but: {reason} (by {other})", by=by, reason=remaining.reason, other=remaining.by
            )
            self._registry.drain(remaining.reason, remaining.by)
            self._tell()
            return
        self._registry.resume(by)
        if self.stage is not Stage.STARTING:
            self._makers.start()
        self._move(Event.FREED)

    def stop(self, by: str) -> None:
        """
        Drain, and let who watches end the process.
        """
        if self.stop_requested:
            return
        self.stop_requested = True
        self.start_drain("the coordinator is stopping", by, Source.SIGNAL)
        self._tell()

    def force(self, by: str, code: int) -> None:
        """
        Stop, without waiting for anything; the first who says so decides about the code.
        """
        if self.forced is not None:
            return
        self.forced = Forced(by, code)
        if self.stop_requested:
            self._tell()
        else:
            self.stop(by)

    def closing(self) -> None:
        """
        What is left is being ended, and there is no way back.
        """
        self._makers.end()
        self._move(Event.CLOSING)

    def end_makers(self) -> None:
        """
        Nothing makes work by itself any more, whatever is said from now on.
        """
        self._makers.end()

    def _hold(self, drain: Drain) -> None:
        self._holds[drain.source] = drain
        shown = self.drain or drain
        self._registry.drain(shown.reason, shown.by)
        self._makers.stop()

    def _move(self, event: Event) -> None:
        """
        Follow the machine, see to what the new stage needs, and tell it.
        """
        before, self.stage = self.stage, after(self.stage, event)
        if self.stage is not before:
            _log.info("{before} -> {after}", before=before.value, after=self.stage.value)
        if self.stage is Stage.DRAINING:
            self._await_quiet()
        elif self._quiet is not None:
            quiet, self._quiet = self._quiet, None
            quiet.cancel()
        self._tell()

    def _await_quiet(self) -> None:
        if self._quiet is not None:
            return
        self._quiet = quiet = self._registry.idle()
        quiet.addCallbacks(self._is_quiet, _not_cancelled)
        quiet.addErrback(_log_fault)

    def _is_quiet(self, _: None) -> None:
        self._quiet = None
        self._move(Event.QUIET)

    def _published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        Look once in a turn, and after what was published has had its consequences.
        """
        if self._check is None and any(isinstance(entry, Accepted | Ended | Resolved) for entry in entries):
            self._check = self._clock.callLater(0, self._count)

    def _count(self) -> None:
        self._check = None
        pending = self.pending
        if pending == self._told:
            return
        if self.stage is Stage.DRAINED and pending:
            self._move(Event.BUSY)
        else:
            self._tell()

    def _tell(self) -> None:
        self._told = self.pending
        for watch, listener in list(self._listeners.items()):
            if watch in self._listeners:
                _call(listener)

    def _saved(self) -> Sequence[Drain]:
        try:
            return self._record.load()
        except RecordUnreadable as error:
            # Somebody may have drained it for a reason: hands off until a person has looked.
            reason = f"cannot tell whether it was drained: {error}; resume if it should serve"
            _log.error("{reason}", reason=reason)
            return [Drain(since=self._now(), reason=reason, by="powercoord", source=Source.COMMAND)]

    def _save(self, changed: Source) -> None:
        if changed is Source.SIGNAL:
            return
        try:
            self._record.save(tuple(self._holds.values()))
        except OSError as error:
            _log.error("this will not outlive a restart: {error}", error=error)


def _call(listener: Callable[[], None]) -> None:
    try:
        listener()
    except Exception:  # noqa: BLE001 - one bad listener must not keep the others, nor a stop, from going on
        _log.failure("a listener failed")


def _not_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while waiting for quiet", failure)
