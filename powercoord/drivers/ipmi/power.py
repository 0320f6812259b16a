# SPDX-License-Identifier: MIT
"""
The scripts of a driver's operations: read, command, next boot device.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.drivers.ipmi import boot
from powercoord.drivers.ipmi.ask import Command, Reply, Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.boot import BootFlags, BootOption, Device, GetBootOptions, SetBootOptions
from powercoord.drivers.ipmi.channel import PRIVILEGE_OPERATOR
from powercoord.drivers.ipmi.chassis import ChassisControl, ChassisStatus, Control
from powercoord.drivers.ipmi.completion import DUPLICATED, NO_RESPONSE, OK, TIMEOUT, TRANSIENT, words
from powercoord.drivers.ipmi.logged_in import STATUS, carry_out
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.drivers.ipmi.settings import BootType
from powercoord.errors import PowerActionError, PowerError, PowerRefusedError
from powercoord.model import Boot, BootDevice, PowerState
from powercoord.model import Command as PowerCommand

#: Do not forget boot flags when no start follows within 60 s: a soft stop can take longer.
_KEEP_WITHOUT_START = b"\x08"

_DEVICES: Mapping[BootDevice, Device] = MappingProxyType(
    {
        BootDevice.PXE: Device.PXE,
        BootDevice.DISK: Device.DISK,
        BootDevice.CDROM: Device.CDROM,
        BootDevice.BIOS: Device.BIOS,
        BootDevice.NONE: Device.NONE,
    }
)


def _control(control: Control, limit: int = 0) -> Command:
    request = ChassisControl(control)
    return Command(request.NETFN, request.COMMAND, request.encode(), PRIVILEGE_OPERATOR, limit, changes=True)


#: On and off may be repeated: the second does nothing. A repeated reset is a second reset.
CONTROLS: Mapping[PowerCommand, Command] = MappingProxyType(
    {
        PowerCommand.ON: _control(Control.ON),
        PowerCommand.OFF: _control(Control.OFF),
        PowerCommand.SOFT: _control(Control.SOFT, limit=1),
        PowerCommand.RESET: _control(Control.RESET, limit=1),
    }
)


def read_power(bmc: Bmc, login: Login) -> Script[PowerState]:
    """
    Is it on or off?
    """
    response = yield from carry_out(bmc, login, STATUS)
    if response.code != OK:
        raise _refusal(bmc, STATUS, "reading the power state", response.code)
    return PowerState.ON if ChassisStatus.decode(response.data).on else PowerState.OFF


def change_power(bmc: Bmc, login: Login, wanted: PowerCommand) -> Script[None]:
    """
    Send one power command and have it accepted.
    """
    command = CONTROLS[wanted]
    response = yield from carry_out(bmc, login, command)
    if response.code != OK:
        raise _refusal(bmc, command, f"power command '{wanted.value}'", response.code)


def change_boot(bmc: Bmc, login: Login, wanted: Boot) -> Script[None]:
    """
    Set what the machine starts from next.
    """
    efi = wanted.efi
    if efi is None:
        efi = login.boot_type is BootType.EFI
        if login.boot_type is BootType.AUTO:
            efi = yield from _starts_by_efi(bmc, login)
    # Optional in the specification, and its refusal costs nothing.
    yield from carry_out(bmc, login, _set_option(boot.PARAMETER_VALID_BIT_CLEARING, _KEEP_WITHOUT_START))
    flags = BootFlags(_DEVICES[wanted.device], wanted.persistent, efi)
    command = _set_option(boot.PARAMETER_BOOT_FLAGS, flags.encode())
    response = yield from carry_out(bmc, login, command)
    if response.code != OK:
        raise _refusal(bmc, command, f"setting boot device '{wanted.device.value}'", response.code)


def _set_option(parameter: int, data: bytes) -> Command:
    request = SetBootOptions(parameter, data)
    return Command(request.NETFN, request.COMMAND, request.encode(), PRIVILEGE_OPERATOR, changes=True)


def _starts_by_efi(bmc: Bmc, login: Login) -> Script[bool]:
    """
    What the BMC has now: IPMI knows no "as configured", and legacy would break machines set to EFI.
    """
    request = GetBootOptions(boot.PARAMETER_BOOT_FLAGS)
    command = Command(request.NETFN, request.COMMAND, request.encode(), PRIVILEGE_OPERATOR)
    response: Reply = yield from carry_out(bmc, login, command)
    if response.code != OK:
        return False
    try:
        return BootFlags.decode(BootOption.decode(response.data).data).efi
    except MalformedDatagram:
        return False


def _refusal(bmc: Bmc, command: Command, doing: str, code: int) -> PowerError:
    """
    A completion code as the error that tells the caller what to do about it.
    """
    text = f"{bmc.what}: {doing}: {words(code, command.netfn, command.command)}"
    if code in _DONE_PERHAPS:
        return PowerActionError(text, sent=command.changes)
    return PowerActionError(text) if code in TRANSIENT else PowerRefusedError(text)


#: After these the command may have had its effect all the same.
_DONE_PERHAPS = frozenset((TIMEOUT, DUPLICATED, NO_RESPONSE))
