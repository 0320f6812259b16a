# SPDX-License-Identifier: MIT
"""
The JSON forms of entries, as subscribers get them, in both directions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from powercoord.api.forms import Form, outcome_form, outcome_from, request_form, request_from
from powercoord.entries import Accepted, Answered, Ended, Entered, Entry, Followed, Observed
from powercoord.model import Disposition, Observation, Phase, PowerState

KINDS: dict[type, str] = {
    Accepted: "accepted",
    Entered: "entered",
    Followed: "followed",
    Ended: "ended",
    Answered: "answered",
    Observed: "observed",
}


def event_form(entry: Entry) -> Form:
    """
    An entry, as `event_from` reads it.
    """
    return {"event": KINDS[type(entry)], "at": entry.at.isoformat()} | _rest(entry)


def _rest(entry: Entry) -> Form:
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
        case Observed(node=node, observation=seen):
            return {"node": node, "state": seen.state.value} | ({"text": seen.text} if seen.text else {})


def event_from(form: Form) -> Entry:
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
    return _of_action(kind, at, node, form)


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
        case _:
            raise ValueError(f"{kind!r} is no kind of event")
