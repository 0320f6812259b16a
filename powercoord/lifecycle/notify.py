# SPDX-License-Identifier: MIT
"""
What systemd is told of the service: that it is ready, that it stops, and a line for people.

sd_notify(3).  More time is asked for only while something is done with it: a
service that hangs must not be able to put off its own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.entries import Ended, Entered, Entry
from powercoord.model import Phase
from powercoord.stages import ILifecycle, Stage

LOOK = 2.0
PATIENCE = 30
BETWEEN_STATUS = 1.0
_LONGEST = 300


@define(eq=False)
class Progress:
    """
    Counts what actions have really got done; a `Listener` of the registry.

    Neither a request that is accepted nor a read that changes nothing counts,
    so that callers who keep asking do not keep a stop from its end.
    """

    count: int = 0

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        Count the phases entered and the ends.
        """
        self.count += sum(map(_is_progress, entries))


def _is_progress(entry: Entry) -> bool:
    if isinstance(entry, Entered):
        return entry.phase is not Phase.INTERRUPTED
    return isinstance(entry, Ended)


def status(lifecycle: ILifecycle) -> str:
    """
    One line for whoever looks at ``systemctl status``.
    """
    text = f"{_doing(lifecycle)}{_actions(lifecycle)}"
    if lifecycle.drain is not None:
        text += f" ({lifecycle.drain.reason})"
    if lifecycle.trouble is not None:
        text += f"; nothing new can be accepted: {lifecycle.trouble}"
    return " ".join(text.split())[:_LONGEST]


def _doing(lifecycle: ILifecycle) -> str:
    if lifecycle.stop_requested and lifecycle.stage in (Stage.DRAINING, Stage.DRAINED):
        return "stopping"
    return lifecycle.stage.value


def _actions(lifecycle: ILifecycle) -> str:
    if lifecycle.stage is Stage.STARTING:
        return ""
    noun = "action" if lifecycle.pending == 1 else "actions"
    if lifecycle.stage is Stage.SERVING:
        return f", {lifecycle.pending} {noun} in play"
    return f", {lifecycle.pending} {noun} left" if lifecycle.pending else ""


@define(eq=False)
class Notifier:
    """
    Follows the lifecycle and passes it on.

    :param send: takes one message.
    :param progress: a number that grows whenever something was got done.
    :param pid: our process, asked when we are ready (twistd may have forked).
    :param monotonic: CLOCK_MONOTONIC, in microseconds.
    """

    _clock: IReactorTime
    _send: Callable[[str], None]
    _lifecycle: ILifecycle
    _progress: Callable[[], int]
    _pid: Callable[[], int]
    _monotonic: Callable[[], int]
    _told: str = field(default="", init=False)
    _told_at: float = field(default=float("-inf"), init=False)
    _ready: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _got_done: int = field(default=0, init=False)
    _later: IDelayedCall | None = field(default=None, init=False)
    _look: IDelayedCall | None = field(default=None, init=False)
    _unwatch: Callable[[], None] | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Begin to follow.
        """
        self._unwatch = self._lifecycle.watch(self._changed)
        self._changed()
        self._watch_progress()

    def stop(self) -> None:
        """
        Follow no more.
        """
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for timer in (self._later, self._look):
            if timer is not None:
                timer.cancel()
        self._later = self._look = None

    def reloading(self) -> None:
        """
        Tell that the configuration is read again; `reloaded` must follow.
        """
        if self._ready and not self._stopping:
            self._send(
                f"RELOADING=1\nMONOTONIC_USEC={self._monotonic()}\nSTATUS=reading the configuration again"
            )

    def reloaded(self) -> None:
        """
        Tell that the configuration was read, or refused.
        """
        if self._ready and not self._stopping:
            self._say("READY=1")

    def _changed(self) -> None:
        if not self._stopping and (self._lifecycle.stop_requested or self._lifecycle.stage is Stage.STOPPING):
            self._stopping = True
            self._say("STOPPING=1")
            self._watch_progress()
        elif not self._ready and not self._stopping and self._lifecycle.stage is not Stage.STARTING:
            self._ready = True
            self._say("READY=1", f"MAINPID={self._pid()}")
        else:
            self._say_status()

    def _say_status(self) -> None:
        """
        Tell the status if it is another; soon, if one was told only just now.
        """
        if self._later is not None or status(self._lifecycle) == self._told:
            return
        wait = self._told_at + BETWEEN_STATUS - self._clock.seconds()
        if wait > 0:
            self._later = self._clock.callLater(wait, self._say_later)
        else:
            self._say()

    def _say_later(self) -> None:
        self._later = None
        if status(self._lifecycle) != self._told:
            self._say()

    def _say(self, *words: str) -> None:
        self._told, self._told_at = status(self._lifecycle), self._clock.seconds()
        self._send("\n".join([*words, f"STATUS={self._told}"]))

    def _watch_progress(self) -> None:
        """
        Look every now and then, while there is a limit to put off: in start and in stop.
        """
        self._got_done = self._progress()
        if self._look is None:
            self._look = self._clock.callLater(LOOK, self._extend)

    def _extend(self) -> None:
        self._look = None
        if self._ready and not self._stopping:
            return
        if self._progress() > self._got_done:
            self._send(f"EXTEND_TIMEOUT_USEC={PATIENCE}000000")
        self._watch_progress()
