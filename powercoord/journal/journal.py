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
from powercoord.journal.upkeep import Upkeep

_log = Logger(namespace="powercoord.journal")

# A commit that takes so many seconds is told of as trouble.
STUCK = 10.0

# So many appends may wait for the disk.
MOST_WAITING = 50_000


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
    _trouble: str | None = field(default=None, init=False)
    _last: int = field(default=0, init=False)
    _open: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)
    _begun: float | None = field(default=None, init=False)
    _waiting: list[_Append] = field(factory=list, init=False)
    _soon: IDelayedCall | None = field(default=None, init=False)
    _known: KnownIds = field(factory=KnownIds, init=False)
    _upkeep: Upkeep = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._upkeep = Upkeep(self._clock, self._worker, self._store, self._known.forget, self._probed)

    @property
    def trouble(self) -> str | None:
        """
        Why it could not be written the last time, or that it cannot be just now.
        """
        if self._begun is not None and (age := self._clock.seconds() - self._begun) > STUCK:
            return f"the journal's disk has not answered for {age:.0f} s; look at the disk"
        return self._trouble

    @property
    def alive(self) -> bool:
        """
        Whether its thread lives; one whose disk is full does.
        """
        return self._worker.alive

    def open(self) -> Deferred[Recovered]:
        """
        Take possession of the files, and tell what they know.
        """
        return Deferred.fromCoroutine(self._opened())

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Write entries with the next commit.
        """
        try:
            bodies = self._bodies(entries)
        except JournalUnavailable:
            return fail()
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
        if self._ended:
            raise JournalUnavailable("the journal was closed before it was open")
        self._known.load(loaded.known)
        self._last = loaded.recovered.newest
        self._open = True
        self._upkeep.start()
        return loaded.recovered

    async def _closed(self) -> None:
        self._open = False
        self._ended = True
        self._upkeep.stop()
        self._commit()
        try:
            await self.history.close()
            await self._worker.do(self._store.close)
        finally:
            await self._worker.stop()

    def _bodies(self, entries: Sequence[Entry]) -> Sequence[str]:
        if not self._open:
            raise JournalUnavailable("the journal is not open")
        if len(self._waiting) >= MOST_WAITING:
            raise JournalUnavailable(
                f"the journal's disk does not keep up: {len(self._waiting)} writes wait for it"
            )
        try:
            return [body(entry) for entry in entries]
        except ValueError as error:
            raise JournalUnavailable(f"an entry cannot be written down: {error}") from error

    def _commit_soon(self) -> None:
        if self._begun is None and self._soon is None:
            self._soon = self._clock.callLater(0, self._commit)

    def _commit(self) -> None:
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        self._soon = None
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        self._begun = self._clock.seconds()
        first = batch[0].last - len(batch[0].bodies) + 1
        text = document(each for append in batch for each in append.bodies)
        written = self._worker.do(partial(self._store.write, first, text))
        written.addCallbacks(self._durable, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))
        written.addErrback(_log_fault)

    def _durable(self, _: None, batch: Sequence[_Append]) -> None:
        self._begun = None
        self._probed(None)
        self._upkeep.written(sum(len(each.bodies) for each in batch))
        for each in batch:
            each.written.callback(each.last)
        self._go_on()

    def _failed(self, failure: Failure, batch: Sequence[_Append]) -> None:
        self._begun = None
        self._probed(_why(failure))
        for each in batch:
            each.written.errback(JournalUnavailable(self._trouble))
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._commit_soon()

    def _probed(self, trouble: str | None) -> None:
        """
        It could be written, or not.
        """
        before, self._trouble = self._trouble, trouble
        if trouble is not None and before is None:
            _log.error("the journal cannot be written: {trouble}", trouble=trouble)
        if trouble is None and before is not None:
            _log.info("the journal can be written again")
        if trouble is not None:
            self._upkeep.probe_later()


def _why(failure: Failure) -> str:
    if not failure.check(JournalUnavailable):
        _log.failure("fault in the journal", failure)
        return "fault in the journal; the log has the details"
    return failure.getErrorMessage()


def _log_fault(failure: Failure) -> None:
    _log.failure("fault in the journal", failure)
