# SPDX-License-Identifier: MIT
"""
How fast reads in the background may follow one another.

# Note [Never a burst]

At a start, after a drain or after a reload of another network's addresses all
nodes are due at once.  They are read one after the other, a quarter faster than
all of them together need it in the long run, so that a backlog shrinks and yet
nobody notices.  What is due soon after many changes counts, too, but only up to
twice what a quiet fleet needs: ten thousand nodes that were turned on are not
ten thousand reads a quarter of a minute later.
"""

from __future__ import annotations

from attrs import define

from powercoord.registry.sweep_rhythm import EARLY

_HEADROOM = 1.25
_MOST = 2.0
_SLOWEST = 1.0
"""
Reads a second that a small fleet may always have: it is known soon after a start.
"""
_QUICKEST = 10.0
"""
Reads a second that a small fleet may have after many changes.
"""


@define(eq=False)
class Pace:
    """
    The pauses of all nodes, summed up.

    :param needed: reads a second that the nodes need now.
    :param quiet: reads a second that they would need if nothing changed.
    """

    needed: float = 0.0
    quiet: float = 0.0

    def add(self, pause: float, slow: float) -> None:
        """
        One more node, read after ``pause``, and after ``slow`` when all is quiet.
        """
        self.needed += 1 / (EARLY * pause)
        self.quiet += 1 / (EARLY * slow)

    def remove(self, pause: float, slow: float) -> None:
        """
        One node less.
        """
        self.needed -= 1 / (EARLY * pause)
        self.quiet -= 1 / (EARLY * slow)

    @property
    def gap(self) -> float:
        """
        Seconds from one read to the next; see note [Never a burst].
        """
        most = max(_MOST * self.quiet, _QUICKEST)
        return 1 / max(_SLOWEST, min(_HEADROOM * self.needed, most))
