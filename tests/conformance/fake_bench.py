# SPDX-License-Identifier: MIT
"""
A bench in memory: the driver and its machines are values, and time is a clock that the suite turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet.task import Clock

from powercoord.errors import PowerAuthError, PowerConnError, PowerSettingError
from powercoord.interfaces import IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target
from powercoord.testing.conformance import Bench, Device
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings, Fault

PASSWORD, WRONG = "correct horse", "wrong mule"
SETTINGS = FakeSettings(address="bmc1", outlet="1", password=PASSWORD)
NOBODY = FakeSettings(address="nowhere", outlet="1", password=PASSWORD)
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


@define(eq=False)
class GuardedDriver(FakeDriver):
    """
    `FakeDriver` with all that can go wrong before a command leaves.

    :param gate: who logged in, and with what; the devices' own record.
    """

    gate: list[str] = field(factory=list)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        await self.enter(target, operation)
        return await super().read(target, operation)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await self.enter(target, operation)
        await super().command(target, command, operation)

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        await self.enter(target, operation)
        await super().set_boot(target, boot, operation)

    async def enter(self, target: Target, operation: IOperation) -> None:
        """
        Is there somebody, and does he let us in?
        """
        settings: Any = target.settings
        if settings.address == NOBODY.address:
            raise self.nobody(target)
        self.gate.append(settings.password)
        if settings.password != PASSWORD:
            raise self.refusal(target)
        if f"{settings.address}/{settings.outlet}" not in self.machines:
            raise self.unknown(target)

    def nobody(self, target: Target) -> Exception:
        return PowerConnError(f"{target.endpoint}: connection refused")

    def refusal(self, target: Target) -> Exception:
        return PowerAuthError(f"{target.endpoint}: wrong password")

    def unknown(self, target: Target) -> Exception:
        return PowerSettingError(f"{target.endpoint} has no outlet '{target.selector}'")


class FakeBench(Bench):
    """
    Two machines in memory.

    :param make: makes the driver of a clock and the machines.
    """

    step = 0.002
    slack = 0.01
    prompt = 0.0
    quiet = 5.0
    secrets = (PASSWORD, WRONG)
    context = {"power_address": "bmc1", "outlet": "1", "power_pass": PASSWORD}

    def __init__(self, make: Callable[..., GuardedDriver] = GuardedDriver) -> None:
        self.clock = Clock()
        self._make = make
        self._machines = {NAME: FakeMachine(), "bmc1/2": FakeMachine()}
        self._gate: list[str] = []
        self.device = FakeDevice(self._machines[NAME], SETTINGS)

    def make_driver(self) -> IPowerDriver:
        return self._make(self.clock, machines=self._machines, gate=self._gate)

    def refused(self) -> FakeSettings:
        return evolve(SETTINGS, password=WRONG)

    def logins(self) -> int:
        return len(self._gate)

    def unreachable(self) -> FakeSettings:
        return NOBODY

    def nowhere(self) -> FakeSettings:
        return evolve(SETTINGS, outlet="17")

    def neighbour(self) -> Device:
        return FakeDevice(self._machines["bmc1/2"], evolve(SETTINGS, outlet="2"))

    def obeys_soft(self) -> None:
        self._machines[NAME].obeys_soft = True

    def ignores_soft(self) -> None:
        self._machines[NAME].obeys_soft = False

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
