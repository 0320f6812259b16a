# SPDX-License-Identifier: MIT
"""
Entries as the rows they are kept in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import evolve

from powercoord.durable import Numbered, Record, Seen
from powercoord.entries import Accepted, Entry, Parked
from powercoord.forms import event_form, event_from, hold_from, outcome_from, request_from
from powercoord.holds import Hold
from powercoord.model import Disposition, PowerState, Request, Wanted
from powercoord.registry.wants_projection import wanted_after

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

# Note [One step]
#
# Each step of a statement in another thread gives the interpreter away and asks for it again, and a busy
# reactor hands it over after 5 ms only.  So a batch is one step: a JSON array goes in, and SQLite takes it
# apart, keeps the tables that follow from it, and waits for the disk, all without the interpreter.
WRITE = """
INSERT INTO entry (number, run, kind, node, action, request_id, body)
SELECT ?1 + key, ?2, json_extract(value, '$.event'),
    coalesce(json_extract(value, '$.node'), json_extract(value, '$.request.node')),
    json_extract(value, '$.action'),
    coalesce(json_extract(value, '$.request_id'), json_extract(value, '$.request.request_id')),
    value
FROM json_each(?3)
"""


def body(entry: Entry) -> str:
    """
    The text in which an entry is kept.

    :raises ValueError: JSON has no words for it.
    """
    return _encode(event_form(entry))


def document(bodies: Iterable[str]) -> str:
    """
    What `WRITE` takes: a JSON array of entries.
    """
    return f"[{','.join(bodies)}]"


def numbered(number: int, text: str) -> Numbered:
    """
    The entry in a row.
    """
    return Numbered(number, event_from(json.loads(text)))


def wanted(text: str, action: str) -> Wanted:
    """
    What is wanted by whoever was accepted in this entry, and the action that is to bring it about now.
    """
    found = wanted_after(None, accepted(text))
    assert found is not None  # noqa: S101 - what the tables point at
    return evolve(found, action=action)


def seen(text: str) -> Seen:
    """
    What was seen, by this entry.
    """
    form = json.loads(text)
    return Seen(datetime.fromisoformat(form["at"]), PowerState(form["state"]), form.get("text", ""))


def hold(text: str) -> Hold:
    """
    The hold that somebody laid on a node, by this entry.
    """
    return hold_from(json.loads(text))


def parked(text: str) -> Parked:
    """
    The entry that says that an endpoint is left alone.
    """
    entry = event_from(json.loads(text))
    assert isinstance(entry, Parked)  # noqa: S101 - what the tables point at
    return entry


def accepted(text: str) -> Accepted:
    """
    The entry that accepted a request.
    """
    entry = event_from(json.loads(text))
    assert isinstance(entry, Accepted)  # noqa: S101 - what the tables point at
    return entry


def record(number: int, action: str, acceptance: str, answer: str | None) -> Record:
    """
    A request, from the entry that accepted it and the one that answered it.
    """
    asked = json.loads(acceptance)
    told: dict[str, Any] | None = None if answer is None else json.loads(answer)
    request: Request = request_from(asked["request"])
    return Record(
        number=number,
        at=datetime.fromisoformat(asked["at"]),
        request=request,
        action=action,
        disposition=Disposition(asked["disposition"]),
        answered=None if told is None else datetime.fromisoformat(told["at"]),
        outcome=None if told is None else outcome_from(told["outcome"]),
    )
