# SPDX-License-Identifier: MIT
"""
Entries on their way to the journal, and from there to whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.durable import IJournal
from powercoord.entries import Entry
from powercoord.errors import JournalUnavailable
from powercoord.interfaces import Listener

_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Publisher:
    """
    Makes entries durable, and then tells them to whoever listens.
    """

    _journal: IJournal
    _listeners: dict[object, Listener] = field(factory=dict, init=False)

    @property
    def trouble(self) -> str | None:
        """
        Why the journal could not be written the last time.
        """
        return self._journal.trouble

    def may_know(self, request_id: str) -> bool:
        """
        Whether a request that was answered has this id, as far as can be told at once.
        """
        return self._journal.may_know(request_id)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Tell a listener every entry from now on, until the result is called.
        """
        subscription = object()
        self._listeners[subscription] = listener

        def stop() -> None:
            self._listeners.pop(subscription, None)

        return stop

    def write(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Fires with the last one's number when they are durable, after the listeners were told.

        :raises JournalUnavailable: they are not, whatever the reason.
        """
        written = maybeDeferred(self._journal.append, entries)
        written.addCallbacks(self._publish, _unavailable, callbackArgs=(entries,))
        return written

    def _publish(self, last: int, entries: Sequence[Entry]) -> int:
        for subscription, listener in list(self._listeners.items()):
            if subscription in self._listeners:
                _tell(listener, last, entries)
        return last


def _tell(listener: Listener, last: int, entries: Sequence[Entry]) -> None:
    """
    What is durable stays so, whatever becomes of those who are told.
    """
    try:
        listener(last, entries)
    except Exception:  # noqa: BLE001 - one bad listener must not stop an action, nor another listener
        _log.failure("a listener failed, and missed {count} entries", count=len(entries))


def _unavailable(failure: Failure) -> None:
    if failure.check(JournalUnavailable):
        failure.raiseException()
    _log.failure("fault in the journal", failure)
    raise JournalUnavailable("the journal cannot be written; the log has the details")
