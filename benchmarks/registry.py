# SPDX-License-Identifier: MIT
"""
What a decision costs, and a whole action, when BMC and journal cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.child import Child
from benchmarks.cost import Samples, load
from benchmarks.table import Table, figure


@frozen
class Size:
    """
    How much is measured.
    """

    repetitions: int
    requests: int


FULL = Size(repetitions=5, requests=5_000)
TINY = Size(repetitions=1, requests=20)

_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "decide: `on` for a node each": ("decide", {"how": "apart", "batch": 1}),
    "decide: the same, 500 with one call": ("decide", {"how": "apart", "batch": 500}),
    "decide: identical `on`s for one node (join)": ("decide", {"how": "same", "batch": 1}),
    "decide: `on` and `off` in turn for one node (supersede)": ("decide", {"how": "alternate", "batch": 1}),
    "decide: one request sent again and again": ("decide", {"how": "again", "batch": 1}),
    "do: `on` of a node that is off, seen on": ("act", {"verb": "on"}),
    "do: `off` of a node that is on, seen off": ("act", {"verb": "off"}),
    "do: `cycle` of a node that is on": ("act", {"verb": "cycle"}),
    "read a node": ("query", {}),
}


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Each case in turn, over and over.
    """
    size, samples, began = TINY if tiny else FULL, Samples(), load()
    with Child("registry_worker", profile) as child:
        child.ask("open", nodes=size.requests)
        for _ in range(size.repetitions):
            for title, (order, arguments) in _CASES.items():
                cost = child.ask(order, requests=size.requests, **arguments)
                cpu = (cost["user"] + cost["system"]) / size.requests
                samples.add(title, cpu=1e6 * cpu, wall=cost["wall"])
    table = Table("The registry alone, one process", ("what", "CPU, µs each", "a second of CPU", "load"))
    for title in _CASES:
        cpu = samples.of(title, "cpu")
        table.add(title, figure(cpu), figure(1e6 / cpu) if cpu else "–", f"{samples.of(title, 'load'):.1f}")
    table.notes.append(
        f"{size.requests:,} requests in each of {size.repetitions} repetitions, medians. Load average "
        f"{began:.2f} before, {load():.2f} after."
    )
    yield table
