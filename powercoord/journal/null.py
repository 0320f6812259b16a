# SPDX-License-Identifier: MIT
"""
A journal that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from powercoord.durable import IJournal, Recovered
from powercoord.entries import Entry


@implementer(IJournal)
@define(eq=False)
class NullJournal:
    """
    Says "durable" at once, and forgets: a restart knows nothing of before.
    """

    trouble: str | None = field(default=None, init=False)
    _newest: int = field(default=0, init=False)

    def open(self) -> Deferred[Recovered]:
        """
        Nothing is known.
        """
        return succeed(Recovered())

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Count them, and forget them.
        """
        self._newest += len(entries)
        return succeed(self._newest)

    def may_know(self, request_id: str) -> bool:
        """
        Nothing is known.
        """
        return False

    def close(self) -> Deferred[None]:
        """
        Nothing to let go of.
        """
        return succeed(None)
