# SPDX-License-Identifier: MIT
"""
Who holds a node, as a function over what was written about it.
"""

from __future__ import annotations

from powercoord.entries import Entry, Held, Released
from powercoord.holds import Hold


def held_after(before: tuple[Hold, ...], entry: Entry) -> tuple[Hold, ...]:
    """
    The holds on a node after an entry about it, the one that was said first in front.
    """
    if isinstance(entry, Held):
        return (*without(before, entry.hold.holder), entry.hold)
    if isinstance(entry, Released):
        return without(before, entry.holder)
    return before


def without(holds: tuple[Hold, ...], holder: str) -> tuple[Hold, ...]:
    """
    The others' holds.
    """
    return tuple(hold for hold in holds if hold.holder != holder)
