# SPDX-License-Identifier: MIT
"""
The AMT driver keeps the contract of all drivers: on real sockets, with our simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from powercoord.drivers.amt import AmtSettings, driver
from powercoord.drivers.amt.settings import Tls
from powercoord.interfaces import IPowerDriver
from powercoord.sim.amt.bmc import AmtBmc
from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Latency
from powercoord.sim.web.faults import Faults
from powercoord.sim.web.fleet import Station
from powercoord.strict import Moment
from powercoord.testing.conformance import BOOT, Bench, Device, DriverConformance

reactor: Any = global_reactor
PASSWORD, WRONG = "xyzzy-plugh-17", "not-the-password"
COMMANDS = {"2": "on", "8": "off", "12": "soft", "10": "reset"}
CHANGES = frozenset({"request", "boot-order", "boot-role", "boot-settings-put"})


class AmtDevice(Device):
    def __init__(self, station: Station[AmtBmc]) -> None:
        self._station = station
        self.settings = AmtSettings(
            address=station.address, port=station.port, tls=Tls.OFF, password=PASSWORD, timeout=Moment(0.6)
        )

    def power(self) -> bool:
        return self._station.machine.power()

    def set_power(self, on: bool) -> None:
        self._station.machine.press_button(on)

    def commands(self) -> Sequence[str]:
        record = self._station.record
        return [COMMANDS[asked] for asked in record.asked_for()] + [BOOT] * record.count("boot-role")


class AmtBench(Bench):
    """
    Two simulated machines; nobody listens for the second.
    """

    secrets = (PASSWORD, WRONG)

    def __init__(self) -> None:
        self.clock = reactor
        self._fleet = AmtFleet(reactor, 2, base="127.70.61.1", port=0, profile=Profile(password=PASSWORD))
        self._fleet.startService()
        self._station, nobody = self._fleet.bmcs
        nobody.set_faults(Faults(closed=True))
        self.device: AmtDevice = AmtDevice(self._station)
        self._nobody = AmtDevice(nobody).settings
        self.context = {
            "power_address": self._station.address,
            "power_pass": PASSWORD,
            "port": self._station.port,
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._fleet.stopService()

    def refused(self) -> AmtSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._station.record.wrong_passwords

    def unreachable(self) -> AmtSettings:
        return self._nobody

    def mute(self) -> None:
        self._station.set_faults(Faults(dead=True))
        self._station.hang_up()

    def lose_answers(self) -> None:
        self._station.set_faults(Faults(mute=CHANGES))

    def unmute(self) -> None:
        self._station.set_faults()

    def ignores_soft(self) -> None:
        self._station.machine.latency = Latency(soft=None)

    def obeys_soft(self) -> None:
        self._station.machine.latency = Latency(soft=0.0)


class AmtConformanceTests(DriverConformance, TestCase):
    timeout = 60
    absent = {
        "neighbour": "a device is one machine",
        "nowhere": "a device is one machine, so none can be missing",
    }

    async def make_bench(self) -> Bench:
        return AmtBench()
