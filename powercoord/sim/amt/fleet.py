# SPDX-License-Identifier: MIT
"""
A fleet of simulated machines with Intel AMT, as one Twisted service.

::

    fleet = AmtFleet(reactor, 3, latency=Latency(on=3.0))
    fleet.startService()                    # http://127.70.0.1 … 127.70.0.3, TCP port 16992
    fleet.set_faults(2, Faults(complain={"power": "QuotaLimit"}))
    fleet.bmcs[0].fail_next("request", Faults(complain={"request": "4099"}))
    ...                                     # talk WS-Management to fleet.bmcs[0].url + "/wsman"
    fleet.power(0), fleet.bmcs[0].machine.commands, fleet.bmcs[0].record.commands
    await fleet.stopService()

The user is ``admin``/``secret``.
"""

from __future__ import annotations

from random import Random
from typing import Any

from powercoord.sim.amt.bmc import AmtBmc
from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Latency, Machine
from powercoord.sim.places import AMT_BASE, AMT_PORT, AMT_TLS_PORT
from powercoord.sim.web.fleet import WebFleet

PROMPT = Latency()
USUAL = Profile()


class AmtFleet(WebFleet[AmtBmc]):
    """
    ``count`` machines at ``base`` and the addresses after it, all on one TCP port.

    :param port: 0 takes a free one, None the one that AMT has; see `port` after the start.
    :param latency: of every machine; a machine's own may be set later (``fleet.bmcs[3].machine.latency``).
    :param powered: the state in which machines start.
    :param tls: HTTPS with a certificate of its own; else HTTP.
    :param seed: of nonces.
    """

    def __init__(
        self,
        reactor: Any,
        count: int,
        *,
        base: str = AMT_BASE,
        port: int | None = None,
        latency: Latency = PROMPT,
        profile: Profile = USUAL,
        powered: bool = False,
        tls: bool = False,
        seed: int = 0,
    ) -> None:
        random_bytes = Random(seed).randbytes
        bmcs = [
            AmtBmc(reactor, Machine(reactor, latency, powered), profile, random_bytes) for _ in range(count)
        ]
        usual = AMT_TLS_PORT if tls else AMT_PORT
        super().__init__(reactor, bmcs, base=base, port=usual if port is None else port, tls=tls)
