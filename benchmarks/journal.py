# SPDX-License-Identifier: MIT
"""
What it costs that nothing is lost: the registry with a journal on disk, and without.
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

    :param alone: requests of one caller, each waiting for the one before.
    :param past: requests in a journal that is begun with.
    """

    repetitions: int
    requests: int
    alone: int
    past: int


FULL = Size(repetitions=5, requests=5_000, alone=500, past=100_000)
TINY = Size(repetitions=1, requests=20, alone=5, past=1_000)

_SLOW = 0.005
_KINDS: dict[str, dict[str, Any]] = {
    "none": {"kind": "none", "delay": 0.0},
    "journal": {"kind": "sqlite", "delay": 0.0},
    "slow": {"kind": "sqlite", "delay": _SLOW},
}
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "accepted, 1 in flight": ("accept", {"in_flight": 1}),
    "accepted, 16 in flight": ("accept", {"in_flight": 16}),
    "accepted, 256 in flight": ("accept", {"in_flight": 256}),
    "accepted, 500 with one call": ("submit", {"batch": 500}),
    "`on`, seen on, 1 in flight": ("act", {"in_flight": 1}),
    "`on`, seen on, 16 in flight": ("act", {"in_flight": 16}),
    "`on`, seen on, 256 in flight": ("act", {"in_flight": 256}),
}


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Each case without a journal, with one, and with one on a slow disk, in turn, over and over.
    """
    size, samples, began = TINY if tiny else FULL, Samples(), load()
    with Child("journal_worker", profile) as child:
        for _ in range(size.repetitions):
            samples.add("commit", median=child.ask("commit", repetitions=size.alone)["median"])
            for title, (order, arguments) in _CASES.items():
                requests = size.alone if arguments.get("in_flight") == 1 else size.requests
                for name, kind in _KINDS.items():
                    cost = child.ask(order, requests=requests, **arguments, **kind)
                    samples.add(f"{title} {name}", rate=requests / cost["wall"], median=cost["median"])
    yield _table(size, samples, began)
    yield _past(size, profile)


def _table(size: Size, samples: Samples, began: float) -> Table:
    columns = (
        "what",
        "without a journal, 1/s",
        "with, 1/s",
        "of without",
        f"with {1000 * _SLOW:g} ms more per commit, 1/s",
        "a call's median without, ms",
        "with, ms",
        f"with {1000 * _SLOW:g} ms more, ms",
        "load",
    )
    table = Table("What is durable, a second", columns)
    for title in _CASES:
        rates = [samples.of(f"{title} {name}", "rate") for name in _KINDS]
        medians = [1000 * samples.of(f"{title} {name}", "median") for name in _KINDS]
        table.add(
            title,
            figure(rates[0]),
            figure(rates[1]),
            f"{rates[1] / rates[0]:.2f}",
            figure(rates[2]),
            *map(figure, medians),
            f"{samples.of(f'{title} none', 'load'):.1f}",
        )
    table.notes.append(
        f"{size.requests:,} requests ({size.alone:,} where one is in flight) in each of {size.repetitions}"
        f" repetitions, medians. 4 KiB and fdatasync took"
        f" {1000 * samples.of('commit', 'median'):.3f} ms on the same file system. Load average {began:.2f}"
        f" before, {load():.2f} after."
    )
    return table


def _past(size: Size, profile: Path | None) -> Table:
    table = Table(f"A journal of {size.past:,} requests", ("what", "median, ms", "worst, ms"))
    with Child("journal_history", profile) as child:
        filled = child.ask("fill", requests=size.past)
        for how, title in (("stopped", "to open it after a stop"), ("killed", "to open it after a kill")):
            taken = [1000 * child.ask("begin", how=how)["took"] for _ in range(size.repetitions)]
            table.add(title, figure(sorted(taken)[len(taken) // 2]), figure(max(taken)))
        looked = child.ask("look", repetitions=2 * size.repetitions)
        for what, title in (
            ("node", "100 requests of one node"),
            ("action", "all of one action"),
            ("entries", "the next 500 events"),
        ):
            table.add(title, *(figure(1000 * looked[what][which]) for which in ("median", "worst")))
        child.ask("end")
    table.notes.append(
        f"{filled['entries']:,} entries, {filled['bytes'] / 1e6:.0f} MB. Opened {size.repetitions} times"
        f" each; looked into {2 * size.repetitions} times. Load average {load():.2f} after."
    )
    return table
