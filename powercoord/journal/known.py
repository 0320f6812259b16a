# SPDX-License-Identifier: MIT
"""
Which request ids may have been answered once.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field


@define(eq=False)
class KnownIds:
    """
    Hashes of ids: small, and never a false no.

    A hash that came more than once is never forgotten, for it may stand for
    another id, too.
    """

    _hashes: set[int] = field(factory=set, init=False)
    _often: set[int] = field(factory=set, init=False)

    def load(self, hashes: Iterable[int]) -> None:
        """
        Begin with these.
        """
        self._hashes = set(hashes)

    def add(self, request_id: str) -> None:
        """
        One more.
        """
        found = hash(request_id)
        if found in self._hashes:
            self._often.add(found)
        self._hashes.add(found)

    def forget(self, hashes: Iterable[int]) -> None:
        """
        These are known to nobody any more.
        """
        self._hashes.difference_update(each for each in hashes if each not in self._often)

    def __contains__(self, request_id: str) -> bool:
        """
        Whether it may be one of them.
        """
        return hash(request_id) in self._hashes
