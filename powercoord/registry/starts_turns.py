# SPDX-License-Identifier: MIT
"""
Whose turn it is to start, between callers.

# Note [Fair between callers]

Who asks for five thousand nodes is served in turns with who asks for one.  A
caller has one start in each round, or as many as its weight says, and who comes
to wait gets in at the end of the next round: there is nothing to be won by
waiting long, or by coming often.  Within a turn the oldest start goes first.

A caller is known here only while it waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import define, field


@define(eq=False)
class Turns:
    """
    Rounds in which every caller that waits has its turn.

    :param weights: how many starts a caller has in a round, if not one.
    """

    _weights: Mapping[str, int] = field(factory=dict)
    _round: int = field(default=0, init=False)
    _next: dict[str, int] = field(factory=dict, init=False)
    _had: Counter[str] = field(factory=Counter, init=False)
    _lines: Counter[str] = field(factory=Counter, init=False)

    def join(self, caller: str) -> None:
        """
        It waits in one more line.
        """
        self._next.setdefault(caller, self._round + 1)
        self._lines[caller] += 1

    def leave(self, caller: str) -> None:
        """
        It waits in one line less.
        """
        self._lines[caller] -= 1
        if not self._lines[caller]:
            del self._lines[caller]
            del self._next[caller]
            self._had.pop(caller, None)

    def of(self, caller: str) -> int:
        """
        In which round it is its turn; what it could not use of earlier ones is lost.
        """
        return max(self._next.get(caller, 0), self._round)

    def served(self, caller: str) -> None:
        """
        It had a start.
        """
        turn = self._round = self.of(caller)
        if caller not in self._next:
            return
        # What was not used of an earlier round is lost.
        had = self._had[caller] + 1 if self._next[caller] == turn else 1
        full = had >= self._weights.get(caller, 1)
        self._next[caller], self._had[caller] = (turn + 1, 0) if full else (turn, had)
