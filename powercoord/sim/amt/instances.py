# SPDX-License-Identifier: MIT
"""
The CIM instances of a simulated AMT, member by member as they were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.amt.envelope import AMT, CIM, IPS, Reference, Value

Instance = list[tuple[str, Value]]

SOURCES: Mapping[str, Device] = MappingProxyType(
    {
        "Intel(r) AMT: Force Hard-drive Boot": Device.DISK,
        "Intel(r) AMT: Force PXE Boot": Device.PXE,
        "Intel(r) AMT: Force CD/DVD Boot": Device.CDROM,
    }
)

_STRINGS = ("CIM:Hard-Disk:1", "CIM:Network:1", "CIM:CD/DVD:1")

_SERVICE: tuple[tuple[str, str], ...] = (
    ("CreationClassName", "CIM_PowerManagementService"),
    ("Name", "Intel(r) AMT Power Management Service"),
    ("SystemCreationClassName", "CIM_ComputerSystem"),
    ("SystemName", "Intel(r) AMT"),
)
_SYSTEM = Reference(
    f"{CIM}CIM_ComputerSystem", (("CreationClassName", "CIM_ComputerSystem"), ("Name", "ManagedSystem"))
)

_BOOT_SETTINGS: tuple[tuple[str, str], ...] = (
    ("BIOSLastStatus", "2"),
    ("BIOSLastStatus", "0"),
    ("BIOSPause", "false"),
    ("BIOSSetup", "false"),
    ("BootMediaIndex", "0"),
    ("BootguardStatus", "127"),
    ("ConfigurationDataReset", "false"),
    ("ElementName", "Intel(r) AMT Boot Configuration Settings"),
    ("EnforceSecureBoot", "false"),
    ("FirmwareVerbosity", "0"),
    ("ForcedProgressEvents", "false"),
    ("IDERBootDevice", "0"),
    ("InstanceID", "Intel(r) AMT:BootSettingData 0"),
    ("LockKeyboard", "false"),
    ("LockPowerButton", "false"),
    ("LockResetButton", "false"),
    ("LockSleepButton", "false"),
    ("OptionsCleared", "true"),
    ("OwningEntity", "Intel(r) AMT"),
    ("PlatformErase", "false"),
    ("RPEEnabled", "true"),
    ("RSEPassword", ""),
    ("ReflashBIOS", "false"),
    ("SecureBootControlEnabled", "true"),
    ("SecureErase", "false"),
    ("UEFIHTTPSBootEnabled", "true"),
    ("UEFILocalPBABootEnabled", "true"),
    ("UefiBootNumberOfParams", "0"),
    ("UseIDER", "false"),
    ("UseSOL", "false"),
    ("UseSafeMode", "false"),
    ("UserPasswordBypass", "false"),
    ("WinREBootEnabled", "true"),
)


def boot_settings() -> Instance:
    """
    AMT_BootSettingData before anybody changed it.
    """
    return list(_BOOT_SETTINGS)


def power(state: str, available: tuple[int, ...]) -> Instance:
    """
    CIM_AssociatedPowerManagementService, and what CIM_ServiceAvailableToElement shows of it.
    """
    return [
        *(("AvailableRequestedPowerStates", str(each)) for each in available),
        ("PowerState", state),
        ("ServiceProvided", Reference(f"{CIM}CIM_PowerManagementService", _SERVICE)),
        ("UserOfService", _SYSTEM),
    ]


def saving(state: int) -> Instance:
    """
    IPS_PowerManagementService.
    """
    return [
        ("CreationClassName", "IPS_PowerManagementService"),
        ("ElementName", "Intel(r) AMT Power Management Service"),
        ("EnabledState", "5"),
        ("Name", "Intel(r) AMT Power Management Service"),
        ("RequestedState", "12"),
        ("SystemCreationClassName", "CIM_ComputerSystem"),
        ("SystemName", "Intel(r) AMT"),
        ("OSPowerSavingState", str(state)),
    ]


def boot_sources() -> list[Instance]:
    """
    CIM_BootSourceSetting.
    """
    return [
        [
            ("ElementName", "Intel(r) AMT: Boot Source"),
            ("FailThroughSupported", "2"),
            ("InstanceID", name),
            ("StructuredBootString", text),
        ]
        for name, text in zip(SOURCES, _STRINGS, strict=True)
    ]


def _power_service() -> list[Instance]:
    return [
        [
            ("CreationClassName", "CIM_PowerManagementService"),
            ("ElementName", "Intel(r) AMT Power Management Service"),
            ("EnabledState", "5"),
            ("Name", "Intel(r) AMT Power Management Service"),
            ("RequestedState", "12"),
            ("SystemCreationClassName", "CIM_ComputerSystem"),
            ("SystemName", "Intel(r) AMT"),
        ]
    ]


def _boot_service() -> list[Instance]:
    return [
        [
            ("CreationClassName", "CIM_BootService"),
            ("ElementName", "Intel(r) AMT Boot Service"),
            ("EnabledState", "2"),
            ("Name", "Intel(r) AMT Boot Service"),
            ("OperationalStatus", "0"),
            ("RequestedState", "12"),
            ("SystemCreationClassName", "CIM_ComputerSystem"),
            ("SystemName", "Intel(r) AMT"),
        ]
    ]


def _boot_config() -> list[Instance]:
    return [
        [
            ("ElementName", "Intel(r) AMT: Boot Configuration"),
            ("InstanceID", "Intel(r) AMT: Boot Configuration 0"),
        ]
    ]


def _boot_capabilities() -> list[Instance]:
    able = {
        "BIOSReflash",
        "BIOSSecureBoot",
        "BIOSSetup",
        "ForceCDorDVDBoot",
        "ForceHardDriveBoot",
        "ForcePXEBoot",
    }
    names = ("BIOSPause", *sorted(able), "ForceDiagnosticBoot", "IDER", "SOL", "SecureErase")
    flags = [(name, str(name in able).lower()) for name in names]
    return [
        [
            *flags,
            ("ElementName", "Intel(r) AMT: Boot Capabilities"),
            ("InstanceID", "Intel(r) AMT:BootCapabilities 0"),
        ]
    ]


#: Classes that are always the same, by their resource URI.
CONSTANT: Mapping[str, Callable[[], list[Instance]]] = MappingProxyType(
    {
        f"{CIM}CIM_PowerManagementService": _power_service,
        f"{CIM}CIM_BootService": _boot_service,
        f"{CIM}CIM_BootConfigSetting": _boot_config,
        f"{CIM}CIM_BootSourceSetting": boot_sources,
        f"{AMT}AMT_BootCapabilities": _boot_capabilities,
    }
)

POWER = (f"{CIM}CIM_AssociatedPowerManagementService", f"{CIM}CIM_ServiceAvailableToElement")
BOOT_SETTINGS = f"{AMT}AMT_BootSettingData"
SAVING = f"{IPS}IPS_PowerManagementService"
IDENTITY = f"{CIM}CIM_SoftwareIdentity"
GENERAL = f"{AMT}AMT_GeneralSettings"
