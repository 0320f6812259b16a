# SPDX-License-Identifier: MIT
"""
Random bytes in small pieces, drawn from the system in large ones.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

_DRAW = 4096


@define(eq=False)
class Entropy:
    """
    Each byte is given out once. A tenth of the price of a system call for each vector.
    """

    _source: Callable[[int], bytes]
    _pool: bytes = field(default=b"", init=False, repr=False)
    _at: int = field(default=0, init=False)

    def __call__(self, count: int) -> bytes:
        """
        That many bytes, never given out before.
        """
        start, end = self._at, self._at + count
        if end > len(self._pool):
            self._pool, start, end = self._source(_DRAW), 0, count
        self._at = end
        return self._pool[start:end]

    def number(self) -> int:
        """
        A number of 32 bits that is not zero.
        """
        return int.from_bytes(self(4)) or 1
