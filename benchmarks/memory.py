# SPDX-License-Identifier: MIT
"""
What the whole service keeps in memory for a large fleet, a session with each BMC included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.bmcs import by_ourselves
from benchmarks.child import Child
from benchmarks.cost import load
from benchmarks.service import Memory, Service, service
from benchmarks.table import Table, figure

_COLUMNS = ("the service", "PSS, MB", "RSS, MB", "since the row before, PSS bytes/node", "took, s", "load")
_FULL, _TINY = 10_000, 40


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:  # noqa: ARG001 - see below
    """
    After its start, after reading every node, after turning every node on.

    :param profile: not done here; a profile would be most of the memory.
    """
    nodes = _TINY if tiny else _FULL
    with by_ourselves(nodes, "127.92.0.1") as bmcs, service(bmcs.addresses) as served:
        yield _table(bmcs.title, nodes, served)


def _table(title: str, nodes: int, served: Service) -> Table:
    table = Table(f"Memory of the service with {title}", _COLUMNS)
    before = Memory.of(served.pid)
    table.add("started, nothing asked yet", *_cells(before, before, nodes, served.ready_after))
    with Child("amp_client") as client:
        client.ask("connect", path=str(served.socket), ours=True)
        for what, order in (
            ("every node read, a session kept with each", "query"),
            ("every node turned on", "switch"),
        ):
            answer = client.ask(order, nodes=nodes, at_once=2)
            now = Memory.of(served.pid)
            table.add(
                f"{what} ({answer['good']:,} of {nodes:,})", *_cells(now, before, nodes, answer["wall"])
            )
            before = now
    return table


def _cells(now: Memory, before: Memory, nodes: int, took: float) -> Iterator[str]:
    yield figure(now.pss / 1e6)
    yield figure(now.rss / 1e6)
    yield f"{(now.pss - before.pss) / nodes:,.0f}" if now is not before else "–"
    yield figure(took)
    yield f"{load():.1f}"
