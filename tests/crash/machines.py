# SPDX-License-Identifier: MIT
"""
What the simulated BMCs know of what was done to their machines: the witness that no crash touches.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from powercoord.sim.fleet import SimulatedBmc, SimulatedFleet
from powercoord.testing.chassis_script import ChassisCommand, MachineFiles
from powercoord.testing.ipmi_sim import IpmiSimFleet


@frozen
class Received:
    """
    One command that changes something, as a BMC received it; ``at`` in seconds of the wall clock.
    """

    at: float
    verb: str


@frozen
class Witness:
    """
    What one BMC saw.

    :param began: whether its machine was on before anything was asked.
    :param on: whether it is on now.
    :param reliable: whether it answers everything; a read of another one may fail, and is recorded as that.
    """

    began: bool
    received: Sequence[Received]
    on: bool
    reliable: bool = True

    def count(self, verb: str) -> int:
        """
        How often it received this.
        """
        return sum(each.verb == verb for each in self.received)


class Machines(Protocol):
    """
    A fleet that can be called as witness.

    :ivar blur: by how many seconds it may be wrong about the time.
    """

    @property
    def blur(self) -> float: ...

    def witnesses(self) -> Mapping[str, Witness]:
        """
        What each BMC saw, by the name of its node.
        """


@frozen(eq=False)
class Simulated:
    """
    Our own simulated fleet, in this process.

    :param began: which machines were on at first, by name, in the order of the BMCs.
    """

    fleet: SimulatedFleet
    began: Mapping[str, bool]
    blur: float = 0.001

    def witnesses(self) -> Mapping[str, Witness]:
        """
        Its clock is the reactor's, which is the wall clock.
        """
        return {
            name: self._witness(bmc, on)
            for (name, on), bmc in zip(self.began.items(), self.fleet.bmcs, strict=True)
        }

    def _witness(self, bmc: SimulatedBmc, began: bool) -> Witness:
        received = [Received(each.at, each.verb) for each in bmc.machine.commands]
        reliable = not (bmc.faults.loss_in or bmc.faults.loss_out)
        return Witness(began, received, bmc.machine.power(), reliable)


_VERBS = {("power", "1"): "on", ("power", "0"): "off", ("reset", ""): "reset", ("shutdown", ""): "soft"}


@frozen(eq=False)
class Foreign:
    """
    OpenIPMI's `ipmi_sim`, in processes of its own.

    :param began: which machines were on at first, by name, in the order of the fleets and their BMCs.
    """

    fleets: Sequence[IpmiSimFleet]
    began: Mapping[str, bool]
    blur: float = 0.015  # its log is in steps of 10 ms, so that all seems to come earlier than it did

    def witnesses(self) -> Mapping[str, Witness]:
        """
        Their clock counts from the start of this computer.
        """
        since = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        bmcs = [bmc for fleet in self.fleets for bmc in fleet.bmcs]
        return {
            name: _witness(bmc.machine, on, since)
            for (name, on), bmc in zip(self.began.items(), bmcs, strict=True)
        }


def _witness(machine: MachineFiles, began: bool, since: float) -> Witness:
    changes = machine.commands().changes
    received = [Received(since + each.at, verb) for each in changes if (verb := _verb(each))]
    return Witness(began, received, machine.power())


def _verb(command: ChassisCommand) -> str | None:
    if command.what == "boot":
        return "set-boot"
    value = command.value if command.what == "power" else ""
    return _VERBS.get((command.what, value))
