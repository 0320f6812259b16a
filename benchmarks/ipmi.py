# SPDX-License-Identifier: MIT
"""
Reading the power of a fleet: our driver beside `ipmipower`, one process for all and one for each node.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen

from benchmarks.bmcs import LOGIN, Bmcs, by_ipmi_sim, by_ourselves
from benchmarks.child import Child
from benchmarks.cost import Cost, Samples, load
from benchmarks.ipmipower import Ipmipower, Swept, available, ipmipower
from benchmarks.table import Table, figure

PEER = "ipmipower, one process for all"
EACH = "ipmipower, one process per node"
OURS = "powercoord"
_COLUMNS = (
    "what",
    "CPU, ms/node",
    "of ipmipower's",
    "user + system",
    "wall, s",
    "datagrams/node",
    "read",
    "load",
)


@frozen
class Size:
    """
    How much is measured.

    :param each: how many nodes get a process of their own, in a repetition.
    :param window: nodes that the driver is asked for at once.
    """

    nodes: int
    repetitions: int
    each: int
    kept: int
    window: int = 128


FULL = Size(nodes=1_000, repetitions=5, each=250, kept=3)
TINY = Size(nodes=8, repetitions=1, each=2, kept=1, window=4)


@define
class Comparison:
    """
    All repetitions against one fleet.
    """

    bmcs: Bmcs
    size: Size
    profile: Path | None
    samples: Samples = field(factory=Samples)

    def peer(self, program: Ipmipower) -> None:
        """
        One repetition of `ipmipower`.
        """
        addresses = self.bmcs.addresses
        self._swept(PEER, program.sweep(addresses), len(addresses))
        some = addresses[: self.size.each]
        self._swept(EACH, program.one_by_one(some, at_once=10), len(some))

    def ours(self) -> None:
        """
        One repetition of ours, in a new process.
        """
        with Child("ipmi_worker", self.profile) as child:
            opened = self._open(child)
            self._keep(f"{OURS}, start and imports", opened["spent"], {}, len(self.bmcs.addresses))
            self._sweep(child, "fresh sessions, first sweep of a process")
            for _ in range(self.size.kept):
                self._sweep(child, "kept sessions")
            self._again(child)
            self._sweep(child, "fresh sessions")
            self._again(child)
            self._query(child, "registry's query, fresh sessions")
            for _ in range(self.size.kept):
                self._query(child, "registry's query, kept sessions")
            child.ask("close")

    def whole(self) -> None:
        """
        One repetition of ours as `ipmipower` is counted: a process that starts, reads once and ends.
        """
        with Child("ipmi_worker") as child:
            self._open(child)
            answer = child.ask("sweep", window=self.size.window)
            child.ask("close")
            self._keep(f"{OURS}, whole process for one sweep", child.end().form(), answer, self.size.nodes)

    def _open(self, child: Child) -> dict[str, dict[str, float]]:
        username, password = LOGIN
        return child.ask("open", addresses=list(self.bmcs.addresses), username=username, password=password)

    def _again(self, child: Child) -> None:
        child.ask("close")
        self._open(child)

    def _sweep(self, child: Child, name: str) -> None:
        answer = child.ask("sweep", window=self.size.window)
        self._keep(f"{OURS}, {name}", answer, answer, self.size.nodes)

    def _query(self, child: Child, name: str) -> None:
        answer = child.ask("query")
        self._keep(f"{OURS}, {name}", answer, answer, self.size.nodes)

    def _keep(self, name: str, cost: dict[str, float], answer: dict[str, float], nodes: int) -> None:
        self._swept(
            name,
            Swept(Cost(cost["wall"], cost["user"], cost["system"]), int(answer.get("read", 0))),
            nodes,
            answer.get("packets", 0) / nodes,
        )

    def _swept(self, name: str, swept: Swept, nodes: int, packets: float = 0.0) -> None:
        cost = swept.cost
        self.samples.add(
            name,
            cpu=1e3 * cost.cpu / nodes,
            user=1e3 * cost.user / nodes,
            system=1e3 * cost.system / nodes,
            wall=cost.wall,
            packets=packets,
            read=swept.read,
            nodes=nodes,
        )

    def table(self, began: float) -> Table:
        """
        The medians.
        """
        table = Table(f"Status of {self.bmcs.title}", _COLUMNS)
        peer = self.samples.of(PEER, "cpu") if PEER in self.samples.names() else 0.0
        for name in self.samples.names():
            table.add(name, *self._row(name, peer))
        table.notes.append(
            f"Medians of {self.size.repetitions} interleaved repetitions ({self.size.kept} sweeps on kept "
            f"sessions in each). Load average {began:.2f} before, {load():.2f} after."
        )
        return table

    def _row(self, name: str, peer: float) -> Iterator[str]:
        of = self.samples.of
        yield figure(of(name, "cpu"))
        yield f"{of(name, 'cpu') / peer:.2f}" if peer else "–"
        yield f"{figure(of(name, 'user'))} + {figure(of(name, 'system'))}"
        yield figure(of(name, "wall"))
        yield figure(of(name, "packets")) if of(name, "packets") else "–"
        yield f"{of(name, 'read', min):.0f} of {of(name, 'nodes'):.0f}" if of(name, "read") else "–"
        yield f"{of(name, 'load'):.1f}"


def _compare(bmcs: Bmcs, size: Size, profile: Path | None) -> Table:
    comparison, began = Comparison(bmcs, size, profile), load()
    with ipmipower() as program:
        for _ in range(size.repetitions):
            if available():
                comparison.peer(program)
            comparison.whole()
            comparison.ours()
    return comparison.table(began)


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Against the simulator of others, and against our own, which answers at once.
    """
    size = TINY if tiny else FULL
    with by_ipmi_sim(size.nodes) as bmcs:
        yield _compare(bmcs, size, profile)
    with by_ourselves(size.nodes) as bmcs:
        yield _compare(bmcs, size, profile)
