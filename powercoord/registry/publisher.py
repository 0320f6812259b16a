# SPDX-License-Identifier: MIT
"""
Entries on their way to the journal, and from there to whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred

from powercoord.entries import Entry
from powercoord.interfaces import IJournal

Listener = Callable[[Sequence[Entry]], None]


@define(eq=False)
class Publisher:
    """
    Makes entries durable, and then tells them to whoever listens.
    """

    _journal: IJournal
    listeners: list[Listener] = field(factory=list, init=False)

    def write(self, entries: Sequence[Entry]) -> Deferred[None]:
        """
        Fires when they are durable, after the listeners were told.

        :raises JournalUnavailable: they are not.
        """
        written = maybeDeferred(self._journal.append, entries)
        written.addCallback(self._publish, entries)
        return written

    def _publish(self, _: None, entries: Sequence[Entry]) -> None:
        for listener in self.listeners:
            listener(entries)
