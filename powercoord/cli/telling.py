# SPDX-License-Identifier: MIT
"""
Events in words.
"""

from __future__ import annotations

from powercoord.cli.results import describe
from powercoord.cli.times import local
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
from powercoord.model import Goal, Outcome, Request


def whom(request: Request) -> str:
    """
    Who asked, and through which door.
    """
    return (request.requester or "somebody") + (f" via {request.door}" if request.door else "")


def ending(outcome: Outcome) -> str:
    """
    How something ended, its word first.
    """
    return f"{type(outcome).__name__.lower()}: {describe(outcome)}"


def happened(entry: Entry) -> str:  # noqa: C901, PLR0911 - one for each kind of entry
    """
    What an entry tells of its node.
    """
    match entry:
        case Accepted(request=request, disposition=disposition):
            instead = f", in place of {', '.join(entry.superseded)}" if entry.superseded else ""
            return f"{request.verb.value} for {whom(request)}: {disposition.value}{instead}"
        case Entered(phase=phase, half=half, text=text):
            return f"{half} {phase.value}".strip() + (f": {text}" if text else "")
        case Followed(request_id=request):
            return f"request {request} is now answered by this action"
        case Ended(outcome=outcome):
            return f"ended {ending(outcome)}"
        case Answered(request_id=request, outcome=outcome):
            return f"answered {type(outcome).__name__.lower()} to request {request}"
        case Observed(observation=seen):
            return f"is {seen.state.value}{f': {seen.text}' if seen.text else ''}"
        case Drifted(wanted=wanted, seen=seen):
            return f"has drifted: it is {seen.value}, and {wanted.value} is wanted"
        case Resolved(by=by, text=text):
            return f"resolved by {by}: {text}"
        case Held(hold=hold, by=by):
            return f"held by {by}{terms(hold)}"
        case Released(holder=holder, by=by):
            return (
                f"hold of {holder} released by {by}" if by else f"hold of {holder} is over: its time has come"
            )
        case Parked() | Unparked():
            return f"{entry.endpoint} is {_parked(entry)}: {entry.text}"


def _parked(entry: Parked | Unparked) -> str:
    if isinstance(entry, Unparked):
        return "not parked any more"
    return "parked" if entry.since is None else "still parked"


ONLY = {None: "", Goal.ON: ", only what turns it on", Goal.OFF: ", only what turns it off"}


def terms(hold: Hold) -> str:
    """
    Until when, what, and why somebody holds a node.
    """
    until = "" if hold.until is None else f" until {local(hold.until)}"
    return f"{until}{ONLY[hold.only]}: {hold.reason}"


def node_of(entry: Entry) -> str:
    """
    The node that an entry is about.
    """
    return entry.request.node if isinstance(entry, Accepted) else entry.node
