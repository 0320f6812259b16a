# SPDX-License-Identifier: MIT
"""
The same things done to simulated BMCs by several clients at the same time, counted by the BMCs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field, frozen

from benchmarks.child import Child, WorkerFailed
from benchmarks.cost import Samples, load
from benchmarks.table import Table, figure

_COLUMNS = ("what, and who", "connections", "requests", "seen after, s", "CPU, ms", "load")

#: In this order: what it is called, the verb, and how the machine is afterwards.
STEPS = (
    ("`query`", "query", False),
    ("`on`", "on", True),
    ("`on` of one that is on", "on", True),
    ("`off`", "off", False),
    ("`on` again", "on", True),
    ("`cycle`", "cycle", True),
)


@frozen
class Size:
    """
    How much is measured.

    :param latency: seconds that a machine takes to change.
    :param scale: what all clients' pauses are multiplied by.
    """

    repetitions: int
    latency: float
    scale: float


FULL = Size(repetitions=3, latency=6.0, scale=1.0)
TINY = Size(repetitions=1, latency=0.6, scale=0.1)


@frozen
class Contender:
    """
    One client: its worker, and what that is told.
    """

    name: str
    worker: str
    options: Mapping[str, Any]


@define
class Comparison:
    """
    All repetitions of one kind of BMC.
    """

    kind: str
    base: str
    contenders: Sequence[Contender]
    size: Size
    profile: Path | None
    samples: Samples = field(factory=Samples, init=False)

    def run(self) -> None:
        """
        Once: new BMCs, new processes.

        :raises WorkerFailed: a client failed, or a machine is not as it was to be.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="benchmark-"))
            authority = f"{folder}/ca.pem"
            bmcs = stack.enter_context(Child("web_bmcs"))
            served = bmcs.ask(
                "serve",
                kind=self.kind,
                count=len(self.contenders),
                base=self.base,
                latency=self.size.latency,
                authority=authority,
            )
            clients = []
            for contender, url in zip(self.contenders, served["urls"], strict=True):
                client = stack.enter_context(Child(contender.worker, self.profile))
                words = {"url": url, "scale": self.size.scale, "authority": authority, **contender.options}
                if contender.worker == "web_ours":
                    words = {"kind": self.kind, "pin": served["pin"], "events": False, **words}
                client.ask("open", **words)
                clients.append(client)
            for step in STEPS:
                self._step(bmcs, clients, *step)
            for client in clients:
                client.ask("close")
            bmcs.ask("close")

    def _step(self, bmcs: Child, clients: Sequence[Child], what: str, verb: str, on: bool) -> None:
        """
        All at the same time: they mostly wait, each for its own machine.
        """
        for client in clients:
            client.tell("do", verb=verb)
        answers = [client.answer() for client in clients]
        counted = bmcs.ask("counts")
        ended = zip(self.contenders, answers, counted["counts"], counted["on"], strict=True)
        for contender, answer, (connections, requests), is_on in ended:
            if not answer["done"] or is_on is not on:
                raise WorkerFailed(f"{contender.name}: {verb} ended with {answer['words']}, on: {is_on}")
            cpu = answer["user"] + answer["system"]
            self.samples.add(
                f"{what}, {contender.name}",
                connections=connections,
                requests=requests,
                wall=answer["wall"],
                cpu=1e3 * cpu,
            )

    def table(self, title: str, began: float) -> Table:
        """
        The medians, and the extremes of what is counted where they differ.
        """
        table = Table(title, _COLUMNS)
        for name in self.samples.names():
            table.add(
                name,
                self._count(name, "connections"),
                self._count(name, "requests"),
                figure(self.samples.of(name, "wall")),
                figure(self.samples.of(name, "cpu")),
                f"{self.samples.of(name, 'load'):.1f}",
            )
        table.notes.append(
            f"Medians of {self.size.repetitions} repetitions. In each, all clients do the same at the same"
            f" time, each to a machine of its own that takes {self.size.latency:g} s to change."
            " Connections and requests are counted by the simulated BMCs. CPU is that of the client, what it"
            " imports when it is first used included."
            f" Load average {began:.2f} before, {load():.2f} after."
        )
        return table

    def _count(self, name: str, value: str) -> str:
        least, most = self.samples.of(name, value, min), self.samples.of(name, value, max)
        return f"{least:.0f}" if least == most else f"{least:.0f}–{most:.0f}"


def compare(
    kind: str, base: str, title: str, contenders: Sequence[Contender], *, tiny: bool, profile: Path | None
) -> Iterator[Table]:
    """
    The table of one kind of BMC.
    """
    began = load()
    comparison = Comparison(kind, base, contenders, TINY if tiny else FULL, profile)
    for _ in range(comparison.size.repetitions):
        comparison.run()
    yield comparison.table(title, began)
