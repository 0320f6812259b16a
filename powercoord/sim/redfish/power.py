# SPDX-License-Identifier: MIT
"""
``ComputerSystem.Reset``: what a reset type does to a machine, and when it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.sim.machine import Machine
from powercoord.sim.redfish.documents import task
from powercoord.sim.redfish.messages import document, refused, told
from powercoord.sim.redfish.profile import ADMINISTRATOR, OPERATOR
from powercoord.sim.redfish.service import ROOT, Call, Refused
from powercoord.sim.web.exchange import Answer

_ACTION = "ComputerSystem.Reset"

#: What is done to a machine that is on, and to one that is off; None: it is so already, or cannot be.
_EFFECTS: Mapping[str, tuple[str | None, str | None]] = MappingProxyType(
    {
        "On": (None, "on"),
        "ForceOn": (None, "on"),
        "ForceOff": ("off", None),
        "GracefulShutdown": ("soft", None),
        "GracefulRestart": ("soft-reset", None),
        "ForceRestart": ("reset", None),
        "Nmi": ("diag", None),
        "PushPowerButton": ("soft", "on"),
        "PowerCycle": ("cycle", None),
    }
)

_TO_ON, _TO_OFF = ("On", "ForceOn"), ("ForceOff", "GracefulShutdown")


def reset(call: Call) -> Answer:
    """
    Change power.
    """
    call.needs(ADMINISTRATOR, OPERATOR)
    index = call.system()
    wanted = _wanted(call)
    machine, profile = call.service.machines[index], call.service.profile
    on = machine.power()
    verb = _EFFECTS[wanted][not on]
    if wanted == "ForceOff" and machine.coming() is not None:
        verb = "off"  # it was about to be on
    if verb is None:
        code = profile.already if wanted in (*_TO_ON, *_TO_OFF) else profile.impossible
        return _done(call, index, wanted, None, code)
    if verb == "on" and _conflicts(call, machine):
        return _done(call, index, wanted, None, 409)
    return _done(call, index, wanted, verb, profile.reset_code)


def _wanted(call: Call) -> str:
    body = call.body()
    for name in body:
        if name != "ResetType":
            raise Refused(400, "ActionParameterNotSupported", _ACTION, name)
    wanted = body.get("ResetType")
    if wanted is None:
        raise Refused(400, "ActionParameterMissing", _ACTION, "ResetType")
    if wanted not in call.service.profile.reset_types or wanted not in _EFFECTS:
        raise Refused(400, "ActionParameterValueNotInList", str(wanted)[:100], "ResetType")
    return str(wanted)


def _conflicts(call: Call, machine: Machine) -> bool:
    """
    iDRAC10 refuses On for a while after power off.
    """
    patience, changes = call.service.profile.conflict_after_off, machine.changes
    return bool(patience and changes) and call.service.clock.seconds() - changes[-1].at < patience


def _done(call: Call, index: int, wanted: str, verb: str | None, code: int) -> Answer:
    service = call.service
    call.command(index, wanted, verb, code)
    if code >= 400:
        return refused(code, "ActionParameterValueConflict", "ResetType", wanted)
    if code == 202:
        begun = service.tasks.begin(service.machines[index], failed=call.faults.task_fails)
        monitor = ("Location", f"{ROOT}/TaskService/TaskMonitors/{begun.number}")
        return document(task(service, begun), 202, monitor, _patience(call))
    if code == 200:
        return document({"@Message.ExtendedInfo": [told("Success")]})
    return Answer(code=204)


def _patience(call: Call) -> tuple[str, str]:
    return ("Retry-After", str(call.service.profile.retry_after))


def monitor(call: Call) -> Answer:
    """
    How far a task is: 202 while it runs, then the answer that the reset would have had.
    """
    tasks = call.service.tasks
    begun = tasks.by_number.get(call.words[0])
    if begun is None:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    if not tasks.is_over(begun):
        here = ("Location", call.ask.path)
        return document(task(call.service, begun), 202, here, _patience(call))
    if begun.failed:
        return refused(500, "InternalError")
    return Answer(code=204)
