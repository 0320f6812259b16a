# SPDX-License-Identifier: MIT
"""
A client on one connection: Twisted's own AMP, as a region has it, or ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.task import deferLater
from twisted.protocols.amp import AMP, Command

from benchmarks.amp_shapes import SHAPES
from benchmarks.cost import Stopwatch
from benchmarks.worker import Order, obey
from powercoord.api.commands import PowerOff
from powercoord.api.extensions import ListActions, Query, Submit
from powercoord.api.limits import Limits, PeerLog
from powercoord.api.wire import Link

Call = Callable[..., Deferred[Any]]
_PAGE = 500


@define(eq=False)
class Client:
    """
    Calls, and says how long that took.
    """

    _reactor: Any
    _call: Call = field(init=False)
    _batches: count[int] = field(init=False, factory=count)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {
            "connect": self.connect,
            "calls": self.calls,
            "submit": self.submit,
            "offs": self.offs,
            "query": self.query,
            "switch": self.switch,
        }

    async def connect(self, path: str, ours: bool = False) -> dict[str, Any]:
        """
        Connect to a local socket.
        """
        endpoint = clientFromString(self._reactor, f"unix:{path}")
        if ours:
            link = Link(self._reactor, {}, limits=Limits(), peers=PeerLog(self._reactor), new_reference=str)
            self._call = (await connectProtocol(endpoint, link)).call
        else:
            self._call = (await connectProtocol(endpoint, AMP())).callRemote
        return {}

    async def calls(self, shape: str, calls: int, depth: int) -> dict[str, Any]:
        """
        Call for one node after the other, so many calls at a time.
        """
        what = SHAPES[shape]
        command, arguments = what.command, what.arguments
        waiting = iter(range(calls))

        async def some() -> None:
            for index in waiting:
                await self._call(command, **arguments(index))

        watch = Stopwatch()
        await gatherResults([Deferred.fromCoroutine(some()) for _ in range(depth)])
        return dict(watch.cost().form())

    async def submit(self, batches: int, items: int, depth: int, verb: str = "on") -> dict[str, Any]:
        """
        Submit batches, so many at a time, each for other nodes; until the last is accepted.
        """
        run, waiting = next(self._batches), iter(range(batches))
        accepted = 0

        async def some() -> None:
            nonlocal accepted
            for index in waiting:
                names = [f"n{index * items + place}" for place in range(items)]
                batch = {"verb": verb, "items": names, "request_prefix": f"{run}-{index}-"}
                answer = await self._call(Submit, batch=batch)
                answers = answer["answers"] + (answer.get("rest") or [])
                accepted += sum("action" in each for each in answers)

        watch = Stopwatch()
        await gatherResults([Deferred.fromCoroutine(some()) for _ in range(depth)])
        return {**watch.cost().form(), "accepted": accepted}

    async def query(self, nodes: int, at_once: int) -> dict[str, Any]:
        """
        Read nodes in pages of 500, so many pages at a time.
        """
        pages = [
            [f"n{index}" for index in range(first, min(first + _PAGE, nodes))]
            for first in range(0, nodes, _PAGE)
        ]
        waiting = iter(pages)
        good = 0

        async def some() -> None:
            nonlocal good
            for names in waiting:
                answer = await self._call(Query, nodes=names)
                readings = answer["readings"] + (answer.get("rest") or [])
                good += sum(each["state"] in ("on", "off") for each in readings)

        watch = Stopwatch()
        await gatherResults([Deferred.fromCoroutine(some()) for _ in range(at_once)])
        return {**watch.cost().form(), "good": good}

    async def switch(self, nodes: int, at_once: int) -> dict[str, Any]:
        """
        Turn nodes on in batches of 500, and wait until nothing is in play.
        """
        watch = Stopwatch()
        size = min(_PAGE, nodes)
        await self.submit(-(-nodes // size), size, at_once)
        while (await self._call(ListActions))["page"]:
            await deferLater(self._reactor, 0.1)
        answers = [await self._call(Query, nodes=[f"n{index}"], fresh=False) for index in range(nodes)]
        good = sum(answer["readings"][0]["state"] == "on" for answer in answers)
        return {**watch.cost().form(), "good": good}

    async def offs(self, nodes: list[str], pause: float) -> dict[str, Any]:
        """
        Ask for offs, with a pause between two; when each was sent, on the clock of all processes.
        """
        sent: dict[str, float] = {}
        answers: list[Deferred[Any]] = []
        command: type[Command] = PowerOff
        for name in nodes:
            sent[name] = self._reactor.seconds()
            answers.append(self._call(command, system_id=name, hostname=name, power_type="fake", context={}))
            await deferLater(self._reactor, pause)
        await gatherResults(answers)
        return {"sent": sent}


if __name__ == "__main__":
    obey(lambda reactor: Client(reactor).orders())
