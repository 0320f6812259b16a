# SPDX-License-Identifier: MIT
"""
A coordinator on a local socket, or a bare AMP echo.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from benchmarks.amp_shapes import echoes
from benchmarks.cost import Stopwatch
from benchmarks.heart import registry_of
from benchmarks.pauses import Pauses, collect_rarely
from benchmarks.prompt import PromptDriver, address
from benchmarks.worker import Order, obey
from powercoord.api.reception import Coordinator, Door, Reception
from powercoord.entries import Entered, Entry
from powercoord.model import Limit, Phase, Request, Verb
from powercoord.registry import Limits, Registry


@define(eq=False)
class Server:
    """
    Listens, and says what that cost.
    """

    _reactor: Any
    _driver: PromptDriver = field(init=False)
    _registry: Registry = field(init=False)
    _names: dict[str, str] = field(init=False)
    _endpoints: dict[str, str] = field(init=False)
    _pauses: Pauses = field(init=False, factory=Pauses)
    _watch: Stopwatch = field(init=False, factory=Stopwatch)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {
            "echo": self.echo,
            "coordinate": self.coordinate,
            "rest": self.rest,
            "watch": self.watch,
            "cost": self.cost,
            "fill": self.fill,
            "offs": self.offs,
            "seen": self.seen,
        }

    async def echo(self, path: str) -> dict[str, Any]:
        """
        Answer every command at once with the same words.
        """
        await serverFromString(self._reactor, f"unix:{path}").listen(Factory.forProtocol(echoes()))
        return {}

    async def coordinate(
        self, path: str, nodes: int, max_starting: int | None = None, deaf: bool = False, rarely: bool = False
    ) -> dict[str, Any]:
        """
        Be a coordinator of so many nodes.

        :param deaf: machines accept a power on and stay off.
        :param rarely: collect garbage rarely, and never look at what is there from the start.
        """
        self._driver = PromptDriver(self._reactor, deaf=deaf)
        limits = Limits(fleet=Limit(max_starting))
        fleet = self._driver.nodes(nodes)
        self._names = {node.target.endpoint: node.name for node in fleet}
        self._endpoints = {name: endpoint for endpoint, name in self._names.items()}
        self._registry = registry_of(self._reactor, fleet, {"fake": self._driver}, limits)
        numbers = count(1)
        shared = Coordinator(
            registry=self._registry,
            drivers={"fake": self._driver},
            clock=self._reactor,
            ident="benchmark",
            new_id=lambda: f"q-{next(numbers)}",
            random=os.urandom,
        )
        door = Door(Reception(shared))
        await serverFromString(self._reactor, f"unix:{path}").listen(door)
        if rarely:
            collect_rarely()
        return {}

    async def rest(self) -> dict[str, Any]:
        """
        Wait until nothing is in play, then turn every machine off behind the registry's back.
        """
        await self._registry.idle()
        self._driver.set_all(on=False)
        return {}

    async def fill(self, nodes: int, submit: bool) -> dict[str, Any]:
        """
        That many machines are off and all others on; have the former asked to go on, or leave that to others.
        """
        self._driver.set_all(on=True)
        for index in range(nodes):
            self._driver.machines[f"fake:{address(index)}"].on = False
        requests = [Request(node=f"n{index}", verb=Verb.ON, request_id=f"f{index}") for index in range(nodes)]
        for first in range(0, nodes if submit else 0, 500):
            await self._registry.submit_many(requests[first : first + 500])
        return {}

    async def offs(self, nodes: list[str], pause: float) -> dict[str, Any]:
        """
        Ask the registry itself for offs, with a pause between two; when each was asked for.
        """
        asked: dict[str, float] = {}
        accepted = []
        for name in nodes:
            asked[name] = self._reactor.seconds()
            request = Request(node=name, verb=Verb.OFF, request_id=f"o{name}")
            accepted.append(self._registry.submit(request))
            await deferLater(self._reactor, pause)
        tickets = await gatherResults(accepted)
        await gatherResults([ticket.wait() for ticket in tickets])
        return {"sent": asked}

    async def watch(self, notice: bool = False) -> dict[str, Any]:
        """
        Count from now.

        :param notice: note when offs reach the driver, and the pauses of the garbage collector.
        """
        if notice:
            self._registry.subscribe(self._happened)
            self._pauses.watch()
        self._watch = Stopwatch()
        return {}

    def _happened(self, _: int, entries: Sequence[Entry]) -> None:
        """
        When an off has its turn, the next call of its node's driver is the off's own.
        """
        for entry in entries:
            if isinstance(entry, Entered) and entry.phase is Phase.ADMITTED and entry.half == "off":
                self._driver.expected.add(self._endpoints[entry.node])

    async def cost(self) -> dict[str, Any]:
        """
        What it cost since `watch`.
        """
        return dict(self._watch.cost().form())

    async def seen(self) -> dict[str, Any]:
        """
        When machines were first spoken to, and told to go off, on the clock of all processes.
        """
        return {
            "called": {self._names[endpoint]: at for endpoint, at in self._driver.called.items()},
            "told_off": {self._names[endpoint]: at for endpoint, at in self._driver.told_off.items()},
            "busy": len(self._registry.busy()),
            "pauses": self._pauses.seconds,
        }


if __name__ == "__main__":
    obey(lambda reactor: Server(reactor).orders())
