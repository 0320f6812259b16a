# SPDX-License-Identifier: MIT
"""
How `ipmitool` is called (ipmitool(1)): what anybody may see in arguments, secrets in the environment.

# Note [Once]

``-R 1`` means one transmission.  With more, `ipmitool` 1.8.19 repeats a reset
whose answer was lost as a new request, and the machine is reset again: measured
with a mute BMC, ``-R 3`` made three resets.  So what must leave at most once is
sent with ``-R 1``, and waits longer for its answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from attrs import frozen

from powercoord.drivers.ipmi.address import Address
from powercoord.drivers.ipmi.settings import BootType, PrivilegeLevel, key_bytes
from powercoord.drivers.ipmitool.settings import Interface, IpmitoolSettings
from powercoord.model import Boot, BootDevice, Command

STATUS = ("chassis", "power", "status")
BOOT_FLAGS = ("chassis", "bootparam", "get", "5")

_WORDS: Mapping[Command, str] = {
    Command.ON: "on",
    Command.OFF: "off",
    Command.SOFT: "soft",
    Command.RESET: "reset",
}
_LEVELS: Mapping[PrivilegeLevel, str] = {
    PrivilegeLevel.USER: "USER",
    PrivilegeLevel.OPERATOR: "OPERATOR",
    PrivilegeLevel.ADMIN: "ADMINISTRATOR",
}
_DEVICES: Mapping[BootDevice, str] = {
    BootDevice.PXE: "pxe",
    BootDevice.DISK: "disk",
    BootDevice.CDROM: "cdrom",
    BootDevice.BIOS: "bios",
    BootDevice.NONE: "none",
}


@frozen
class Pace:
    """
    Seconds between two transmissions, and how many there are.
    """

    pause: int
    times: int

    @classmethod
    def within(cls, seconds: float, *, once: bool) -> Pace:
        """
        So many that `ipmitool` gives up, with a reason, before it is ended without.

        Measured with nobody listening: it tries two ways to begin a session, and each pause of a way is a
        second longer than the one before it, so ``-N 1`` with ``-R 1``, 2 and 3 takes 2, 6 and 12 s.
        """
        half = seconds / 2
        if once:
            return cls(max(int(half), 1), 1)
        times = 1
        while (times + 1) * (times + 2) / 2 <= half:
            times += 1
        return cls(1, times)


def power(command: Command) -> Sequence[str]:
    """
    The words for a power command.
    """
    return ("chassis", "power", _WORDS[command])


def next_boot(wanted: Boot, efi: bool) -> Sequence[str]:
    """
    The words for the next boot device.
    """
    options = [*(("persistent",) if wanted.persistent else ()), *(("efiboot",) if efi else ())]
    words = (f"options={','.join(options)}",) if options else ()
    return ("chassis", "bootdev", _DEVICES[wanted.device], *words)


def wants_efi(wanted: Boot, boot_type: BootType) -> bool | None:
    """
    Whether EFI was asked for; None: as the BMC has it.
    """
    if wanted.efi is not None:
        return wanted.efi
    return None if boot_type is BootType.AUTO else boot_type is BootType.EFI


def arguments(settings: IpmitoolSettings, pace: Pace, words: Sequence[str]) -> tuple[str, ...]:
    """
    All arguments. ``-v`` is what makes it say why a login failed.
    """
    address = Address.parse(settings.address)
    newer = settings.interface is Interface.LANPLUS
    options = {
        "-I": settings.interface.value,
        "-H": address.host,
        "-p": str(address.port),
        "-U": settings.username,
        "-L": _LEVELS[settings.privilege_level],
        "-N": str(pace.pause),
        "-R": str(pace.times),
        "-C": str(settings.cipher_suite or "") if newer else "",
        "-o": settings.oem,
    }
    given = [word for name, value in options.items() if value for word in (name, value)]
    key = ["-K"] if settings.k_g and newer else []
    return (*given, "-E", *key, *settings.bridge.split(), "-v", *words)


def environment(settings: IpmitoolSettings) -> Mapping[str, str]:
    """
    The secrets: ``-E`` and ``-K`` read them from here, where only root and we ourselves can look.
    """
    key = {"IPMI_KGKEY": os.fsdecode(key_bytes(settings.k_g))} if settings.k_g else {}
    return {"IPMI_PASSWORD": settings.password, **key}
