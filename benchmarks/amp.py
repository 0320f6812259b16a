# SPDX-License-Identifier: MIT
"""
Requests per second on one connection, beside a bare AMP echo of the same shape; nodes per second in `Submit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from attrs import define, field, frozen

from benchmarks.amp_shapes import SHAPES
from benchmarks.child import Child
from benchmarks.cost import Samples, load
from benchmarks.table import Table, figure

_COLUMNS = (
    "command", "in flight", "echo, calls/s", "powercoord, calls/s", "of the echo's",
    "server µs/call: echo", "powercoord", "with our client, calls/s", "load",
)  # fmt: skip


@frozen
class Size:
    """
    How much is measured; calls by how many are in flight.
    """

    repetitions: int
    calls: dict[int, int]
    nodes: int
    items: int
    batches: int


FULL = Size(repetitions=5, calls={1: 800, 32: 1_600}, nodes=10_000, items=500, batches=20)
TINY = Size(repetitions=1, calls={1: 5, 32: 40}, nodes=40, items=20, batches=2)


@define
class Stage:
    """
    A coordinator and an echo, each with its clients.
    """

    size: Size
    profile: Path | None
    _stack: ExitStack = field(factory=ExitStack)
    _pairs: dict[str, tuple[Child, Child]] = field(factory=dict, init=False)

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(TemporaryDirectory(prefix="benchmark-"))
        echo, coordinator = self._server("echo", folder), self._server("coordinate", folder, self.size.nodes)
        self._pairs = {
            "echo": (echo, self._client(f"{folder}/echo", ours=False)),
            "stock": (coordinator, self._client(f"{folder}/coordinate", ours=False)),
            "ours": (coordinator, self._client(f"{folder}/coordinate", ours=True)),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _server(self, what: str, folder: str, nodes: int | None = None) -> Child:
        server = self._stack.enter_context(Child("amp_server", self.profile))
        more = {} if nodes is None else {"nodes": nodes}
        server.ask(what, path=f"{folder}/{what}", **more)
        return server

    def _client(self, path: str, *, ours: bool) -> Child:
        client = self._stack.enter_context(Child("amp_client"))
        client.ask("connect", path=path, ours=ours)
        return client

    def calls(self, who: str, shape: str, depth: int) -> dict[str, float]:
        """
        One run of calls: how many in a second, and the server's CPU for each.
        """
        server, client = self._pairs[who]
        if who != "echo":
            server.ask("rest")
        server.ask("watch")
        calls = self.size.calls[depth]
        cost = client.ask("calls", shape=shape, calls=calls, depth=depth)
        used = server.ask("cost")
        return {"rate": calls / cost["wall"], "server": 1e6 * (used["user"] + used["system"]) / calls}

    def submit(self, batches: int, depth: int) -> dict[str, float]:
        """
        Submit to nodes that are off; how many are accepted in a second, and turned on in a second.
        """
        server, client = self._pairs["stock"]
        server.ask("rest")
        server.ask("watch")
        cost = client.ask("submit", batches=batches, items=self.size.items, depth=depth)
        answered = server.ask("cost")
        server.ask("rest")
        done = server.ask("cost")
        nodes = batches * self.size.items
        return {
            "rate": nodes / cost["wall"],
            "wall": 1e3 * cost["wall"],
            "server": 1e6 * (answered["user"] + answered["system"]) / nodes,
            "on": nodes / done["wall"],
            "whole": 1e6 * (done["user"] + done["system"]) / nodes,
            "accepted": cost["accepted"],
        }


def _calls(stage: Stage, size: Size) -> Table:
    samples, began = Samples(), load()
    for _ in range(size.repetitions):
        for shape in SHAPES:
            for depth in size.calls:
                for who in ("echo", "stock", "ours"):
                    samples.add(f"{shape} {depth} {who}", **stage.calls(who, shape, depth))
    table = Table("Calls on one connection (local socket, server in its own process)", _COLUMNS)
    for shape, what in SHAPES.items():
        for depth in size.calls:
            table.add(what.title, str(depth), *_row(samples, f"{shape} {depth}"))
    table.notes.append(
        f"The client of both is Twisted's own AMP, as a region has it, but for the last figure. Medians of "
        f"{size.repetitions} interleaved repetitions. Load average {began:.2f} before, {load():.2f} after."
    )
    return table


def _row(samples: Samples, name: str) -> Iterator[str]:
    echo, stock, ours = (f"{name} {who}" for who in ("echo", "stock", "ours"))
    yield figure(samples.of(echo, "rate"))
    yield figure(samples.of(stock, "rate"))
    yield f"{samples.of(stock, 'rate') / samples.of(echo, 'rate'):.2f}"
    yield figure(samples.of(echo, "server"))
    yield figure(samples.of(stock, "server"))
    yield figure(samples.of(ours, "rate"))
    yield f"{samples.of(stock, 'load'):.1f}"


def _submits(stage: Stage, size: Size) -> Table:
    samples, began = Samples(), load()
    kinds = {"one, to a coordinator at rest": (1, 1), "one after the other": (size.batches, 1)}
    kinds |= {"four in flight": (size.batches, 4)}
    for _ in range(size.repetitions):
        for title, (batches, depth) in kinds.items():
            samples.add(title, **stage.submit(batches, depth))
    columns = ("batches", "nodes", "accepted", "nodes/s accepted", "until the last answer, ms",
               "server µs/node", "and until all are on", "load")  # fmt: skip
    table = Table(f"`Submit` of {size.items} nodes that are off", columns)
    for title, (batches, _) in kinds.items():
        of = samples.of
        cells = (of(title, name) for name in ("accepted", "rate", "wall", "server", "whole"))
        table.add(title, f"{batches * size.items:,}", *map(figure, cells), f"{of(title, 'load'):.1f}")
    table.notes.append(
        f"Medians of {size.repetitions} repetitions. While later batches are accepted, the nodes of earlier "
        f"ones are being turned on. Load average {began:.2f} before, {load():.2f} after."
    )
    return table


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Single calls, then batches.
    """
    size = TINY if tiny else FULL
    with Stage(size, profile) as stage:
        yield _calls(stage, size)
        yield _submits(stage, size)
