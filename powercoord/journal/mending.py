# SPDX-License-Identifier: MIT
"""
The terminal records that a journal owes, because of what it could not write once.

A request's answer and the end of its action are written together.  But when
the disk fails between a decision and its undoing, an action's end can be
there without an answer of one who had been waiting for it.  Nobody would ever
answer that one; so it is answered here, with the outcome of the action.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from powercoord.entries import Answered
from powercoord.forms import outcome_from
from powercoord.model import Unknown

_OWED = """
SELECT node, request_id, action, (
    SELECT body FROM entry WHERE entry.action = request.action AND kind = 'ended'
    ORDER BY number DESC LIMIT 1)
FROM request WHERE answer IS NULL AND action NOT IN (SELECT id FROM action) ORDER BY number
"""


def owed(connection: sqlite3.Connection, now: datetime) -> Sequence[Answered]:
    """
    The answers of unanswered requests whose action is over, in the order of acceptance.
    """
    return [_answer(now, *row) for row in connection.execute(_OWED)]


def _answer(now: datetime, node: str, request_id: str, action: str, end: str | None) -> Answered:
    outcome = (
        Unknown(f"{node}: action {action} is over, and how it ended was not written")
        if end is None
        else outcome_from(json.loads(end)["outcome"])
    )
    return Answered(now, node, request_id, action, outcome)
