# SPDX-License-Identifier: MIT
"""
A journal that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from powercoord.entries import Entry
from powercoord.interfaces import IJournal


@implementer(IJournal)
class NullJournal:
    """
    Says "durable" at once, and forgets: a restart knows nothing of before.
    """

    def append(self, entries: Sequence[Entry]) -> Deferred[None]:
        """
        Forget them.
        """
        return succeed(None)

    def close(self) -> Deferred[None]:
        """
        Nothing to let go of.
        """
        return succeed(None)
