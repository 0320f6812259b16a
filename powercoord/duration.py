# SPDX-License-Identifier: MIT
"""
Times as people write them: ``90``, ``90s``, ``5m``, ``1h30m``, ``250ms``.
"""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")

LONGEST = 30 * 86400.0


def parse_duration(value: object) -> float:
    """
    Seconds, from a number of seconds or a text with units.

    :raises ValueError: it is neither, negative, or longer than thirty days.
    """
    seconds = _seconds(value)
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f'{_quoted(value)} is no time; write "90s", "5m", "1h30m" or a number of seconds')
    if seconds > LONGEST:
        raise ValueError(f"{_quoted(value)} is longer than thirty days")
    return seconds


def format_duration(seconds: float) -> str:
    """
    A text that `parse_duration` reads back as the same time, to a millisecond.
    """
    if seconds == math.inf:
        return "infinity"
    for unit in ("d", "h", "m"):
        count, rest = divmod(seconds, _UNITS[unit])
        if count >= 1 and rest == 0:
            return f"{count:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    if _NUMBER.fullmatch(value):
        return float(value)
    if not _WHOLE.fullmatch(value):
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(value))


def _quoted(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
