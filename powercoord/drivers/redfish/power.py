# SPDX-License-Identifier: MIT
"""
Reading and changing a system's power: the schema ComputerSystem, its action Reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.drivers.redfish.bmc import Bmc, Errand
from powercoord.drivers.redfish.complaint import Complaint
from powercoord.drivers.redfish.discovery import Discovery
from powercoord.drivers.redfish.task import failure
from powercoord.errors import OperationCancelled, PowerActionError, PowerError, PowerRefusedError
from powercoord.model import Command, PowerState

#: What does each command, the best first. None of them removes power but ForceOff: a reset is no power
#: cycle, and a button that is pushed does whatever the machine makes of it.
RESETS: Mapping[Command, tuple[str, ...]] = MappingProxyType(
    {
        Command.ON: ("On", "ForceOn"),
        Command.OFF: ("ForceOff",),
        Command.SOFT: ("GracefulShutdown",),
        Command.RESET: ("ForceRestart",),
    }
)
_GOALS = {Command.ON: PowerState.ON, Command.OFF: PowerState.OFF, Command.SOFT: PowerState.OFF}

# How services say that a machine is what it was asked to become, or cannot become that from what it is.
_MAY_BE_THERE = (400, 409)


async def read_power(systems: Discovery, name: str, errand: Errand) -> PowerState:
    """
    Is it on or off? What is between them, or unknown, is no answer.
    """
    system = await systems.look(name, errand)
    state = system.power()
    if state is None:
        word = f"'{system.state}'" if system.state else "not told"
        raise PowerActionError(
            f"{systems.bmc.what}: power state of {system.id} is {word}: neither on nor off"
        )
    return state


async def change_power(systems: Discovery, name: str, errand: Errand, wanted: Command) -> None:
    """
    Send one power command and have it accepted.
    """
    bmc = systems.bmc
    system = await systems.known(name, errand)
    if not system.target:
        systems.forget(name)
        raise PowerRefusedError(
            f"{bmc.what}: {system.id} has no reset action, so its power cannot be changed"
        )
    offered = await systems.allowed(system, errand)
    body = {"ResetType": _reset_type(bmc, wanted, offered)}
    answer = await bmc.ask("POST", system.target, errand, body=body, changes=True)
    if answer.status in (404, 410):
        systems.forget(name)
        raise PowerActionError(f"{bmc.what}: the reset action of {system.id} is not where it was")
    complaint = bmc.complaint(answer)
    if answer.status < 300:
        failed = await failure(bmc, answer, errand) if answer.status == 202 else None
        if failed is None:
            return
        complaint = failed
    await _settle(systems, name, errand, wanted, complaint)


def _reset_type(bmc: Bmc, wanted: Command, offered: frozenset[str]) -> str:
    """
    The reset type to send; a service that does not say what it offers gets the best.
    """
    for each in RESETS[wanted]:
        if not offered or each in offered:
            return each
    known = ", ".join(sorted(offered))
    raise PowerRefusedError(f"{bmc.what}: offers nothing for '{wanted.value}'; it offers {known}")


async def _settle(
    systems: Discovery, name: str, errand: Errand, wanted: Command, complaint: Complaint
) -> None:
    """
    Decide what a no means: nothing, if the machine is what was asked for.
    """
    doing = f"{systems.bmc.what}: power command '{wanted.value}'"
    if complaint.status in _MAY_BE_THERE or complaint.task:
        state = await _state(systems, name, errand)
        if state is not None and state is _GOALS.get(wanted):
            return
        if wanted is Command.RESET and state is PowerState.OFF:
            raise PowerRefusedError(f"{doing}: it is off, and a reset needs it on ({complaint.words})")
    raise complaint.error(doing, sent=True)


async def _state(systems: Discovery, name: str, errand: Errand) -> PowerState | None:
    try:
        return (await systems.look(name, errand)).power()
    except (PowerError, OperationCancelled):
        return None
