# SPDX-License-Identifier: MIT
"""
The registry alone, on machines that answer at once and a journal that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, gatherResults

from benchmarks.cost import Stopwatch
from benchmarks.heart import registry_of
from benchmarks.prompt import PATIENT, PromptDriver
from benchmarks.worker import Order, obey
from powercoord.interfaces import ITicket
from powercoord.model import Request, Verb
from powercoord.registry import Registry

_BATCH = 500


@define(eq=False)
class Heart:
    """
    Decides, and acts, and says what that cost.
    """

    _reactor: Any
    _driver: PromptDriver = field(init=False)
    _registry: Registry = field(init=False)
    _runs: count[int] = field(init=False, factory=count)
    _how: Mapping[str, Callable[[int], Sequence[Request]]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._how = {
            "apart": self._apart,
            "same": self._same,
            "alternate": self._alternate,
            "again": self._again,
        }

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"open": self.open, "decide": self.decide, "act": self.act, "query": self.query}

    async def open(self, nodes: int) -> dict[str, Any]:
        """
        Own so many nodes, whose machines are off.
        """
        self._driver = PromptDriver(self._reactor)
        timing = evolve(PATIENT, poll=0.001, minimum_off=0.01)
        self._registry = registry_of(
            self._reactor, self._driver.nodes(nodes, timing=timing), {"fake": self._driver}
        )
        return {}

    async def decide(self, how: str, requests: int, batch: int) -> dict[str, Any]:
        """
        Accept requests, so many with one call; what they ask for is done afterwards.
        """
        wanted = self._how[how](requests)
        watch = Stopwatch()
        tickets = await gatherResults(self._submitted(wanted, batch))
        cost = watch.cost()
        await self._registry.idle()
        self._driver.set_all(on=False)
        return {**cost.form(), "count": len(tickets)}

    async def act(self, verb: str, requests: int) -> dict[str, Any]:
        """
        From requests to outcomes, for a node each.
        """
        self._driver.set_all(on=Verb(verb) is not Verb.ON)
        wanted = self._apart(requests, Verb(verb))
        watch = Stopwatch()
        parts: list[list[ITicket]] = await gatherResults(self._submitted(wanted, _BATCH))
        await gatherResults([ticket.wait() for tickets in parts for ticket in tickets])
        cost = watch.cost()
        self._driver.set_all(on=False)
        return {**cost.form(), "count": requests}

    async def query(self, requests: int) -> dict[str, Any]:
        """
        Read nodes.
        """
        watch = Stopwatch()
        await gatherResults([self._registry.query(f"n{index}") for index in range(requests)])
        return {**watch.cost().form(), "count": requests}

    def _submitted(self, wanted: Sequence[Request], batch: int) -> list[Deferred[Any]]:
        if batch == 1:
            return [self._registry.submit(request) for request in wanted]
        parts = [wanted[first : first + batch] for first in range(0, len(wanted), batch)]
        return [self._registry.submit_many(part) for part in parts]

    def _apart(self, requests: int, verb: Verb = Verb.ON) -> Sequence[Request]:
        run = next(self._runs)
        return [
            Request(node=f"n{index}", verb=verb, request_id=f"{run}-{index}") for index in range(requests)
        ]

    def _same(self, requests: int) -> Sequence[Request]:
        return [evolve(request, node="n0") for request in self._apart(requests)]

    def _alternate(self, requests: int) -> Sequence[Request]:
        verbs = (Verb.ON, Verb.OFF)
        return [evolve(request, verb=verbs[index & 1]) for index, request in enumerate(self._same(requests))]

    def _again(self, requests: int) -> Sequence[Request]:
        return [evolve(request, request_id="again") for request in self._same(requests)]


if __name__ == "__main__":
    obey(lambda reactor: Heart(reactor).orders())
