# SPDX-License-Identifier: MIT
"""
Reading the past for callers, without being in the way of those who ask for power.

A repeated request is looked up in the same place, and all that is asked for
after it waits for that.  However much callers want to read, it never stands
behind more than a few of their pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from zope.interface import implementer

from powercoord.durable import IHistory, Numbered, Record

AT_ONCE = 2


@implementer(IHistory)
@define(eq=False)
class SparingHistory:
    """
    A history of which only a few pages are read at once; the others wait here.
    """

    _history: IHistory
    _turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE), init=False)

    def answered(self, request_ids: Sequence[str]) -> Deferred[Sequence[Record]]:
        """
        The records of those of these requests that were answered.
        """
        return self._in_turn(self._history.answered, request_ids)

    def requests(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Record]]:
        """
        What was asked of these nodes, newest first.
        """
        return self._in_turn(self._history.requests, nodes, before, limit)

    def holds(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Numbered]]:
        """
        The entries about holds on these nodes, newest first.
        """
        return self._in_turn(self._history.holds, nodes, before, limit)

    def action(self, action: str) -> Deferred[Sequence[Numbered]]:
        """
        Every entry about an action.
        """
        return self._in_turn(self._history.action, action)

    def entries(self, after: int, limit: int) -> Deferred[Sequence[Numbered]]:
        """
        The entries with higher numbers.
        """
        return self._in_turn(self._history.entries, after, limit)

    def _in_turn(self, read: Callable[..., Deferred[Any]], *arguments: object) -> Deferred[Any]:
        return self._turns.run(read, *arguments)
