# SPDX-License-Identifier: MIT
"""
What the caller of a batch hears at once of each of its requests.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from powercoord.api.forms import accepted_form, refusal_form
from powercoord.errors import PowercoordError
from powercoord.forms import Form, outcome_form
from powercoord.interfaces import ITicket
from powercoord.model import Disposition, Outcome


def answer_form(answer: Any) -> Form:
    """
    A ticket, or the refusal that came in its place.
    """
    if isinstance(answer, PowercoordError):
        return refusal_form(answer)
    form = accepted_form(answer.action, answer.disposition, answer.superseded, answer.deadline)
    if answer.disposition is Disposition.JOINED and (outcome := _known_outcome(answer)) is not None:
        form["outcome"] = outcome_form(outcome)
    return form


def _known_outcome(ticket: ITicket) -> Outcome | None:
    """
    How a repeated request ended, if it has.
    """
    known: list[Outcome] = []
    waiting = ticket.wait().addCallback(known.append)
    if not known:
        waiting.addErrback(lambda failure: failure.trap(CancelledError))
        waiting.cancel()
    return known[0] if known else None
