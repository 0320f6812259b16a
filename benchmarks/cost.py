# SPDX-License-Identifier: MIT
"""
What something cost: wall time, and CPU as the kernel counts it.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field, frozen


@frozen
class Cost:
    """
    Seconds: on the wall, and of CPU in user and system mode.
    """

    wall: float
    user: float
    system: float

    @property
    def cpu(self) -> float:
        """
        All CPU.
        """
        return self.user + self.system

    def form(self) -> dict[str, float]:
        """
        As it goes from a worker to the parent.
        """
        return {"wall": self.wall, "user": self.user, "system": self.system}


def _usage(who: int) -> tuple[float, float]:
    usage = resource.getrusage(who)
    return usage.ru_utime, usage.ru_stime


@define
class Stopwatch:
    """
    Runs from its making; of this process, or of its children that have ended.
    """

    who: int = resource.RUSAGE_SELF
    _wall: float = field(init=False)
    _cpu: tuple[float, float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._cpu = _usage(self.who)
        self._wall = time.monotonic()

    def cost(self) -> Cost:
        """
        What it has been since.
        """
        wall = time.monotonic() - self._wall
        user, system = _usage(self.who)
        return Cost(wall, user - self._cpu[0], system - self._cpu[1])


def spent() -> Cost:
    """
    What this process has cost since it was started, its interpreter and imports included.
    """
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    return Cost(age, *_usage(resource.RUSAGE_SELF))


def load() -> float:
    """
    The load average of the last minute.
    """
    return os.getloadavg()[0]


def percentile(values: Sequence[float], share: float) -> float:
    """
    The value that this share of all does not exceed.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


@define
class Samples:
    """
    Repetitions of several things, by their names, in the order of the first repetition.

    Medians stand for them: one disturbed repetition changes nothing.
    """

    _kept: dict[str, list[dict[str, float]]] = field(factory=dict)

    def add(self, name: str, **values: float) -> None:
        """
        Keep one repetition, with the load that it began with.
        """
        self._kept.setdefault(name, []).append({"load": load(), **values})

    def names(self) -> Iterable[str]:
        """
        What was measured.
        """
        return self._kept.keys()

    def of(self, name: str, value: str, choose: Callable[[list[float]], float] = median) -> float:
        """
        The median of one value; or another choice.
        """
        return choose([repetition[value] for repetition in self._kept[name]])

    def count(self, name: str) -> int:
        """
        How many repetitions there are.
        """
        return len(self._kept[name])

    def raw(self) -> dict[str, Any]:
        """
        Everything.
        """
        return dict(self._kept)
