# SPDX-License-Identifier: MIT
"""
The chassis commands, IPMI 2.0 chapter 28.
"""

from __future__ import annotations

from types import MappingProxyType

from powercoord.drivers.ipmi.boot import (
    PARAMETER_BOOT_FLAGS,
    PARAMETER_INFO_ACKNOWLEDGE,
    PARAMETER_SET_IN_PROGRESS,
    PARAMETER_VALID_BIT_CLEARING,
    BootFlags,
    BootOption,
    GetBootOptions,
    SetBootOptions,
)
from powercoord.drivers.ipmi.chassis import ChassisControl, ChassisStatus, Control, GetChassisStatus
from powercoord.drivers.ipmi.completion import WRONG_STATE
from powercoord.drivers.ipmi.lan import NETFN_CHASSIS
from powercoord.sim.commands import VERBS, Call, Command, Refusal, Table
from powercoord.sim.profile import Privilege

UNSUPPORTED_PARAMETER = 0x80

#: Without a start within this time, boot flags are forgotten (table 28-14, parameter 3) …
BOOT_FLAGS_LAST = 60.0
#: … unless this bit of parameter 3 is set.
_KEEP_WITHOUT_START = 0x08

#: Parameters that can be set and read but are not kept, and how long they are.
_UNKEPT = MappingProxyType({PARAMETER_SET_IN_PROGRESS: 1, PARAMETER_INFO_ACKNOWLEDGE: 2})

#: A machine that is off has nothing to reset, nor an operating system to ask.
_ONLY_WHILE_ON = frozenset((Control.CYCLE, Control.RESET, Control.SOFT, Control.DIAGNOSTIC))


def _capabilities(_call: Call) -> bytes:
    return bytes((0, 0x20, 0x20, 0x20, 0x20))


def _status(call: Call) -> bytes:
    call.machine.reads += 1
    return ChassisStatus(int(call.machine.power())).encode()


def _control(call: Call) -> bytes:
    control = ChassisControl.decode(call.request.data).control
    if control in _ONLY_WHILE_ON and not call.machine.power():
        raise Refusal(WRONG_STATE)
    if call.faults.stuck:
        call.machine.record(VERBS[control])
    else:
        call.machine.perform(VERBS[control])
    return b""


def _identify(_call: Call) -> bytes:
    return b""


def _set_boot(call: Call) -> bytes:
    option = SetBootOptions.decode(call.request.data)
    if option.parameter == PARAMETER_BOOT_FLAGS:
        _set_boot_flags(call, BootFlags.decode(option.data))
    elif option.parameter == PARAMETER_VALID_BIT_CLEARING:
        call.machine.keeps_boot = bool(option.data[:1] and option.data[0] & _KEEP_WITHOUT_START)
    elif option.parameter not in _UNKEPT:
        raise Refusal(UNSUPPORTED_PARAMETER)
    return b""


def _set_boot_flags(call: Call, flags: BootFlags) -> None:
    call.machine.record("set-boot")
    if not call.faults.stuck:
        call.machine.set_boot(flags, BOOT_FLAGS_LAST)


def _get_boot(call: Call) -> bytes:
    parameter = GetBootOptions.decode(call.request.data).parameter
    if parameter == PARAMETER_BOOT_FLAGS:
        return BootOption(parameter, call.machine.boot_flags().encode()).encode()
    if parameter == PARAMETER_VALID_BIT_CLEARING:
        bits = _KEEP_WITHOUT_START * call.machine.keeps_boot
        return BootOption(parameter, bytes((bits,))).encode()
    if parameter not in _UNKEPT:
        raise Refusal(UNSUPPORTED_PARAMETER)
    return BootOption(parameter, bytes(_UNKEPT[parameter])).encode()


CHASSIS_COMMANDS: Table = MappingProxyType(
    {
        (NETFN_CHASSIS, 0x00): Command("capabilities", Privilege.USER, _capabilities),
        (NETFN_CHASSIS, GetChassisStatus.COMMAND): Command("status", Privilege.USER, _status),
        (NETFN_CHASSIS, ChassisControl.COMMAND): Command("control", Privilege.OPERATOR, _control),
        (NETFN_CHASSIS, 0x04): Command("identify", Privilege.OPERATOR, _identify),
        (NETFN_CHASSIS, SetBootOptions.COMMAND): Command("set-boot", Privilege.OPERATOR, _set_boot),
        (NETFN_CHASSIS, GetBootOptions.COMMAND): Command("get-boot", Privilege.OPERATOR, _get_boot),
    }
)
