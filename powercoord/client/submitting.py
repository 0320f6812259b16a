# SPDX-License-Identifier: MIT
"""
Sending requests, many to a box, and reading what became of each at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import define

from powercoord.api.arguments import dump
from powercoord.api.batch import MAX_ITEMS
from powercoord.api.extensions import Reconcile, Submit
from powercoord.api.pages import fill, joined
from powercoord.client.errors import error_of
from powercoord.client.lifeline import Lifeline
from powercoord.client.results import Accepted, Answer, Refused
from powercoord.forms import Form, outcome_from, request_form
from powercoord.model import Disposition, Request, Verb

ROOM = 58_000


@define(eq=False)
class Submitter:
    """
    Submits requests in their order.
    """

    _lifeline: Lifeline
    _patience: float

    async def submit(self, requests: Sequence[Request]) -> list[Answer]:
        """
        One answer for each.
        """
        answers: list[Answer] = []
        for batch, sent in batches(requests):
            said = await self._lifeline.call(self._patience, Submit, batch=batch)
            forms = [*said["answers"], *(said["rest"] or ())]
            answers += [_answer(request, form) for request, form in zip(sent, forms, strict=True)]
        return answers

    async def reconcile(self, reconcile_id: str, requests: Sequence[Request]) -> list[Answer]:
        """
        One answer for each, sent as what is wanted.
        """
        answers: list[Answer] = []
        while sent := requests[len(answers) : len(answers) + MAX_ITEMS]:
            items = fill(map(_desire, sent), ROOM)
            values = {"reconcile_id": reconcile_id, "items": joined(items), "requester": sent[0].requester}
            said = await self._lifeline.call(self._patience, Reconcile, **values)
            forms = [*said["answers"], *(said["rest"] or ())]
            answers += [_answer(*each) for each in zip(sent[: len(items)], forms, strict=True)]
        return answers


def batches(requests: Sequence[Request]) -> Iterator[tuple[bytes, Sequence[Request]]]:
    """
    Requests as the values of `Submit`, each with the requests that it holds.

    What all requests of a batch have in common is said once.
    """
    begin = 0
    while begin < len(requests):
        chunk = requests[begin : begin + MAX_ITEMS]
        forms = [_form(request) for request in chunk]
        common = _common(forms)
        items = [dump({name: value for name, value in form.items() if name not in common}) for form in forms]
        fitting = fill(items, ROOM - len(dump(common)))
        shared = dump(common)[1:-1]
        yield b'{%b"items":[%b]}' % (shared and shared + b",", b",".join(fitting)), chunk[: len(fitting)]
        begin += len(fitting)


def _desire(request: Request) -> bytes:
    form: Form = {"node": request.node, "state": "on" if request.verb is Verb.ON else "off"}
    return dump(form if request.sequence is None else form | {"sequence": request.sequence})


def _form(request: Request) -> Form:
    form = request_form(request)
    form.pop("door", None)
    return form


def _common(forms: Sequence[Form]) -> Form:
    first = forms[0]
    return {
        name: value
        for name, value in first.items()
        if name not in ("node", "request_id")
        and all(form.get(name) == value and name in form for form in forms)
    }


def _answer(request: Request, form: dict[str, Any]) -> Answer:
    node, request_id = request.node, request.request_id
    if "error" in form:
        return Refused(node=node, request_id=request_id, error=error_of(form["error"], form["text"]))
    outcome = form.get("outcome")
    return Accepted(
        node=node,
        request_id=request_id,
        action=form["action"],
        disposition=Disposition(form["disposition"]),
        superseded=tuple(form.get("superseded", ())),
        deadline=datetime.fromisoformat(form["deadline"]) if "deadline" in form else None,
        outcome=None if outcome is None else outcome_from(outcome),
    )
