# SPDX-License-Identifier: MIT
"""
What a journal's thread does when nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import JournalUnavailable
from powercoord.journal.interfaces import IWorker
from powercoord.journal.pruning import Pruned
from powercoord.journal.store import Store

_log = Logger(namespace="powercoord.journal")

# How often, in seconds, a journal in trouble is tried when nobody appends, and what is old is looked for.
PROBE = 5.0
PRUNE = 60.0

# Between two slices of what is old, so that appends have their turn.
PAUSE = 0.1

# A write-ahead log of so many entries is copied into the database, between two commits.
LOG = 4_000


@define(eq=False)
class Upkeep:
    """
    Prunes, copies the log, and tries again when there was trouble.

    :param forget: is told the hashes of request ids that are known no longer.
    :param probed: is told how a try went: None, or why it failed.
    """

    _clock: IReactorTime
    _worker: IWorker
    _store: Store
    _forget: Callable[[Sequence[int]], None]
    _probed: Callable[[str | None], None]
    _running: bool = field(default=False, init=False)
    _logged: int = field(default=0, init=False)
    _prune: IDelayedCall | None = field(default=None, init=False)
    _probe: IDelayedCall | None = field(default=None, init=False)

    def start(self) -> None:
        """
        From now on.
        """
        self._running = True
        self._prune_later(PRUNE)

    def stop(self) -> None:
        """
        No more of it.
        """
        self._running = False
        for timer in (self._prune, self._probe):
            if timer is not None and timer.active():
                timer.cancel()

    def written(self, entries: int) -> None:
        """
        So many entries more are in the log.
        """
        self._logged += entries
        if self._logged > LOG and self._running:
            self._logged = 0
            copied: Deferred[None] = self._worker.do(self._store.copy_log)
            copied.addErrback(_log_failure, "the log could not be copied into the journal")

    def probe_later(self) -> None:
        """
        Try again in a while.
        """
        if self._running and (self._probe is None or not self._probe.active()):
            self._probe = self._clock.callLater(PROBE, self._try)

    def _try(self) -> None:
        tried: Deferred[None] = self._worker.do(self._store.probe)
        tried.addCallbacks(self._probed, lambda failure: self._probed(failure.getErrorMessage()))
        tried.addErrback(_log_failure, "fault in the journal")

    def _prune_later(self, seconds: float) -> None:
        if self._running:
            self._prune = self._clock.callLater(seconds, self._slice)

    def _slice(self) -> None:
        pruned: Deferred[Pruned] = self._worker.do(self._store.prune)
        pruned.addCallbacks(self._pruned, self._not_pruned)
        pruned.addErrback(_log_failure, "fault in the journal")

    def _pruned(self, slice_: Pruned) -> None:
        self._forget(slice_.forgotten)
        self._prune_later(PAUSE if slice_.more else PRUNE)

    def _not_pruned(self, failure: Failure) -> None:
        _log_failure(failure, "the journal could not be pruned")
        self._prune_later(PRUNE)


def _log_failure(failure: Failure, text: str) -> None:
    """
    The disk's own troubles in a line, faults of ours in full.
    """
    if failure.check(JournalUnavailable):
        _log.warn("{text}: {error}", text=text, error=failure.value)
    else:
        _log.failure("{text}", failure, text=text)
