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

from powercoord.entries import Entry
from powercoord.errors import JournalUnavailable
from powercoord.interfaces import IJournal

Listener = Callable[[Sequence[Entry]], None]
_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Publisher:
    """
    Makes entries durable, and then tells them to whoever listens.
    """

    _journal: IJournal
    _listeners: dict[object, Listener] = field(factory=dict, init=False)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Tell a listener every entry from now on, until the result is called.
        """
        subscription = object()
        self._listeners[subscription] = listener

        def stop() -> None:
            self._listeners.pop(subscription, None)

        return stop

    def write(self, entries: Sequence[Entry]) -> Deferred[None]:
        """
        Fires when they are durable, after the listeners were told.

        :raises JournalUnavailable: they are not, whatever the reason.
        """
        written = maybeDeferred(self._journal.append, entries)
        written.addCallbacks(self._publish, _unavailable, callbackArgs=(entries,))
        return written

    def _publish(self, _: None, entries: Sequence[Entry]) -> None:
        for subscription, listener in list(self._listeners.items()):
            if subscription in self._listeners:
                _tell(listener, entries)


def _tell(listener: Listener, entries: Sequence[Entry]) -> None:
    """
    What is durable stays so, whatever becomes of those who are told.
    """
    try:
        listener(entries)
    except Exception:  # noqa: BLE001 - one bad listener must not stop an action, nor another listener
        _log.failure("a listener failed, and missed {count} entries", count=len(entries))


def _unavailable(failure: Failure) -> None:
    if failure.check(JournalUnavailable):
        failure.raiseException()
    _log.failure("fault in the journal", failure)
    raise JournalUnavailable("the journal cannot be written; the log has the details")
