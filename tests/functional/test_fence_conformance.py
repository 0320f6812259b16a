# SPDX-License-Identifier: MIT
"""
The fence agent driver keeps the contract of all drivers: the real `fence_ipmilan`, with `ipmi_sim`.
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
from powercoord.strict import Moment, Scalars
from powercoord.testing.conformance import Bench, Device, DriverConformance
from powercoord.testing.ipmi_sim import IpmiSimBmc, IpmiSimFleet, available
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME

reactor: Any = global_reactor
INSTALLED = Path("/usr/sbin/fence_ipmilan").exists()
WORDS = {("power", "1"): "on", ("power", "0"): "off", ("reset", "1"): "reset", ("shutdown", "1"): "soft"}


class FencedDevice(Device):
    def __init__(self, bmc: IpmiSimBmc) -> None:
        self._bmc = bmc
        self.settings = FenceAgentSettings(
            agent="ipmilan",
            address=bmc.address,
            username=USERNAME,
            password=PASSWORD,
            options=Scalars(MappingProxyType({"ipport": bmc.port})),
            timeout=Moment(8.0),
        )

    def power(self) -> bool:
        return self._bmc.machine.power()

    def set_power(self, on: bool) -> None:
        self._bmc.machine.set_power(on)

    def commands(self) -> Sequence[str]:
        return [
            WORDS[each.what, each.value] for each in self._bmc.machine.commands().commands if each.op == "set"
        ]


class FenceBench(Bench):
    """
    One BMC, and a port where nobody listens.

    Its password is not among the secrets: `fence_ipmilan` calls ipmitool with it.
    """

    step = 0.03
    most_steps = 3
    prompt = 0.8
    slack = 1.5
    quiet = 0.1

    def __init__(self) -> None:
        self.clock = reactor
        self._fleet = IpmiSimFleet(count=1, base="127.77.63.1")
        self._fleet.start()
        self.device: FencedDevice = FencedDevice(self._fleet.bmcs[0])
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
        self._fleet.stop()

    def unreachable(self) -> FenceAgentSettings:
        return evolve(self.device.settings, options=Scalars(MappingProxyType({"ipport": 9})))


class FenceConformanceTests(DriverConformance, TestCase):
    timeout = 120
    absent = {
        "refused": "fence_ipmilan does not tell a refused password from a status that it cannot read",
        "neighbour": "a BMC has one node",
        "nowhere": "a BMC has one node",
        "mute": "ipmi_sim cannot be silenced",
        "lose_answers": "ipmi_sim cannot be silenced",
        "obeys_soft": "agents have no soft stop",
    }

    async def make_bench(self) -> Bench:
        if not available() or not INSTALLED:
            raise SkipTest("ipmi_sim or fence_ipmilan is missing: Debian packages openipmi, fence-agents")
        return FenceBench()
