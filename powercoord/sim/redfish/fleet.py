# SPDX-License-Identifier: MIT
"""
A fleet of simulated BMCs that speak Redfish, as one Twisted service.

::

    fleet = RedfishFleet(reactor, 3, latency=Latency(on=3.0))
    fleet.startService()                    # https://127.60.0.1 … 127.60.0.3, TCP port 8443
    fleet.set_faults(2, Faults(dead=True))
    fleet.bmcs[0].fail_next("reset", Faults(complain={"reset": "SYS518"}), times=2)
    ...                                     # talk Redfish to fleet.bmcs[0].url; its CA: fleet.certificate.pem
    fleet.power(0), fleet.bmcs[0].machine.commands, fleet.bmcs[0].record.commands
    await fleet.stopService()

Users are ``admin``/``secret``, ``oper``/``opsecret`` and ``reader``/``readsecret``.
"""

from __future__ import annotations

from random import Random
from typing import Any

from powercoord.sim.fleet import addresses
from powercoord.sim.machine import Latency, Machine
from powercoord.sim.places import REDFISH_BASE, REDFISH_PORT
from powercoord.sim.redfish.bmc import RedfishBmc
from powercoord.sim.redfish.profile import Profile
from powercoord.sim.web.fleet import WebFleet

PROMPT = Latency()
USUAL = Profile()


class RedfishFleet(WebFleet[RedfishBmc]):
    """
    ``count`` BMCs at ``base`` and the addresses after it, all on one TCP port.

    :param port: 0 takes a free one; see `port` after the start.
    :param systems: machines behind each BMC.
    :param latency: of every machine; a machine's own may be set later (``fleet.bmcs[3].machine.latency``).
    :param powered: the state in which machines start.
    :param tls: HTTPS with a certificate of its own; else HTTP.
    :param seed: of session tokens. Whoever knows it can log in.
    """

    def __init__(
        self,
        reactor: Any,
        count: int,
        *,
        base: str = REDFISH_BASE,
        port: int = REDFISH_PORT,
        systems: int = 1,
        latency: Latency = PROMPT,
        profile: Profile = USUAL,
        powered: bool = False,
        tls: bool = True,
        seed: int = 0,
    ) -> None:
        random_bytes = Random(seed).randbytes
        bmcs = [
            RedfishBmc(
                reactor,
                tuple(Machine(reactor, latency, powered) for _ in range(systems)),
                profile,
                address,
                random_bytes,
            )
            for address in addresses(base, count)
        ]
        super().__init__(reactor, bmcs, base=base, port=port, tls=tls)
