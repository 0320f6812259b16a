# SPDX-License-Identifier: MIT
"""
The Redfish driver keeps the contract of all drivers: with our simulator, on real sockets with TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from powercoord.drivers.redfish import RedfishSettings, driver
from powercoord.interfaces import IPowerDriver
from powercoord.sim.machine import Latency
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.redfish.profile import Profile, accounts_with
from powercoord.sim.web.faults import Faults
from powercoord.strict import Moment
from powercoord.testing.conformance import BOOT, Bench, Device, DriverConformance

reactor: Any = global_reactor
USERNAME, PASSWORD, WRONG = "admin", "plover-y2-xyzzy", "not-the-password"
CHANGES = frozenset({"reset", "boot"})


class RedfishDevice(Device):
    def __init__(self, fleet: RedfishFleet, machine: int) -> None:
        self._bmc = fleet.bmcs[0]
        self._number = machine
        self._machine = self._bmc.machines[machine]
        self.settings = RedfishSettings(
            address=self._bmc.url,
            username=USERNAME,
            password=PASSWORD,
            node_id=str(machine + 1),
            pin=fleet.certificate.fingerprint,
            timeout=Moment(0.6),
        )

    def power(self) -> bool:
        return self._machine.power()

    def set_power(self, on: bool) -> None:
        self._machine.press_button(on)

    def commands(self) -> Sequence[str]:
        verbs = (each.verb for each in self._machine.commands)
        return [BOOT if verb == "set-boot" else verb for verb in verbs]


class RedfishBench(Bench):
    """
    A simulated chassis with two systems, and a service that nobody answers for.
    """

    secrets = (PASSWORD, WRONG)

    def __init__(self) -> None:
        self.clock = reactor
        profile = Profile(accounts=accounts_with(PASSWORD))
        self._fleet = RedfishFleet(reactor, 2, base="127.61.61.1", systems=2, profile=profile)
        self._fleet.startService()
        self._bmc, nobody = self._fleet.bmcs
        nobody.set_faults(Faults(closed=True))
        self.device: RedfishDevice = RedfishDevice(self._fleet, 0)
        self._nobody = evolve(self.device.settings, address=nobody.url)
        self.context = {
            "power_address": self.device.settings.address,
            "power_user": USERNAME,
            "power_pass": PASSWORD,
            "node_id": "1",
            "power_pin": self.device.settings.pin,
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._fleet.stopService()

    def refused(self) -> RedfishSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._bmc.record.count("login")

    def unreachable(self) -> RedfishSettings:
        return self._nobody

    def nowhere(self) -> RedfishSettings:
        return evolve(self.device.settings, node_id="no-such-system")

    def neighbour(self) -> RedfishDevice:
        return RedfishDevice(self._fleet, 1)

    def mute(self) -> None:
        self._bmc.set_faults(Faults(dead=True))

    def lose_answers(self) -> None:
        self._bmc.set_faults(Faults(mute=CHANGES))

    def unmute(self) -> None:
        self._bmc.set_faults()

    def ignores_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=None)

    def obeys_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=0.0)


class RedfishConformanceTests(DriverConformance, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return RedfishBench()
