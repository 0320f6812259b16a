# SPDX-License-Identifier: MIT
"""
A registry with our driver of Redfish or AMT, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from benchmarks.cost import Stopwatch
from benchmarks.heart import registry_of
from benchmarks.worker import Order, obey
from powercoord.drivers import amt, redfish
from powercoord.interfaces import IPowerDriver
from powercoord.model import Done, Node, PowerState, Request, Target, Timing, Verb
from powercoord.registry import Registry


@define(eq=False)
class Ours:
    """
    Does what is asked, through all of the registry.
    """

    _reactor: Any
    _driver: Any = field(init=False)
    _registry: Registry = field(init=False)
    _numbers: Any = field(init=False, factory=lambda: count(1))

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"open": self.open, "do": self.do, "close": self.close}

    async def open(
        self,
        kind: str,
        url: str,
        pin: str,
        events: bool,
        scale: float,
        authority: str,
    ) -> dict[str, Any]:
        """
        Make it; nothing is sent yet.

        :param scale: what the usual pauses are multiplied by.
        """
        target = self._redfish(url, pin, events) if kind == "redfish" else self._amt(url)
        usual = Timing()
        timing = Timing(
            poll=scale * usual.poll,
            poll_longest=scale * usual.poll_longest,
            minimum_off=scale * usual.minimum_off,
        )
        drivers: Mapping[str, IPowerDriver] = {kind: self._driver}
        self._registry = registry_of(self._reactor, [Node("n", target, timing=timing)], drivers)
        return {}

    async def do(self, verb: str) -> dict[str, Any]:
        """
        Do it, until it is seen.
        """
        watch = Stopwatch()
        if verb == "query":
            seen = await self._registry.query("n")
            known = seen.state in (PowerState.ON, PowerState.OFF)
            return {**watch.cost().form(), "done": known, "words": repr(seen)}
        request = Request(node="n", verb=Verb(verb), request_id=f"r{next(self._numbers)}")
        outcome = await (await self._registry.submit(request)).wait()
        return {**watch.cost().form(), "done": isinstance(outcome, Done), "words": repr(outcome)}

    async def close(self) -> dict[str, Any]:
        """
        Hang up.
        """
        await self._registry.stop("it is over")
        await self._driver.close()
        return {}

    def _redfish(self, url: str, pin: str, events: bool) -> Target:
        self._driver = redfish.driver(self._reactor)
        settings = redfish.RedfishSettings(
            address=url,
            username="admin",
            password="secret",
            pin=pin,
            events=events,
        )
        return self._driver.target(settings)  # type: ignore[no-any-return]

    def _amt(self, url: str) -> Target:
        place = urlsplit(url)
        self._driver = amt.driver(self._reactor)
        settings = amt.AmtSettings(address=place.hostname or "", port=place.port or 0, password="secret")
        return self._driver.target(settings)  # type: ignore[no-any-return]


if __name__ == "__main__":
    obey(lambda reactor: Ours(reactor).orders())
