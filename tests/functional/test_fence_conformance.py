# SPDX-License-Identifier: MIT
"""
The fence agent driver keeps the contract of all drivers: the real `fence_ipmilan`, with our simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.fence import FenceAgentSettings, driver
from powercoord.interfaces import IPowerDriver
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.fleet import SimulatedBmc, SimulatedFleet
from powercoord.sim.profile import Privilege, Profile, User
from powercoord.strict import Moment, Scalars
from powercoord.testing.conformance import Bench, Device, DriverConformance

reactor: Any = global_reactor
INSTALLED = Path("/usr/sbin/fence_ipmilan").exists()
USERNAME, PASSWORD, WRONG = "admin", "xyzzy-plugh-17", "not-the-password"
PROFILE = Profile(users=(User(USERNAME.encode(), PASSWORD.encode(), Privilege.ADMINISTRATOR),), slots=200)
COMMANDS = frozenset({"on", "off"})


class FencedDevice(Device):
    def __init__(self, bmc: SimulatedBmc, port: int) -> None:
        self._bmc = bmc
        self.settings = FenceAgentSettings(
            agent="ipmilan",
            address=bmc.address,
            username=USERNAME,
            password=PASSWORD,
            options=Scalars(MappingProxyType({"ipport": port, "lanplus": True, "cipher": "17"})),
            timeout=Moment(8.0),
        )

    def power(self) -> bool:
        return self._bmc.machine.power()

    def set_power(self, on: bool) -> None:
        self._bmc.machine.press_button(on)

    def commands(self) -> Sequence[str]:
        return [command.verb for command in self._bmc.machine.commands]


class FenceBench(Bench):
    """
    One BMC, and another where nobody listens.

    Its password is not among the secrets: `fence_ipmilan` calls ipmitool with it.
    """

    step = 0.03
    most_steps = 3
    prompt = 0.8
    slack = 1.5
    quiet = 0.1

    def __init__(self) -> None:
        self.clock = reactor
        self._fleet = SimulatedFleet(reactor, 2, base="127.77.63.1", port=0, each=True, profile=PROFILE)
        self._fleet.startService()
        self._bmc, nobody = self._fleet.bmcs
        nobody.set_faults(Faults(closed=True))
        self.device: FencedDevice = FencedDevice(self._bmc, self._fleet.port)
        self._nobody = FencedDevice(nobody, self._fleet.port).settings
        self.context = {
            "fence_agent": "ipmilan",
            "power_address": self.device.settings.address,
            "power_user": USERNAME,
            "power_pass": PASSWORD,
            "fence_options": dict(self.device.settings.options),
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._fleet.stopService()

    def refused(self) -> FenceAgentSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._bmc.bmc.sessions.begun

    def unreachable(self) -> FenceAgentSettings:
        return self._nobody

    def mute(self) -> None:
        self._bmc.set_faults(Faults(dead=True))

    def lose_answers(self) -> None:
        self._bmc.set_faults(Faults(mute=COMMANDS))

    def unmute(self) -> None:
        self._bmc.set_faults(HEALTHY)

    def ignores_soft(self) -> None:
        """
        It is never asked for one: agents have none.
        """


class FenceConformanceTests(DriverConformance, TestCase):
    timeout = 120
    absent = {
        "neighbour": "a BMC has one node",
        "nowhere": "a BMC has one node",
        "obeys_soft": "agents have no soft stop",
    }

    async def make_bench(self) -> Bench:
        if not INSTALLED:
            raise SkipTest("fence_ipmilan is not installed: it comes with the Debian package fence-agents")
        return FenceBench()
