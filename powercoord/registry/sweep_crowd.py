# SPDX-License-Identifier: MIT
"""
The reads of the sweep that are under way, and whether there may be one more.

Dead BMCs hold up nobody: a read without an answer counts only while it is
young.  But neither may they be without number, should half a site be dead.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

YOUNG = 1.0
"""
Seconds for which a read counts as young.
"""

CROWD = 8
"""
How many times ``most`` reads there may be in all.
"""


@define(eq=False)
class Crowd:
    """
    Who is being read.

    :param most: how many young reads there may be.
    """

    _clock: IReactorTime
    most: int
    _begun: dict[str, float] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, name: str) -> None:
        """
        One more.
        """
        self._begun[name] = self._clock.seconds()

    def end(self, name: str) -> None:
        """
        One less.
        """
        del self._begun[name]

    def full(self) -> bool:
        """
        Whether there may be no more now; it passes when one ends, or with time.
        """
        if len(self._begun) < self.most:
            return False
        old = self._clock.seconds() - YOUNG
        young = sum(begun > old for begun in self._begun.values())
        return young >= self.most or len(self._begun) >= CROWD * self.most
