# SPDX-License-Identifier: MIT
"""
The commands that a simulated BMC knows: their names, who may give them, and what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import frozen

from powercoord.drivers.ipmi.chassis import ChassisControl, Control
from powercoord.drivers.ipmi.completion import INSUFFICIENT_PRIVILEGE, INVALID_COMMAND
from powercoord.drivers.ipmi.lan import NETFN_CHASSIS, LanRequest
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.sim.faults import Faults
from powercoord.sim.machine import Machine
from powercoord.sim.profile import Profile
from powercoord.sim.sessions import Session, SessionTable

WRONG_LENGTH = 0xC7

#: The level of whoever has no session.
ANYBODY = 0


class Refusal(Exception):
    """
    A completion code other than 0.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"completion code {code:#04x}")
        self.code = code


@frozen
class Call:
    """
    One command and all that it may touch. ``session`` is None outside of any.
    """

    request: LanRequest
    session: Session | None
    table: SessionTable
    machine: Machine
    profile: Profile
    guid: bytes
    faults: Faults
    random_bytes: Callable[[int], bytes]


@frozen
class Command:
    """
    How a command is called, the least privilege for it, and what it does: it returns the answer's data.
    """

    name: str
    privilege: int
    run: Callable[[Call], bytes]


Table = Mapping[tuple[int, int], Command]


def perform(call: Call, command: Command | None) -> bytes:
    """
    Do it if its giver may, and if no fault forbids it.

    :raises Refusal: with the completion code.
    """
    if command is None:
        raise Refusal(INVALID_COMMAND)
    level = ANYBODY if call.session is None else call.session.privilege
    if level < command.privilege:
        raise Refusal(INSUFFICIENT_PRIVILEGE)
    name = name_of(call.request, command)
    if name in call.faults.refuse:
        raise Refusal(call.faults.refuse[name])
    try:
        return command.run(call)
    except MalformedDatagram:
        raise Refusal(WRONG_LENGTH) from None


#: The names of what Chassis Control can do, for the record and for faults.
VERBS: Mapping[int, str] = MappingProxyType(
    {
        Control.OFF: "off",
        Control.ON: "on",
        Control.CYCLE: "cycle",
        Control.RESET: "reset",
        Control.DIAGNOSTIC: "diag",
        Control.SOFT: "soft",
    }
)


def name_of(request: LanRequest, command: Command) -> str:
    """
    The name by which a fault knows a request: that of the command, and for Chassis Control its verb.
    """
    if (request.netfn, request.command) == (NETFN_CHASSIS, ChassisControl.COMMAND) and request.data:
        return VERBS.get(request.data[0] & 0x0F, command.name)
    return command.name
