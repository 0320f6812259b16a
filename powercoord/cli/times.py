# SPDX-License-Identifier: MIT
"""
Moments, as a person reads and writes them: in local time, with the date.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import click

from powercoord.duration import format_duration, parse_duration

Since = datetime | timedelta
Until = datetime | timedelta | time


class SinceType(click.ParamType[Since]):
    """
    A moment of the past: so long ago (``2h``), or a date with or without a time.
    """

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Since:
        if isinstance(value, datetime | timedelta):
            return value
        try:
            return timedelta(seconds=parse_duration(value))
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"'{value}' is no moment; write how long ago ('90s', '2h', '7d'), a date ('2026-11-21'), or"
                " a date and a time ('2026-11-21 07:30')",
                param,
                ctx,
            )


class UntilType(click.ParamType[Until]):
    """
    A moment to come: in a while (``90m``), at a time of day (``06:00``), or a date with or without a time.
    """

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Until:
        if isinstance(value, datetime | timedelta | time):
            return value
        for read in (_in_a_while, _time_of_day, _date):
            try:
                return read(value)
            except (ValueError, OverflowError):
                continue
        return self.fail(
            f"'{value}' is no moment; write in how long ('90s', '2h', '7d'), a time of day ('06:00'), a date"
            " ('2026-11-23'), or a date and a time ('2026-11-23 06:00')",
            param,
            ctx,
        )


def _in_a_while(value: str) -> timedelta:
    if value.replace(".", "").isdigit():
        raise ValueError("seconds, minutes, a day of this month?")
    return timedelta(seconds=parse_duration(value))


def _time_of_day(value: str) -> time:
    if ":" not in value:
        raise ValueError("it may be a date without hyphens")
    return time.fromisoformat(value)


def _date(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone()


def until(moment: Until | None, now: datetime) -> datetime | None:
    """
    The moment that is meant, if it is not a while from now on.
    """
    if not isinstance(moment, time):
        return moment if isinstance(moment, datetime) else None
    here = now.astimezone(moment.tzinfo)
    found = datetime.combine(here.date(), moment).astimezone()
    return found if found > now else datetime.combine(here.date() + timedelta(days=1), moment).astimezone()


def since(moment: Since | None, now: datetime) -> datetime | None:
    """
    The moment that is meant.
    """
    return now - moment if isinstance(moment, timedelta) else moment


def local(at: datetime) -> str:
    """
    A moment, to the second.
    """
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def exact(at: datetime) -> str:
    """
    A moment, to a millisecond.
    """
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def ago(at: datetime, now: datetime) -> str:
    """
    How long ago that was.
    """
    return f"{rounded((now - at).total_seconds())} ago"


def took(seconds: float) -> str:
    """
    How long something took: to a tenth where that matters.
    """
    return format_duration(max(0.0, round(seconds, 1))) if seconds < 10 else rounded(seconds)


def rounded(seconds: float) -> str:
    """
    A time in whole seconds, minutes, hours or days.
    """
    for limit, unit in ((120.0, 1.0), (7200.0, 60.0), (172_800.0, 3600.0)):
        if seconds < limit:
            return format_duration(max(0.0, seconds) // unit * unit)
    return format_duration(seconds // 86400.0 * 86400.0)
