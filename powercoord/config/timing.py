# SPDX-License-Identifier: MIT
# ruff: noqa: RUF009 - key() declares a field
"""
The times of a node: from which table each comes, and whether they suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import asdict, frozen

from powercoord.config.keys import key
from powercoord.duration import format_duration
from powercoord.interfaces import IPowerDriver
from powercoord.model import Command, Timing
from powercoord.strict import Interval, Moment, Path, Seconds, Tries


@frozen(kw_only=True)
class TimingTable:
    """
    Times that a table sets; what it leaves out comes from the table above it.
    """

    action: Moment | None = key("From acceptance to the end of any verb but soft-off.", default=None)
    soft: Moment | None = key(
        "How long an operating system may take to stop before it is forced off.", default=None
    )
    force: Moment | None = key("What a forced off may take after that.", default=None)
    poll: Moment | None = key(
        "The first pause between two reads while waiting to see a state; it grows by half each time.",
        default=None,
    )
    poll_longest: Moment | None = key("The longest pause between two reads.", default=None)
    settle: Seconds | None = key(
        "After a cancelled change: how long an off waits to look again for a late on.", default=None
    )
    minimum_off: Seconds | None = key(
        "How long a node stays off at least before it is turned on again.", default=None
    )
    cancel: Moment | None = key("How long a cancelled operation may take to become quiet.", default=None)
    retries: Tries | None = key(
        "How often an operation that failed for a passing reason is repeated.", default=None
    )
    retry_pause: Seconds | None = key(
        "The pause before the first repetition; it doubles each time.", default=None
    )
    sweep: Interval | None = key("In place of ``sweep.interval``.", default=None)


@frozen
class Layer:
    """
    A timing table and where it stands.
    """

    path: Path
    table: TimingTable


def combine(layers: Sequence[Layer]) -> Timing:
    """
    The times that hold when a later layer overrides an earlier one.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= {name: value for name, value in asdict(layer.table).items() if value is not None}
    return Timing(**merged)


def source(layers: Sequence[Layer], name: str) -> Path | None:
    """
    The path of the key that decided, if any table sets it.
    """
    for layer in reversed(layers):
        if getattr(layer.table, name) is not None:
            return (*layer.path, name)
    return None


def shortfalls(driver: IPowerDriver, settings: object, timing: Timing) -> Iterator[tuple[str, str]]:
    """
    Which times are not above what the driver can need, each with the arithmetic.
    """
    if timing.poll > timing.poll_longest:
        first, longest = format_duration(timing.poll), format_duration(timing.poll_longest)
        if timing.poll != Timing().poll:
            yield "poll", f"{first} is above poll_longest, {longest}"
        else:
            yield "poll_longest", f"{longest} is below poll, {first}"
    needs = _needs(driver, settings, timing)
    for name in ("action", "soft", "force"):
        allowed = getattr(timing, name)
        what, terms = max(
            needs[name].items(), key=lambda item: sum(seconds for _, seconds in item[1]), default=("", [])
        )
        worst = sum(seconds for _, seconds in terms)
        if terms and allowed <= worst:
            words = " + ".join(f"{format_duration(seconds)} ({word})" for word, seconds in terms)
            yield (
                name,
                (
                    f"{format_duration(allowed)} is not above the {format_duration(worst)} that {what}"
                    f" can take with driver {driver.name}: {words}"
                ),
            )


_Terms = list[tuple[str, float]]


def _needs(driver: IPowerDriver, settings: object, timing: Timing) -> Mapping[str, Mapping[str, _Terms]]:
    """
    For each time: what it must suffice for, and the operations that needs.
    """
    able = driver.capabilities.commands
    step = _steps(driver, settings)
    pause = [("minimum_off", timing.minimum_off)]
    plans: dict[str, dict[str, tuple[set[Command], Callable[[], _Terms]]]] = {
        "action": {
            "on": ({Command.ON}, lambda: step(None) + step(Command.ON) + step(None)),
            "off": ({Command.OFF}, lambda: step(None) + step(Command.OFF) + step(None)),
            "reset": ({Command.RESET}, lambda: step(None) + step(Command.RESET) + step(None)),
            "cycle": (
                {Command.ON, Command.OFF},
                lambda: step(None) + step(Command.OFF) + step(None) + pause + step(Command.ON) + step(None),
            ),
        },
        "soft": {"soft-off": ({Command.SOFT}, lambda: step(None) + step(Command.SOFT) + step(None))},
        "force": {"a forced off": ({Command.OFF}, lambda: step(Command.OFF) + step(None))},
    }
    return {
        name: {what: plan() for what, (needed, plan) in uses.items() if needed <= able}
        for name, uses in plans.items()
    }


def _steps(driver: IPowerDriver, settings: object) -> Callable[[Command | None], _Terms]:
    def step(command: Command | None) -> _Terms:
        if command is None and not driver.capabilities.queryable:
            return []
        return [("read" if command is None else command.value, driver.worst_case(settings, command))]

    return step
