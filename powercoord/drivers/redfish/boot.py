# SPDX-License-Identifier: MIT
"""
What a machine boots from next: Boot in the schema ComputerSystem, and how a PATCH gets past ETags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from powercoord.drivers.redfish.bmc import Bmc, Errand
from powercoord.drivers.redfish.discovery import Discovery
from powercoord.drivers.redfish.resource import System, parse
from powercoord.drivers.redfish.task import failure
from powercoord.drivers.web import Answer
from powercoord.errors import PowerActionError, PowerRefusedError
from powercoord.model import Boot, BootDevice

_TARGETS: Mapping[BootDevice, tuple[str, ...]] = {
    BootDevice.PXE: ("Pxe",),
    BootDevice.DISK: ("Hdd",),
    BootDevice.CDROM: ("Cd", "UsbCd"),
    BootDevice.BIOS: ("BiosSetup",),
}


async def change_boot(systems: Discovery, name: str, errand: Errand, wanted: Boot) -> None:
    """
    Set the boot device of the next start, or of all.
    """
    bmc = systems.bmc
    system = await systems.look(name, errand)
    place = await _place(bmc, system, errand)
    body = {"Boot": override(bmc.what, system, wanted)}
    answer = await _patch(bmc, place, errand, body)
    doing = f"setting boot device '{wanted.device.value}'"
    if answer.status in (412, 428):
        raise PowerActionError(f"{bmc.what}: {doing}: somebody else is changing it ({answer.status})")
    if answer.status >= 300:
        raise bmc.refusal(answer, doing, sent=True)
    failed = await failure(bmc, answer, errand) if answer.status == 202 else None
    if failed is not None:
        raise failed.error(f"{bmc.what}: {doing}", sent=True)


async def _patch(bmc: Bmc, place: System, errand: Errand, body: Mapping[str, Any]) -> Answer:
    """
    Write it, past ETags.
    """
    *others, last = etags(place.etag)
    for etag in others:
        headers = {"If-Match": etag} if etag else {}
        answer = await bmc.ask("PATCH", place.path, errand, body=body, headers=headers, changes=True)
        if answer.status not in (412, 428):
            return answer
    headers = {"If-Match": last} if last else {}
    return await bmc.ask("PATCH", place.path, errand, body=body, headers=headers, changes=True)


def override(what: str, system: System, wanted: Boot) -> dict[str, Any]:
    """
    The properties that make it so.
    """
    if wanted.device is BootDevice.NONE:
        return {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
    offered = system.boot_targets
    target = next((each for each in _TARGETS[wanted.device] if not offered or each in offered), None)
    if target is None:
        raise PowerRefusedError(
            f"{what}: {system.id} does not boot from '{wanted.device.value}'; it offers {', '.join(offered)}"
        )
    properties = {
        "BootSourceOverrideEnabled": "Continuous" if wanted.persistent else "Once",
        "BootSourceOverrideTarget": target,
    }
    if wanted.efi is not None:
        properties["BootSourceOverrideMode"] = "UEFI" if wanted.efi else "Legacy"
    return properties


def etags(etag: str) -> Iterator[str]:
    """
    What to send as If-Match, one after the other, as long as it is refused.

    Some services make weak ETags and take only strong ones (RFC 9110, 13.1.1: weak ones never match), some do
    not know their own, and some want one and tell none.
    """
    yield etag
    if etag.startswith("W/"):
        yield etag.removeprefix("W/")
    yield "" if etag else "*"


async def _place(bmc: Bmc, system: System, errand: Errand) -> System:
    """
    Where the override is written: at the settings object, if that is where it is shown.
    """
    if not system.settings:
        return system
    answer = await bmc.ask("GET", system.settings, errand)
    if answer.status != 200:
        return system
    resource = parse(answer.body, f"{bmc.what}: GET {system.settings}")
    settings = System.of(system.settings, resource, answer.header("ETag"))
    return settings if settings.boot else system
