# SPDX-License-Identifier: MIT
"""
What an AMT machine starts from next: once, as AMT knows nothing that lasts.

Intel's AMT SDK, "Set or Disable Boot Configuration Settings for the Next Boot".

# Note [Boot options are shared]

AMT_BootSettingData is one record for whoever uses the device.  What another tool left there (a redirected
drive, a console, a pause in the BIOS, an erased disk!) would come true at the start that we ask for.  So each
option that is known is written as not wanted.  Of the rest only what names the record is written: newer
firmware refuses to be given what it only reports, and keeps what it is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.drivers.amt.answer import Answer
from powercoord.drivers.amt.envelope import Field, Reference, Request, invoke, put
from powercoord.drivers.amt.namespaces import (
    BOOT_CONFIG,
    BOOT_SERVICE,
    BOOT_SETTINGS,
    BOOT_SOURCE,
)
from powercoord.model import BootDevice

#: Devices that are boot sources, by the InstanceID that all firmware gives them.
_SOURCES: Mapping[BootDevice, str] = MappingProxyType(
    {
        BootDevice.PXE: "Intel(r) AMT: Force PXE Boot",
        BootDevice.DISK: "Intel(r) AMT: Force Hard-drive Boot",
        BootDevice.CDROM: "Intel(r) AMT: Force CD/DVD Boot",
    }
)

#: What AMT_BootCapabilities calls each.
_ABILITIES: Mapping[BootDevice, str] = MappingProxyType(
    {
        BootDevice.PXE: "ForcePXEBoot",
        BootDevice.DISK: "ForceHardDriveBoot",
        BootDevice.CDROM: "ForceCDorDVDBoot",
        BootDevice.BIOS: "BIOSSetup",
    }
)

#: The options of the next start, and how each is not wanted.
_CLEAR: Mapping[str, str] = MappingProxyType(
    {
        "BIOSPause": "false",
        "BIOSSetup": "false",
        "BootMediaIndex": "0",
        "ConfigurationDataReset": "false",
        "EnforceSecureBoot": "false",
        "FirmwareVerbosity": "0",
        "ForcedProgressEvents": "false",
        "IDERBootDevice": "0",
        "LockKeyboard": "false",
        "LockPowerButton": "false",
        "LockResetButton": "false",
        "LockSleepButton": "false",
        "PlatformErase": "false",
        "ReflashBIOS": "false",
        "SecureErase": "false",
        "UefiBootNumberOfParams": "0",
        "UseIDER": "false",
        "UseSOL": "false",
        "UseSafeMode": "false",
        "UserPasswordBypass": "false",
    }
)
_NAMES = frozenset(("ElementName", "InstanceID", "OwningEntity"))

_CONFIGURATION = Reference(BOOT_CONFIG, (("InstanceID", "Intel(r) AMT: Boot Configuration 0"),))

#: SetBootConfigRole's "IsNextSingleUse".
_NEXT_ONCE = "1"


def lacks(capabilities: Answer, device: BootDevice) -> bool:
    """
    Whether a machine says that it cannot start from this; it would take the order, and start as ever.
    """
    ability = _ABILITIES.get(device)
    return ability is not None and capabilities.all(ability) == ("false",)


def clear_order() -> Request:
    """
    Take back what was set before. Some options cannot be written while a source is forced.
    """
    return invoke(BOOT_CONFIG, "ChangeBootOrder")


def settings(current: Answer, device: BootDevice) -> Request:
    """
    The record as it was read, without any option but the one that is wanted.

    See note [Boot options are shared].
    """
    wanted = {**_CLEAR, "BIOSSetup": "true" if device is BootDevice.BIOS else "false"}
    fields: list[Field] = [
        (name, wanted.get(name, value)) for name, value in current.fields if name in wanted or name in _NAMES
    ]
    return put(BOOT_SETTINGS, fields)


def use_once() -> Request:
    """
    Have the next start, and that one only, look at all this.
    """
    return invoke(
        BOOT_SERVICE, "SetBootConfigRole", ("BootConfigSetting", _CONFIGURATION), ("Role", _NEXT_ONCE)
    )


def force_source(device: BootDevice) -> Request | None:
    """
    Start from this; None: the device is no source but an option, or none at all.
    """
    source = _SOURCES.get(device)
    if source is None:
        return None
    return invoke(
        BOOT_CONFIG, "ChangeBootOrder", ("Source", Reference(BOOT_SOURCE, (("InstanceID", source),)))
    )
