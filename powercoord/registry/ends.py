# SPDX-License-Identifier: MIT
"""
How ends are written: at once, or as soon as the journal can be written again.

# Note [Owed ends]

What has begun is brought to its end whatever becomes of the journal, and who
waits is told.  But a journal that has an action accepted and not ended would
have it go on after a restart.  So an end that could not be written is owed,
and written when that is possible again.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.entries import Entry
from powercoord.errors import JournalUnavailable
from powercoord.registry.surroundings import Write

_log = Logger(namespace="powercoord.registry")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0


@define(eq=False)
class Ends:
    """
    The terminal records, and those that are owed.
    """

    _clock: IReactorTime
    _write: Write
    _owed: list[Entry] = field(factory=list, init=False)
    _pause: float = field(default=_FIRST_PAUSE, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    async def write(self, entries: Sequence[Entry]) -> JournalUnavailable | None:
        """
        Write how something ended; returns why that is not durable, if it is not.
        """
        try:
            await self._write(entries)
        except JournalUnavailable as error:
            _log.error("an end is not durable yet: {error}", error=error)
            if not self._stopped:
                self._owed.extend(entries)
                self._try_later()
            return error
        return None

    async def stop(self) -> None:
        """
        Try once more, and then no more: after the restart what is owed ends again.
        """
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            await self._pay()

    def _try_later(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(self._pause, self._try)

    def _try(self) -> None:
        Deferred.fromCoroutine(self._pay()).addErrback(_log_fault)

    async def _pay(self) -> None:
        """
        The timer stays set while it is being written, so that it happens once.
        """
        owed, self._owed = self._owed, []
        try:
            await self._write(owed)
        except JournalUnavailable:
            self._owed = [] if self._stopped else owed + self._owed
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        else:
            self._pause = _FIRST_PAUSE
        self._timer = None
        if self._owed:
            self._try_later()


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while writing ends", failure)
