# SPDX-License-Identifier: MIT
"""
What actions that are over may still cause.
"""

from __future__ import annotations

from attrs import evolve, frozen

from powercoord.model import Goal


@frozen
class LateChanges:
    """
    # Note [Late change]

    A command that was cancelled, or whose effect was not seen in time, can
    still take effect: a BMC that is slow does not know that nobody waits any
    more.  Whoever comes next and wants the opposite looks again when that can
    no longer be, before it says "done".

    :param on: seconds on the clock until when an on may still come; 0: none.
    :param off: the same for an off.
    """

    on: float = 0.0
    off: float = 0.0

    def until(self, goal: Goal) -> float:
        """
        Until when this may still happen.
        """
        return self.on if goal is Goal.ON else self.off

    def with_change(self, goal: Goal, until: float) -> LateChanges:
        """
        As many, and one more.
        """
        return evolve(self, on=until) if goal is Goal.ON else evolve(self, off=until)
