# SPDX-License-Identifier: MIT
"""
What an action that is over may still cause.
"""

from __future__ import annotations

from attrs import frozen

from powercoord.model import Goal


@frozen
class LateChange:
    """
    # Note [Late change]

    A command that was cancelled, or whose effect was not seen in time, can
    still take effect: a BMC that is slow does not know that nobody waits any
    more.  Whoever comes next and wants the opposite looks again after
    ``until`` (seconds on the clock) before it says "done".
    """

    goal: Goal
    until: float
