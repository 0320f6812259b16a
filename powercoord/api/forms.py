# SPDX-License-Identifier: MIT
"""
The JSON forms of actions, nodes, records and answers, as they stand on the wire.

Those of requests, outcomes and entries are in `powercoord.forms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from powercoord.durable import Numbered, Record
from powercoord.errors import PowercoordError
from powercoord.forms import (
    Form,
    boot_from,
    boot_text,
    event_form,
    event_from,
    hold_form,
    outcome_form,
    outcome_from,
    request_form,
    request_from,
)
from powercoord.holds import Hold
from powercoord.model import Disposition, Goal, Phase, Verb, Wanted
from powercoord.parking import Cause, Parking
from powercoord.views import ActionView, NodeView

MAX_WAITERS = 8
MAX_HOLDS = 4
MAX_TEXT = 500


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
        force_at=action.force_at and action.force_at.isoformat(),
        waits_for=action.waits_for or None,
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
        force_at=datetime.fromisoformat(form["force_at"]) if "force_at" in form else None,
        waits_for=form.get("waits_for", ""),
    )


def accepted_form(
    action: str,
    disposition: Disposition,
    superseded: tuple[str, ...] = (),
    deadline: datetime | None = None,
) -> Form:
    """
    What a caller hears at once of an accepted request.
    """
    form: Form = {"action": action, "disposition": disposition.value}
    if superseded:
        form["superseded"] = list(superseded)
    if deadline is not None:
        form["deadline"] = deadline.isoformat()
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
    form |= {"requires": list(node.requires)} if node.requires else {}
    form |= {"state": seen.state.value} | ({"text": seen.text[:MAX_TEXT]} if seen.text else {})
    if view.age is not None:
        form["age"] = round(view.age, 3)
    if view.in_play is not None:
        form["in_play"] = action_form(view.in_play)
    if view.waiting:
        form["waiting"] = [action_form(action) for action in view.waiting]
    if view.wanted is not None:
        form["wanted"] = wanted_form(view.wanted)
    if view.drifted:
        form["drifted"] = True
    if view.parked is not None:
        form["parked"] = parking_form(view.parked)
    return form | holds_form(view.holds)


def holds_form(holds: Sequence[Hold]) -> Form:
    """
    Who holds a node, the first few with all they say.
    """
    form: Form = {"holds": [hold_form(hold) for hold in holds[:MAX_HOLDS]]} if holds else {}
    return form | _known(more_holds=len(holds[MAX_HOLDS:]) or None)


def parking_form(parking: Parking) -> Form:
    """
    Why an endpoint is left alone, as `parking_from` reads it.
    """
    return {
        "endpoint": parking.endpoint,
        "cause": parking.cause.value,
        "since": parking.since.isoformat(),
        "reason": parking.reason[:MAX_TEXT],
        "next_try": round(parking.next_try, 3),
    }


def parking_from(form: Form) -> Parking:
    """
    Why an endpoint is left alone, from its form.
    """
    return Parking(
        endpoint=form["endpoint"],
        cause=Cause(form["cause"]),
        since=datetime.fromisoformat(form["since"]),
        reason=form["reason"],
        next_try=form["next_try"],
    )


def wanted_form(wanted: Wanted) -> Form:
    """
    What is wanted of a node, as `wanted_from` reads it.
    """
    return {
        "goal": wanted.goal.value,
        "since": wanted.since.isoformat(),
        "action": wanted.action,
        "request_id": wanted.request_id,
    } | _known(
        requester=wanted.requester or None,
        door=wanted.door or None,
        sequence=wanted.sequence,
        escalate=None if wanted.escalate else False,
    )


def wanted_from(form: Form) -> Wanted:
    """
    What is wanted of a node, from its form.
    """
    return Wanted(
        goal=Goal(form["goal"]),
        since=datetime.fromisoformat(form["since"]),
        action=form["action"],
        request_id=form["request_id"],
        requester=form.get("requester", ""),
        door=form.get("door", ""),
        sequence=form.get("sequence"),
        escalate=form.get("escalate", True),
    )


def record_form(record: Record) -> Form:
    """
    A request of the past with its answer, as `record_from` reads it.
    """
    form: Form = {"number": record.number, "at": record.at.isoformat(), "action": record.action}
    form |= {"disposition": record.disposition.value, "request": request_form(record.request)}
    if record.answered is not None:
        form["answered"] = record.answered.isoformat()
    if record.outcome is not None:
        form["outcome"] = outcome_form(record.outcome)
    return form


def record_from(form: Form) -> Record:
    """
    The record in a form.
    """
    answered, outcome = form.get("answered"), form.get("outcome")
    return Record(
        number=form["number"],
        at=datetime.fromisoformat(form["at"]),
        request=request_from(form["request"]),
        action=form["action"],
        disposition=Disposition(form["disposition"]),
        answered=None if answered is None else datetime.fromisoformat(answered),
        outcome=None if outcome is None else outcome_from(outcome),
    )


def numbered_form(numbered: Numbered) -> Form:
    """
    An entry with its number, as `numbered_from` reads it.
    """
    return event_form(numbered.entry) | {"number": numbered.number}


def numbered_from(form: Form) -> Numbered:
    """
    The entry in a form, and its number (0 where a coordinator of before told none).
    """
    return Numbered(form.get("number", 0), event_from(form))


def _known(**values: object) -> Form:
    return {name: value for name, value in values.items() if value is not None}
