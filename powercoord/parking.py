# SPDX-License-Identifier: MIT
"""
Endpoints that are left alone for a while because they do not answer us.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import frozen


class Cause(Enum):
    """
    Why an endpoint is left alone.

    ``UNREACHABLE``: several operations in a row had no answer.  ``REFUSED``:
    it did not take our password, and accounts lock.
    """

    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@frozen(kw_only=True)
class ParkingRules:
    """
    When an endpoint is parked, and for how long.

    :param after: so many operations in a row without an answer.
    :param pause: before the first probe; doubles with each that fails.
    :param longest: the longest pause between two probes.
    :param refused: before a refused password is tried once more.
    """

    after: int = 3
    pause: float = 15.0
    longest: float = 600.0
    refused: float = 21600.0


@frozen(kw_only=True)
class Parking:
    """
    A parked endpoint, as an outsider may see it.

    :param since: when it was parked.
    :param reason: what it, or nobody, said.
    :param next_try: seconds until it is tried again; 0 while it is.
    """

    endpoint: str
    cause: Cause
    since: datetime
    reason: str
    next_try: float
