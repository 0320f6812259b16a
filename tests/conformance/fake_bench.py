# SPDX-License-Identifier: MIT
"""
A bench in memory: the driver and its machines are values, and time is a clock that the suite turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve
from twisted.internet.task import Clock

from powercoord.interfaces import IPowerDriver
from powercoord.testing.conformance import Bench, Device
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings, Fault

PASSWORD = "correct horse"
SETTINGS = FakeSettings(address="bmc1", outlet="1", password=PASSWORD)
NAME = "bmc1/1"


class FakeDevice(Device):
    """
    A machine of `FakeDriver`.
    """

    def __init__(self, machine: FakeMachine, settings: FakeSettings) -> None:
        self._machine = machine
        self.settings = settings

    def power(self) -> bool:
        return self._machine.on

    def set_power(self, on: bool) -> None:
        self._machine.on = on

    def commands(self) -> Sequence[str]:
        return ["boot" if what.startswith("boot ") else what for _, what in self._machine.commands]


class FakeBench(Bench):
    """
    Two machines in memory.

    :param make: makes the driver of a clock and the machines.
    """

    step = 0.002
    slack = 0.01
    prompt = 0.0
    quiet = 5.0
    secrets = (PASSWORD,)
    context = {"power_address": "bmc1", "outlet": "1", "power_pass": PASSWORD}

    def __init__(self, make: Callable[..., FakeDriver] = FakeDriver) -> None:
        self.clock = Clock()
        self._make = make
        self._machines = {NAME: FakeMachine(), "bmc1/2": FakeMachine()}
        self.device = FakeDevice(self._machines[NAME], SETTINGS)
        self._lost: list[Fault] = []

    def make_driver(self) -> IPowerDriver:
        return self._make(self.clock, machines=self._machines)

    def neighbour(self) -> Device:
        return FakeDevice(self._machines["bmc1/2"], evolve(SETTINGS, outlet="2"))

    def obeys_soft(self) -> None:
        self._machines[NAME].obeys_soft = True

    def mute(self) -> None:
        self._always(Fault.LOST_REQUEST, Fault.LOST_REQUEST)

    def lose_answers(self) -> None:
        self._always(Fault.LOST_ANSWER, None)

    def unmute(self) -> None:
        machine = self._machines[NAME]
        machine.faults.clear()
        machine.read_faults.clear()

    def _always(self, of_commands: Fault, of_reads: Fault | None) -> None:
        machine = self._machines[NAME]
        machine.faults = [of_commands] * 20
        machine.read_faults = [of_reads] * 20 if of_reads else []
