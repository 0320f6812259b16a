# SPDX-License-Identifier: MIT
"""
The journal, as the reactor's thread sees it: numbers, batches and their Deferreds.

# Note [Group commit]

A commit costs what the disk costs, whether one entry is in it or a thousand.
So all that is appended in one turn of the reactor, and all that comes while a
commit is under way, becomes one transaction.  Numbers are given here, in the
order of the calls; a batch is a stretch of them, written by one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.durable import IJournal, Recovered
from powercoord.entries import Answered, Entry
from powercoord.errors import JournalUnavailable
from powercoord.journal.history import History
from powercoord.journal.interfaces import IWorker
from powercoord.journal.known import KnownIds
from powercoord.journal.loading import Loaded
from powercoord.journal.rows import body, document
from powercoord.journal.store import Store

_log = Logger(namespace="powercoord.journal")


@frozen(eq=False)
class _Append:
    """
    What one caller wants to be durable, and the number of the last of it.
    """

    bodies: Sequence[str]
    last: int
    written: Deferred[int]


@implementer(IJournal)
@define(eq=False)
class SqliteJournal:
    """
    Entries in a database of our own.

    :param history: reads what was written.
    """

    _clock: IReactorTime
    _worker: IWorker
    _store: Store
    history: History
    trouble: str | None = field(default=None, init=False)
    _last: int = field(default=0, init=False)
    _open: bool = field(default=False, init=False)
    _writing: bool = field(default=False, init=False)
    _waiting: list[_Append] = field(factory=list, init=False)
    _soon: IDelayedCall | None = field(default=None, init=False)
    _known: KnownIds = field(factory=KnownIds, init=False)

    def open(self) -> Deferred[Recovered]:
        """
        Take possession of the files, and tell what they know.
        """
        return Deferred.fromCoroutine(self._opened())

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Write entries with the next commit.
        """
        if not self._open:
            return fail(JournalUnavailable("the journal is not open"))
        try:
            bodies = [body(entry) for entry in entries]
        except ValueError as error:
            return fail(JournalUnavailable(f"an entry cannot be written down: {error}"))
        for entry in entries:
            if isinstance(entry, Answered):
                self._known.add(entry.request_id)
        self._last += len(bodies)
        written: Deferred[int] = Deferred()
        self._waiting.append(_Append(bodies, self._last, written))
        self._commit_soon()
        return written

    def may_know(self, request_id: str) -> bool:
        """
        Whether it may have been answered once.
        """
        return request_id in self._known

    def close(self) -> Deferred[None]:
        """
        Write what was appended and let go of the files.
        """
        return Deferred.fromCoroutine(self._closed())

    async def _opened(self) -> Recovered:
        loaded: Loaded = await self._worker.do(self._store.open)
        self._known.load(loaded.known)
        self._last = loaded.recovered.newest
        self._open = True
        return loaded.recovered

    async def _closed(self) -> None:
        if not self._open:
            return
        self._open = False
        self._commit()
        await self.history.close()
        try:
            await self._worker.do(self._store.close)
        finally:
            await self._worker.stop()

    def _commit_soon(self) -> None:
        if not self._writing and self._soon is None:
            self._soon = self._clock.callLater(0, self._commit)

    def _commit(self) -> None:
        if self._soon is not None:
            if self._soon.active():
                self._soon.cancel()
            self._soon = None
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        self._writing = True
        first = batch[0].last - len(batch[0].bodies) + 1
        text = document(text for each in batch for text in each.bodies)
        written = self._worker.do(partial(self._store.write, first, text))
        written.addCallbacks(self._durable, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))
        written.addErrback(_log_fault)

    def _durable(self, _: None, batch: Sequence[_Append]) -> None:
        self._writing = False
        self.trouble = None
        for each in batch:
            each.written.callback(each.last)
        self._go_on()

    def _failed(self, failure: Failure, batch: Sequence[_Append]) -> None:
        self._writing = False
        self.trouble = failure.getErrorMessage()
        for each in batch:
            each.written.errback(JournalUnavailable(self.trouble))
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._commit_soon()


def _log_fault(failure: Failure) -> None:
    _log.failure("fault in the journal", failure)
