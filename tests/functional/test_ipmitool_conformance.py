# SPDX-License-Identifier: MIT
"""
The ipmitool driver keeps the contract of all drivers: the real program, with our simulator.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from shutil import which
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.ipmitool import IpmitoolSettings, driver
from powercoord.interfaces import IPowerDriver
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.fleet import SimulatedBmc, SimulatedFleet
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Privilege, Profile, User
from powercoord.strict import Moment
from powercoord.testing.conformance import BOOT, Bench, Device, DriverConformance

reactor: Any = global_reactor
USERNAME, PASSWORD, WRONG = "admin", "xyzzy-plugh-17", "not-the-password"
PROFILE = Profile(users=(User(USERNAME.encode(), PASSWORD.encode(), Privilege.ADMINISTRATOR),), slots=200)
COMMANDS = frozenset({"on", "off", "soft", "reset"})


class IpmitoolDevice(Device):
    def __init__(self, bmc: SimulatedBmc, port: int) -> None:
        self._bmc = bmc
        self.settings = IpmitoolSettings(
            address=f"{bmc.address}:{port}",
            username=USERNAME,
            password=PASSWORD,
            cipher_suite=17,
            timeout=Moment(2.4),
        )

    def power(self) -> bool:
        return self._bmc.machine.power()

    def set_power(self, on: bool) -> None:
        self._bmc.machine.press_button(on)

    def commands(self) -> Sequence[str]:
        verbs = (command.verb for command in self._bmc.machine.commands)
        return [BOOT if verb == "set-boot" else verb for verb in verbs]


class IpmitoolBench(Bench):
    """
    Two simulated BMCs with a socket each; nobody listens for the second.
    """

    secrets = (PASSWORD, WRONG)
    step = 0.02
    most_steps = 3
    prompt = 0.8
    slack = 1.5
    quiet = 0.1

    def __init__(self) -> None:
        self.clock = reactor
        self._fleet = SimulatedFleet(reactor, 2, base="127.77.62.1", port=0, each=True, profile=PROFILE)
        self._fleet.startService()
        self._bmc, nobody = self._fleet.bmcs
        nobody.set_faults(Faults(closed=True))
        self.device: IpmitoolDevice = IpmitoolDevice(self._bmc, self._fleet.port)
        self._nobody = IpmitoolDevice(nobody, self._fleet.port).settings
        self.context = {
            "power_address": self.device.settings.address,
            "power_user": USERNAME,
            "power_pass": PASSWORD,
            "cipher_suite_id": "17",
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._fleet.stopService()

    def refused(self) -> IpmitoolSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._bmc.bmc.sessions.begun

    def unreachable(self) -> IpmitoolSettings:
        return self._nobody

    def mute(self) -> None:
        self._bmc.set_faults(Faults(dead=True))

    def lose_answers(self) -> None:
        self._bmc.set_faults(Faults(mute=COMMANDS))

    def unmute(self) -> None:
        self._bmc.set_faults(HEALTHY)

    def obeys_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=0.0)

    def ignores_soft(self) -> None:
        self._bmc.machine.latency = Latency(soft=None)


class IpmitoolConformanceTests(DriverConformance, TestCase):
    timeout = 120
    absent = {
        "neighbour": "a BMC has one node, but for a bridge",
        "nowhere": "a BMC has one node, but for a bridge",
    }

    async def make_bench(self) -> Bench:
        if which("ipmitool", path=os.environ["PATH"] + ":/usr/bin") is None:
            raise SkipTest("ipmitool is not installed: it comes with the Debian package ipmitool")
        return IpmitoolBench()
