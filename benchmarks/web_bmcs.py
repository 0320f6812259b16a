# SPDX-License-Identifier: MIT
"""
Simulated BMCs that speak HTTP, in a process of their own: who counts is nobody who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import maybeDeferred

from benchmarks.worker import Order, obey
from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.machine import Latency
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.web.record import Record


@define(eq=False)
class Bmcs:
    """
    One for each client.
    """

    _reactor: Any
    _fleet: Any = field(init=False)
    _counted: list[Sequence[int]] = field(init=False)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"serve": self.serve, "counts": self.counts, "close": self.close}

    async def serve(self, kind: str, count: int, base: str, latency: float, authority: str) -> dict[str, Any]:
        """
        Answer: Redfish with TLS on a free port, AMT without on the port that all clients of it insist on.

        :param authority: the file for the certificate.
        """
        takes = Latency(on=latency, off=latency)
        if kind == "redfish":
            self._fleet = RedfishFleet(self._reactor, count, base=base, port=0, latency=takes)
        else:
            self._fleet = AmtFleet(self._reactor, count, base=base, latency=takes)
        self._fleet.startService()
        self._counted = [(0, 0)] * count
        certificate = self._fleet.certificate
        if certificate is not None:
            Path(authority).write_bytes(certificate.pem)  # noqa: ASYNC240 - nobody waits for this process
        return {
            "urls": [bmc.url for bmc in self._fleet.bmcs],
            "pin": "" if certificate is None else certificate.fingerprint,
        }

    async def counts(self) -> dict[str, Any]:
        """
        What reached each since the last time, and whether its machine is on.
        """
        now = [_of(bmc.record) for bmc in self._fleet.bmcs]
        since = [
            [new - old for new, old in zip(*each, strict=True)]
            for each in zip(now, self._counted, strict=True)
        ]
        self._counted = now
        return {"counts": since, "on": [bmc.machine.power() for bmc in self._fleet.bmcs]}

    async def close(self) -> dict[str, Any]:
        """
        Answer no more.
        """
        await maybeDeferred(self._fleet.stopService)
        return {}


def _of(record: Record) -> Sequence[int]:
    return record.connections, record.asked


if __name__ == "__main__":
    obey(lambda reactor: Bmcs(reactor).orders())
