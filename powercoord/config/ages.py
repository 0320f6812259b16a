# SPDX-License-Identifier: MIT
"""
How long things are kept: times longer than any that something takes.
"""

from __future__ import annotations

import re
from typing import Any, NewType

from powercoord.duration import parse_duration

Age = NewType("Age", float)
"""
A time above zero, at most ten years.
"""

_DAY = 86400.0
_LONGEST = 3653 * _DAY
_DAYS = re.compile(r"([0-9]{1,9})d")


def parse_age(value: Any, _: Any = None) -> Age:
    """
    Seconds, from a number of them or a text with units.

    :raises ValueError: it is neither, not above zero, or longer than ten years.
    """
    days = _DAYS.fullmatch(value) if isinstance(value, str) else None
    seconds = int(days[1]) * _DAY if days else _number(value)
    if seconds <= 0:
        raise ValueError("must be above zero")
    if seconds > _LONGEST:
        raise ValueError(f"{value} is longer than ten years")
    return Age(seconds)


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2 * _LONGEST:
        return float(value)
    return parse_duration(value)
