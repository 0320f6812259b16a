# SPDX-License-Identifier: MIT
"""
The JSON forms of requests, outcomes and entries, in both directions.

One form for two uses: what is journalled is what subscribers are told.  Names
are those of `powercoord.model`; what has its default value is left out, so
that a form of before can be read when a field is new.  Times of day are ISO
8601 with their offset, durations seconds.  Reading trusts our own words; what
a caller sends is read by `powercoord.api.batch`, which trusts nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from powercoord.entries import (
    Accepted,
    Answered,
    Drifted,
    Ended,
    Entered,
    Entry,
    Followed,
    Held,
    Observed,
    Parked,
    Released,
    Resolved,
    Unparked,
)
from powercoord.holds import Hold
from powercoord.model import (
    Boot,
    BootDevice,
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Interrupted,
    Observation,
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
from powercoord.parking import Cause

Form = dict[str, Any]

KINDS: dict[type, str] = {
    Accepted: "accepted",
    Entered: "entered",
    Followed: "followed",
    Ended: "ended",
    Answered: "answered",
    Observed: "observed",
    Drifted: "drifted",
    Resolved: "resolved",
    Held: "held",
    Released: "released",
    Parked: "parked",
    Unparked: "unparked",
}


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
    form |= {name: True for name in ("again", "with_children") if getattr(request, name)}
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
        with_children=form.get("with_children", False),
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


def event_form(entry: Entry) -> Form:
    """
    An entry, as `event_from` reads it.
    """
    return {"event": KINDS[type(entry)], "at": entry.at.isoformat()} | _rest(entry)


def _rest(entry: Entry) -> Form:  # noqa: PLR0911 - one for each kind of entry
    match entry:
        case Accepted(request=request, action=action):
            form: Form = {"action": action, "disposition": entry.disposition.value}
            form |= {"deadline": entry.deadline.isoformat(), "request": request_form(request)}
            return form | ({"superseded": list(entry.superseded)} if entry.superseded else {})
        case Entered(node=node, action=action):
            form = {"node": node, "action": action, "phase": entry.phase.value}
            form |= {"half": entry.half} if entry.half else {}
            return form | ({"text": entry.text} if entry.text else {})
        case Followed(node=node, action=action):
            return {"node": node, "request_id": entry.request_id, "action": action}
        case Ended(node=node, action=action):
            return {"node": node, "action": action, "outcome": outcome_form(entry.outcome)}
        case Answered(node=node, action=action):
            form = {"node": node, "request_id": entry.request_id, "action": action}
            return form | {"outcome": outcome_form(entry.outcome)}
        case Observed() | Drifted() | Resolved() | Held() | Released():
            return _seen_or_said(entry)
        case Parked() | Unparked():
            return _parking(entry)


def hold_form(hold: Hold) -> Form:
    """
    A hold, as `hold_from` reads it.
    """
    form: Form = {"holder": hold.holder, "reason": hold.reason, "since": hold.since.isoformat()}
    only, until = hold.only, hold.until
    return form | _known(only=only and only.value, until=until and until.isoformat())


def hold_from(form: Form) -> Hold:
    """
    The hold in a form.
    """
    only, until = form.get("only"), form.get("until")
    return Hold(
        holder=form["holder"],
        reason=form["reason"],
        since=datetime.fromisoformat(form["since"]),
        only=None if only is None else Goal(only),
        until=None if until is None else datetime.fromisoformat(until),
    )


def _seen_or_said(entry: Observed | Drifted | Resolved | Held | Released) -> Form:
    match entry:
        case Observed(node=node, observation=seen):
            return {"node": node, "state": seen.state.value} | ({"text": seen.text} if seen.text else {})
        case Drifted(node=node):
            return {"node": node, "wanted": entry.wanted.value, "seen": entry.seen.value}
        case Resolved(node=node, action=action):
            return {"node": node, "action": action, "by": entry.by, "text": entry.text}
        case Held(node=node):
            return {"node": node, "by": entry.by} | hold_form(entry.hold)
        case Released(node=node):
            how: Form = {"by": entry.by} if entry.by else {"expired": True}
            return {"node": node, "holder": entry.holder} | how


def _parking(entry: Parked | Unparked) -> Form:
    form: Form = {"node": entry.node, "endpoint": entry.endpoint, "text": entry.text}
    if isinstance(entry, Parked):
        form |= {"cause": entry.cause.value, "next_try": entry.next_try.isoformat()}
        return form | _known(since=entry.since and entry.since.isoformat(), mark=entry.mark or None)
    return form | _known(by=entry.by or None)


def event_from(form: Form) -> Entry:  # noqa: PLR0911 - one for each kind of entry
    """
    The entry in a form.
    """
    at = datetime.fromisoformat(form["at"])
    kind = form["event"]
    if kind == "accepted":
        return Accepted(
            at,
            request_from(form["request"]),
            form["action"],
            Disposition(form["disposition"]),
            datetime.fromisoformat(form["deadline"]),
            tuple(form.get("superseded", ())),
        )
    node: str = form["node"]
    if kind == "observed":
        return Observed(at, node, Observation(PowerState(form["state"]), text=form.get("text", "")))
    if kind == "held":
        return Held(at, node, hold_from(form), form["by"])
    if kind == "released":
        return Released(at, node, form["holder"], form.get("by", ""))
    if kind == "drifted":
        return Drifted(at, node, Goal(form["wanted"]), PowerState(form["seen"]))
    if kind in ("parked", "unparked"):
        return _parking_from(kind, at, node, form)
    return _of_action(kind, at, node, form)


def _parking_from(kind: str, at: datetime, node: str, form: Form) -> Entry:
    endpoint, text = form["endpoint"], form["text"]
    if kind == "unparked":
        return Unparked(at, node, endpoint, text, form.get("by", ""))
    next_try, since = datetime.fromisoformat(form["next_try"]), form.get("since")
    return Parked(
        at,
        node,
        endpoint,
        Cause(form["cause"]),
        text,
        next_try,
        None if since is None else datetime.fromisoformat(since),
        form.get("mark", ""),
    )


def _of_action(kind: str, at: datetime, node: str, form: dict[str, Any]) -> Entry:
    action: str = form["action"]
    match kind:
        case "entered":
            return Entered(at, node, action, Phase(form["phase"]), form.get("half", ""), form.get("text", ""))
        case "followed":
            return Followed(at, node, form["request_id"], action)
        case "ended":
            return Ended(at, node, action, outcome_from(form["outcome"]))
        case "answered":
            return Answered(at, node, form["request_id"], action, outcome_from(form["outcome"]))
        case "resolved":
            return Resolved(at, node, action, form["by"], form["text"])
        case _:
            raise ValueError(f"{kind!r} is no kind of event")


def _known(**values: Any) -> Form:
    return {name: value for name, value in values.items() if value is not None}
