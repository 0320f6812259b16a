# SPDX-License-Identifier: MIT
"""
How long to wait for an answer before a request is repeated.

RFC 6298 with times for a management network: smoothed round trip and its
variation per BMC, and Karn's rule (an answer to a repeated request says
nothing about time, but a request that had to be repeated doubles the wait).
"""

from __future__ import annotations

from attrs import define, field

#: The first wait for a BMC that never answered yet.
FIRST = 0.35
#: An embedded processor may well take a nap of this length.
FLOOR = 0.2
CEILING = 1.0


@define(eq=False)
class Pace:
    """
    What is known about the time one kind of request takes at one BMC.
    """

    wait: float = field(default=FIRST, init=False)
    _smoothed: float = field(default=-1.0, init=False)
    _variation: float = field(default=0.0, init=False)

    def answered(self, seconds: float) -> None:
        """
        A request that was sent once was answered after this time.
        """
        if self._smoothed < 0:
            self._smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(self._smoothed - seconds) - self._variation) / 4
            self._smoothed += (seconds - self._smoothed) / 8
        wait = self._smoothed + 4 * self._variation
        self.wait = FLOOR if wait < FLOOR else min(wait, CEILING)

    def lost(self) -> None:
        """
        A request had to be repeated before it was answered.
        """
        self.wait = min(self.wait * 2, CEILING)


def longer(wait: float) -> float:
    """
    The wait after the next repetition.
    """
    return min(wait * 2, CEILING)
