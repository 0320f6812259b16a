# SPDX-License-Identifier: MIT
"""
The boot override: a PATCH of the system, or of its settings object (DSP2046, ComputerSystem, ``Boot``).
"""

from __future__ import annotations

from typing import Any

from powercoord.drivers.ipmi.boot import BootFlags
from powercoord.sim.machine import NO_BOOT
from powercoord.sim.redfish.documents import ENABLED, MODES, TARGETS
from powercoord.sim.redfish.profile import ADMINISTRATOR, OPERATOR
from powercoord.sim.redfish.service import Call, Refused
from powercoord.sim.web.exchange import Answer


def patch_system(call: Call) -> Answer:
    """
    Set the boot override, unless this service wants it elsewhere.
    """
    call.needs(ADMINISTRATOR, OPERATOR)
    index = call.system()
    if call.service.profile.boot_settings:
        raise Refused(400, "PropertyNotWritable", "Boot")
    return _patch(call, index)


def patch_settings(call: Call) -> Answer:
    """
    The same, at the settings object.
    """
    call.needs(ADMINISTRATOR, OPERATOR)
    index = call.system()
    if not call.service.profile.boot_settings:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    return _patch(call, index)


def _patch(call: Call, index: int) -> Answer:
    body = {name: value for name, value in call.body().items() if not name.startswith("@odata.")}
    if not body:
        raise Refused(400, "EmptyJSON")
    for name in body:
        if name != "Boot":
            raise Refused(400, "PropertyUnknown", name[:100])
    flags = _flags(call.service.machines[index].boot_flags(), body["Boot"])
    call.service.machines[index].set_boot(flags, lasts=float("inf"))
    return Answer(code=204)


def _flags(before: BootFlags, wanted: Any) -> BootFlags:
    """
    What stands now, changed as wanted.
    """
    if not isinstance(wanted, dict):
        raise Refused(400, "PropertyValueTypeError", str(wanted)[:100], "Boot")
    names = {device: name for name, device in TARGETS.items()}
    enabled = "Disabled" if not before.valid else "Continuous" if before.persistent else "Once"
    target = names.get(before.device, "None")
    mode = "UEFI" if before.efi else "Legacy"
    for name, value in wanted.items():
        match name:
            case "BootSourceOverrideEnabled":
                enabled = _one_of(ENABLED, value, name)
            case "BootSourceOverrideTarget":
                target = _one_of(tuple(TARGETS), value, name)
            case "BootSourceOverrideMode":
                mode = _one_of(MODES, value, name)
            case _:
                raise Refused(400, "PropertyUnknown", f"Boot/{name[:100]}")
    if enabled == "Disabled" or target == "None":
        return NO_BOOT
    return BootFlags(TARGETS[target], persistent=enabled == "Continuous", efi=mode == "UEFI")


def _one_of(values: tuple[str, ...], value: Any, name: str) -> str:
    if value not in values:
        raise Refused(400, "PropertyValueNotInList", str(value)[:100], name)
    return str(value)
