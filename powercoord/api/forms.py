# SPDX-License-Identifier: MIT
"""
The JSON forms of requests, outcomes and actions, in both directions.

Names on the wire are those of `powercoord.model`; what has its default value
is left out.  Times of day are ISO 8601 with their offset, durations seconds.
Reading trusts the coordinator's own words: it is the client's half.  What a
caller sends is read by `powercoord.api.batch`, which trusts nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from powercoord.errors import PowercoordError
from powercoord.model import (
    ActionView,
    Boot,
    BootDevice,
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    Failed,
    How,
    Interrupted,
    NodeView,
    Outcome,
    Phase,
    Policy,
    PowerState,
    Request,
    Superseded,
    Unknown,
    Verb,
    Wait,
)

Form = dict[str, Any]

MAX_WAITERS = 8
MAX_TEXT = 500


def boot_text(boot: Boot) -> str:
    """
    A boot device as one word: ``pxe``, ``disk+persistent``, ``pxe+efi``, ``pxe+legacy``.
    """
    words = [boot.device.value]
    if boot.persistent:
        words.append("persistent")
    if boot.efi is not None:
        words.append("efi" if boot.efi else "legacy")
    return "+".join(words)


def boot_from(text: str) -> Boot:
    """
    :raises ValueError: that is no boot device; the text says what would be one.
    """
    device, *options = text.split("+")
    known = {each.value: each for each in BootDevice}
    if device not in known or not set(options) <= {"persistent", "efi", "legacy"}:
        raise ValueError(
            f"{text!r} is no boot device: one of {', '.join(known)}, then +persistent, +efi or +legacy"
        )
    efi = True if "efi" in options else False if "legacy" in options else None
    return Boot(known[device], "persistent" in options, efi)


def request_form(request: Request) -> Form:
    """
    A request, as `request_from` reads it.
    """
    form: Form = {"node": request.node, "verb": request.verb.value, "request_id": request.request_id}
    if request.boot is not None:
        form["boot"] = boot_text(request.boot)
    if not request.escalate:
        form["escalate"] = False
    if request.policy is not Policy.SUPERSEDE:
        form["policy"] = request.policy.value
    if request.wait is not Wait.POWER:
        form["wait"] = request.wait.value
    for name in ("deadline", "sequence"):
        if (value := getattr(request, name)) is not None:
            form[name] = value
    for name in ("requester", "door"):
        if value := getattr(request, name):
            form[name] = value
    return form


def request_from(form: Form) -> Request:
    """
    The request in a form.
    """
    boot = form.get("boot")
    return Request(
        node=form["node"],
        verb=Verb(form["verb"]),
        request_id=form["request_id"],
        boot=None if boot is None else boot_from(boot),
        escalate=form.get("escalate", True),
        policy=Policy(form.get("policy", "supersede")),
        wait=Wait(form.get("wait", "power")),
        deadline=form.get("deadline"),
        requester=form.get("requester", ""),
        door=form.get("door", ""),
        sequence=form.get("sequence"),
    )


def outcome_form(outcome: Outcome) -> Form:
    """
    How an action ended, as `outcome_from` reads it; ``outcome`` says which kind.
    """
    match outcome:
        case Done():
            form = {"outcome": "done", "how": outcome.how.value, "state": outcome.state.value}
            if outcome.reached is not Wait.POWER:
                form["reached"] = outcome.reached.value
            return form | ({"text": outcome.text} if outcome.text else {})
        case Failed():
            form = {"outcome": "failed", "code": outcome.code, "text": outcome.text}
            return form | _known(retryable=outcome.retryable or None, timeout=outcome.timeout)
        case Superseded():
            by, verb, cancel = outcome.by, outcome.verb.value, outcome.cancel.value
            return {"outcome": "superseded", "by": by, "verb": verb, "cancel": cancel}
        case Cancelled():
            return {"outcome": "cancelled", "cancel": outcome.cancel.value, "by": outcome.by}
        case Interrupted():
            return {"outcome": "interrupted", "text": outcome.text}
        case Unknown():
            return {"outcome": "unknown", "text": outcome.text}


def outcome_from(form: Form) -> Outcome:
    """
    The outcome in a form.
    """
    match form["outcome"]:
        case "done":
            state, reached = PowerState(form["state"]), Wait(form.get("reached", "power"))
            return Done(How(form["how"]), state, reached, form.get("text", ""))
        case "failed":
            return Failed(form["code"], form["text"], form.get("retryable", False), form.get("timeout"))
        case "superseded":
            return Superseded(form["by"], Verb(form["verb"]), CancelResult(form["cancel"]))
        case "cancelled":
            return Cancelled(CancelResult(form["cancel"]), form["by"])
        case "interrupted":
            return Interrupted(form["text"])
        case "unknown":
            return Unknown(form["text"])
        case kind:
            raise ValueError(f"{kind!r} is no kind of outcome")


def action_form(action: ActionView) -> Form:
    """
    An action, as `action_from` reads it.
    """
    return {
        "id": action.id,
        "node": action.node,
        "verb": action.verb.value,
        "phase": action.phase.value,
        "since": action.since.isoformat(),
        "deadline": action.deadline.isoformat(),
        "waiters": [request_form(request) for request in action.waiters[:MAX_WAITERS]],
    } | _known(
        more_waiters=len(action.waiters[MAX_WAITERS:]) or None,
        boot=action.boot and boot_text(action.boot),
        half=action.half or None,
        superseded_by=action.superseded_by,
    )


def action_from(form: Form) -> ActionView:
    """
    The action in a form.
    """
    boot = form.get("boot")
    return ActionView(
        id=form["id"],
        node=form["node"],
        verb=Verb(form["verb"]),
        boot=None if boot is None else boot_from(boot),
        phase=Phase(form["phase"]),
        half=form.get("half", ""),
        since=datetime.fromisoformat(form["since"]),
        deadline=datetime.fromisoformat(form["deadline"]),
        waiters=tuple(request_from(waiter) for waiter in form["waiters"]),
        superseded_by=form.get("superseded_by"),
    )


def accepted_form(action: str, disposition: Disposition, superseded: tuple[str, ...] = ()) -> Form:
    """
    What a caller hears at once of an accepted request.
    """
    form: Form = {"action": action, "disposition": disposition.value}
    if superseded:
        form["superseded"] = list(superseded)
    return form


def refusal_form(error: PowercoordError) -> Form:
    """
    Why a request was not accepted.
    """
    return {"error": error.code, "text": str(error)[:MAX_TEXT]}


def node_form(view: NodeView) -> Form:
    """
    A node with its lane.  What it is reached with stays here: that holds secrets.
    """
    node, seen = view.node, view.observed
    form: Form = {"name": node.name, "driver": node.target.driver, "groups": list(node.groups)}
    form |= {"state": seen.state.value} | ({"text": seen.text[:MAX_TEXT]} if seen.text else {})
    if view.age is not None:
        form["age"] = round(view.age, 3)
    if view.in_play is not None:
        form["in_play"] = action_form(view.in_play)
    if view.waiting:
        form["waiting"] = [action_form(action) for action in view.waiting]
    return form


def _known(**values: Any) -> Form:
    return {name: value for name, value in values.items() if value is not None}
