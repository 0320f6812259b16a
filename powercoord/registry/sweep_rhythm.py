# SPDX-License-Identifier: MIT
"""
How often a node is read in the background.

# Note [How often]

What has just changed may change again, so it is looked at soon, and each time
that all is as it was the pause doubles, up to the configured interval.  One
failed read of a node that was well is looked into soon, too: most of those are
lost packets.  A node that keeps failing is read ever more rarely, down to a
quarter as often as others, and one that refuses us hardly at all: time mends
nothing there, and accounts lock.

    ============================  ==========================================
    seen                          next pause
    ============================  ==========================================
    other power than before       ``fast``
    the same power                twice the last one, at most ``slow``
    a first failure               ``fast``
    another failure               twice the last one, at most 4 x ``slow``
    it refuses us                 4 x ``slow``, at least an hour
    ============================  ==========================================
"""

from __future__ import annotations

from attrs import frozen

from powercoord.model import PowerState

POWERS = frozenset({PowerState.ON, PowerState.OFF})

EARLY = 0.8
"""
The part of a pause after which a node is due, so that it is read before the
pause is over also when jitter makes that a fifth longer.
"""

FAILING = 4
REFUSING = 3600.0


@frozen(kw_only=True)
class Sweeping:
    """
    What the operator decided about reads in the background.

    :param interval: the seconds within which a node is read; 0: never.
    :param fast: the first pause after a change.
    :param concurrency: how many reads may be young at once; see `Sweep`.
    """

    interval: float = 0.0
    fast: float = 15.0
    concurrency: int = 16


def next_pause(
    pause: float, before: PowerState, power: PowerState | None, seen: PowerState, *, fast: float, slow: float
) -> float:
    """
    The pause after a sighting; see note [How often].

    :param pause: the pause before it.
    :param before: what was seen the time before.
    :param power: the last power that was seen, if ever one was.
    """
    if seen in POWERS:
        if power not in (None, seen):
            return fast
        return min(2 * pause, slow)
    if seen is PowerState.ERROR:
        return max(FAILING * slow, REFUSING)
    if before in POWERS and pause >= slow:
        return fast
    return min(2 * pause, FAILING * slow)
