# SPDX-License-Identifier: MIT
"""
The times of a node.
"""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Timing:
    """
    The times of a node, in seconds.

    :param action: from acceptance to the end of any verb but soft-off.
    :param soft: how long an operating system may take before it is forced off.
    :param force: what a forced off may take after that.
    :param poll: the first pause between two reads while waiting to see a state; it grows by half each time
        up to ``poll_longest``.
    :param settle: after a cancelled change, how long an off waits before it looks again for a late on.
    :param minimum_off: between seen going off and on again.
    :param cancel: how long a cancelled operation may take to become quiet before its channel is torn down.
    :param retries: how often what failed for a passing reason is tried again within the deadline.
    :param retry_pause: before the first retry; doubles each time.
    :param sweep: how old what is known may become; 0: however old; None: as everywhere.
    """

    action: float = 180.0
    soft: float = 300.0
    force: float = 60.0
    poll: float = 0.25
    poll_longest: float = 3.0
    settle: float = 5.0
    minimum_off: float = 5.0
    cancel: float = 10.0
    retries: int = 2
    retry_pause: float = 1.0
    sweep: float | None = None


@frozen
class Ready:
    """
    When a node that was seen on carries those that require it.

    :param after: seconds from the moment when it was seen to have come on.
    :param tcp: ``host:port`` that must then accept a connection; empty: nothing is probed.
    """

    after: float = 0.0
    tcp: str = ""
