# SPDX-License-Identifier: MIT
"""
What "202 Accepted" becomes (DSP0266, "Asynchronous operations").

A command is over when the BMC has accepted it, so a task is only looked after for a moment: one that
fails at once is a refusal, and of one that goes on for longer the machine's power will tell.
"""

from __future__ import annotations

from attrs import evolve

from powercoord.drivers.redfish.bmc import Bmc, Errand
from powercoord.drivers.redfish.complaint import Complaint
from powercoord.drivers.redfish.resource import parse, path_in, text
from powercoord.drivers.redfish.waiting import pause
from powercoord.drivers.web import Answer
from powercoord.errors import OperationCancelled, PowerError

#: How long it is looked after, and how often if the BMC does not say.
PATIENCE = 3.0
_EVERY = 0.5
_SHORTEST = 0.1

_FAILED = ("Exception", "Killed", "Cancelled", "Interrupted")
_GOING_ON = ("New", "Starting", "Running", "Pending", "Service", "Suspended", "Stopping", "Cancelling")


async def failure(bmc: Bmc, accepted: Answer, errand: Errand) -> Complaint | None:
    """
    How what was accepted has failed; None if it has not, or nobody knows yet.
    """
    try:
        failed = await _follow(bmc, accepted, errand)
    except (PowerError, OperationCancelled):
        return None
    return None if failed is None else evolve(bmc.complaint(failed), task=True)


async def _follow(bmc: Bmc, accepted: Answer, errand: Errand) -> Answer | None:
    end = min(errand.until, bmc.clock.seconds() + PATIENCE)
    monitor, answer = _monitor(bmc, accepted), accepted
    while monitor:
        wait = _wait(answer)
        if bmc.clock.seconds() + wait >= end:
            return None
        await pause(bmc.clock, wait, errand.operation, errand.until)
        answer = await bmc.ask("GET", monitor, errand)
        if answer.status == 202:
            continue
        if answer.status in (404, 410):
            return None
        if answer.status >= 400:
            return answer
        state = _state(bmc, answer)
        if state not in _GOING_ON:
            return answer if state in _FAILED else None
    return None


def _monitor(bmc: Bmc, accepted: Answer) -> str:
    """
    Where it is looked after: the Location, or else what the body's task says.
    """
    location = path_in(accepted.header("Location"))
    if location or not accepted.body:
        return location
    task = parse(accepted.body, bmc.what)
    return path_in(task.get("TaskMonitor")) or path_in(task)


def _wait(answer: Answer) -> float:
    """
    Retry-After in seconds; a date is too far away to wait for.
    """
    told = answer.header("Retry-After")
    if not told:
        return _EVERY
    return max(_SHORTEST, float(told)) if told.isascii() and told.isdigit() else PATIENCE


def _state(bmc: Bmc, answer: Answer) -> str:
    """
    The state of the task that came; empty if what came is the result itself.
    """
    if not answer.body:
        return ""
    task = parse(answer.body, bmc.what)
    if text(task.get("TaskState")) == "Completed" and text(task.get("TaskStatus")) == "Critical":
        return "Exception"
    return text(task.get("TaskState"))
