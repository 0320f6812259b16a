# SPDX-License-Identifier: MIT
"""
The IPMI driver keeps the contract of all drivers: on real sockets, with our simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from powercoord.drivers.ipmi import driver
from powercoord.drivers.ipmi.settings import IpmiSettings
from powercoord.interfaces import IPowerDriver
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.fleet import SimulatedBmc, SimulatedFleet
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Privilege, Profile, User
from powercoord.strict import Moment
from powercoord.testing.conformance import BOOT, Bench, Device, DriverConformance

reactor: Any = global_reactor
USERNAME, PASSWORD, WRONG = "admin", "xyzzy-plugh-17", "not-the-password"
#: As many session slots as half-made sessions may be left behind by what is torn down.
PROFILE = Profile(users=(User(USERNAME.encode(), PASSWORD.encode(), Privilege.ADMINISTRATOR),), slots=200)
COMMANDS = frozenset({"on", "off", "soft", "reset"})


class IpmiDevice(Device):
    def __init__(self, bmc: SimulatedBmc, port: int) -> None:
        self._bmc = bmc
        self.settings = IpmiSettings(
            address=f"{bmc.address}:{port}", username=USERNAME, password=PASSWORD, timeout=Moment(0.4)
        )

    def power(self) -> bool:
        return self._bmc.machine.power()

    def set_power(self, on: bool) -> None:
        self._bmc.machine.press_button(on)

    def commands(self) -> Sequence[str]:
        verbs = (command.verb for command in self._bmc.machine.commands)
        return [BOOT if verb == "set-boot" else verb for verb in verbs]


class IpmiBench(Bench):
    """
    Two simulated BMCs with a socket each; nobody listens for the second.
    """

    secrets = (PASSWORD, WRONG)

    def __init__(self) -> None:
        self.clock = reactor
        self._fleet = SimulatedFleet(reactor, 2, base="127.77.61.1", port=0, each=True, profile=PROFILE)
        self._fleet.startService()
        self._bmc, nobody = self._fleet.bmcs
        nobody.set_faults(Faults(closed=True))
        self.device: IpmiDevice = IpmiDevice(self._bmc, self._fleet.port)
        self._nobody = IpmiDevice(nobody, self._fleet.port).settings
        self.context = {
            "power_address": self.device.settings.address,
            "power_user": USERNAME,
            "power_pass": PASSWORD,
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._fleet.stopService()

    def refused(self) -> IpmiSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._bmc.bmc.sessions.begun

    def unreachable(self) -> IpmiSettings:
        return self._nobody

    def mute(self) -> None:
        self._bmc.set_faults(Faults(dead=True))

    def lose_answers(self) -> None:
        self._bmc.set_faults(Faults(mute=COMMANDS))

    def unmute(self) -> None:
        self._bmc.set_faults(HEALTHY)

    def ignores_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=None)

    def obeys_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=0.0)


class IpmiConformanceTests(DriverConformance, TestCase):
    timeout = 60
    absent = {
        "neighbour": "a BMC has one node",
        "nowhere": "a BMC has one node, so none can be missing",
    }

    async def make_bench(self) -> Bench:
        return IpmiBench()
