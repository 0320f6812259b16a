# SPDX-License-Identifier: MIT
"""
The resources of a service as JSON objects (DSP2046).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.machine import Machine
from powercoord.sim.redfish.profile import Told
from powercoord.sim.redfish.service import ROOT, Service
from powercoord.sim.redfish.sessions import Session
from powercoord.sim.redfish.tasks import Task
from powercoord.sim.web.faults import Faults

Json = dict[str, Any]

TARGETS = {
    "None": Device.NONE,
    "Pxe": Device.PXE,
    "Hdd": Device.DISK,
    "Cd": Device.CDROM,
    "BiosSetup": Device.BIOS,
    "Diags": Device.DIAGNOSTIC,
    "Usb": Device.REMOTE_DISK,
    "Floppy": Device.FLOPPY,
}
_NAMES = {device: name for name, device in TARGETS.items()}

ENABLED = ("Disabled", "Once", "Continuous")
MODES = ("Legacy", "UEFI")

#: What one string makes of two reset types, as recorded of a Supermicro (firmware of Redfish 1.14.0).
FUSED = "GracefulShutdownGracefulRestart"

_OK = {"State": "Enabled", "Health": "OK"}


def link(path: str) -> Json:
    """
    A reference to another resource.
    """
    return {"@odata.id": path}


def resource(path: str, kind: str, name: str, **members: Any) -> Json:
    """
    What every resource begins with.
    """
    last = path.rpartition("/")[2]
    return {"@odata.id": path, "@odata.type": kind, "Id": last, "Name": name, **members}


def collection(path: str, kind: str, members: Iterable[str]) -> Json:
    """
    A resource that lists others.
    """
    listed = [link(member) for member in members]
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}.{kind}",
        "Name": f"{kind.removesuffix('Collection')} collection",
        "Members": listed,
        "Members@odata.count": len(listed),
    }


def root(service: Service) -> Json:
    """
    Where everything begins.
    """
    profile = service.profile
    document = resource(
        f"{ROOT}/",
        "#ServiceRoot.v1_14_0.ServiceRoot",
        "Root service",
        RedfishVersion="1.14.0",
        UUID=str(service.uuid()),
        Vendor=profile.vendor,
        Systems=link(f"{ROOT}/Systems"),
        Tasks=link(f"{ROOT}/TaskService"),
        AccountService=link(f"{ROOT}/AccountService"),
        Links={},
    )
    document["Id"] = "RootService"
    if profile.sessions:
        document["SessionService"] = link(f"{ROOT}/SessionService")
        document["Links"] = {"Sessions": link(f"{ROOT}/SessionService/Sessions")}
    if profile.events:
        document["EventService"] = link(f"{ROOT}/EventService")
    return document


def odata(service: Service) -> Json:
    """
    The OData service document.
    """
    linked = {name: value for name, value in root(service).items() if isinstance(value, dict)}
    urls = {name: value["@odata.id"] for name, value in linked.items() if "@odata.id" in value}
    urls = {"Service": f"{ROOT}/"} | urls
    listed = [{"name": name, "kind": "Singleton", "url": url} for name, url in urls.items()]
    return {"@odata.context": f"{ROOT}/$metadata", "value": listed}


def system(service: Service, index: int, faults: Faults) -> Json:
    """
    A computer.
    """
    path, profile, machine = service.system_path(index), service.profile, service.machines[index]
    document = resource(
        path,
        "#ComputerSystem.v1_16_0.ComputerSystem",
        f"System {index + 1}",
        UUID=str(service.uuid(index)),
        SystemType="Physical",
        Manufacturer=profile.vendor,
        Model="simulated",
        SerialNumber=f"{service.place}/{index + 1}",
        Status=_OK,
        PowerState=power_state(service, machine, faults),
        Boot=boot(service, machine),
        Actions={"#ComputerSystem.Reset": _reset_action(service, path)},
    )
    if profile.boot_settings:
        settings = {"@odata.type": "#Settings.v1_3_5.Settings", "SettingsObject": link(f"{path}/Settings")}
        document["@Redfish.Settings"] = settings
    return document


def _reset_action(service: Service, path: str) -> Json:
    told, types = service.profile.told, list(service.profile.reset_types)
    action: Json = {"target": f"{path}/Actions/ComputerSystem.Reset"}
    if told in (Told.ACTION_INFO, Told.BOTH, Told.FUSED):
        action["@Redfish.ActionInfo"] = f"{path}/ResetActionInfo"
    if told is Told.FUSED:
        first = types.index("GracefulShutdown")
        types = [each for each in types if each not in ("GracefulShutdown", "GracefulRestart")]
        types.insert(first, FUSED)
    if told in (Told.ALLOWABLE, Told.BOTH, Told.FUSED):
        action["ResetType@Redfish.AllowableValues"] = types
    return action


def action_info(service: Service, index: int) -> Json:
    """
    What may be asked of a reset.
    """
    parameter = {
        "Name": "ResetType",
        "Required": True,
        "DataType": "String",
        "AllowableValues": list(service.profile.reset_types),
    }
    path = f"{service.system_path(index)}/ResetActionInfo"
    return resource(path, "#ActionInfo.v1_2_0.ActionInfo", "Reset action info", Parameters=[parameter])


def power_state(service: Service, machine: Machine, faults: Faults) -> str | None:
    """
    Power in Redfish's words.
    """
    said = faults.shows
    coming = machine.coming()
    if not said and coming is not None and service.profile.changing:
        said = service.profile.changing
        if said == "Powering":
            said = "PoweringOn" if coming.on else "PoweringOff"
    if said:
        return None if said == "null" else said
    return "On" if machine.power() else "Off"


def boot(service: Service, machine: Machine) -> Json:
    """
    Where it starts from next.
    """
    flags = machine.boot_flags()
    enabled = "Disabled"
    if flags.valid:
        lasting = flags.persistent or service.profile.boot_continuous
        enabled = "Continuous" if lasting else "Once"
    return {
        "BootSourceOverrideEnabled": enabled,
        "BootSourceOverrideEnabled@Redfish.AllowableValues": list(ENABLED),
        "BootSourceOverrideTarget": _NAMES.get(flags.device, "None") if flags.valid else "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": list(TARGETS),
        "BootSourceOverrideMode": "UEFI" if flags.efi else "Legacy",
        "BootSourceOverrideMode@Redfish.AllowableValues": list(MODES),
    }


def settings(service: Service, index: int) -> Json:
    """
    Where a service with a settings object wants its boot override.
    """
    path = f"{service.system_path(index)}/Settings"
    kind = "#ComputerSystem.v1_16_0.ComputerSystem"
    return resource(path, kind, "Pending settings", Boot=boot(service, service.machines[index]))


def session_service(service: Service) -> Json:
    """
    Where one logs in.
    """
    path = f"{ROOT}/SessionService"
    return resource(
        path,
        "#SessionService.v1_1_8.SessionService",
        "Session service",
        ServiceEnabled=True,
        SessionTimeout=int(service.profile.session_timeout),
        Status=_OK,
        Sessions=link(f"{path}/Sessions"),
    )


def session(held: Session) -> Json:
    """
    One login; its token is told once, when it is made.
    """
    path = f"{ROOT}/SessionService/Sessions/{held.number}"
    return resource(
        path, "#Session.v1_5_0.Session", f"Session {held.number}", UserName=held.account.name, Password=None
    )


def task_service() -> Json:
    """
    Where tasks are.
    """
    path = f"{ROOT}/TaskService"
    return resource(
        path,
        "#TaskService.v1_2_0.TaskService",
        "Task service",
        ServiceEnabled=True,
        Status=_OK,
        Tasks=link(f"{path}/Tasks"),
    )


def task(service: Service, begun: Task) -> Json:
    """
    A change of power under way.
    """
    over = service.tasks.is_over(begun)
    done = ("Exception", "Critical", 0) if begun.failed else ("Completed", "OK", 100)
    state, status, percent = done if over else ("Running", "OK", 50)
    return resource(
        f"{ROOT}/TaskService/Tasks/{begun.number}",
        "#Task.v1_7_0.Task",
        f"Task {begun.number}",
        TaskState=state,
        TaskStatus=status,
        PercentComplete=percent,
        TaskMonitor=f"{ROOT}/TaskService/TaskMonitors/{begun.number}",
        Messages=[],
    )


def event_service() -> Json:
    """
    Where one hears what happens.
    """
    return resource(
        f"{ROOT}/EventService",
        "#EventService.v1_8_0.EventService",
        "Event service",
        ServiceEnabled=True,
        Status=_OK,
        EventFormatTypes=["Event"],
        ServerSentEventUri=f"{ROOT}/EventService/SSE",
        SSEFilterPropertiesSupported={
            "EventFormatType": False,
            "MessageId": False,
            "MetricReportDefinition": False,
            "OriginResource": False,
            "RegistryPrefix": False,
            "ResourceType": False,
        },
    )
