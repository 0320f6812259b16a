# SPDX-License-Identifier: MIT
"""
What is wanted of a node, as a function over what was written about it.

# Note [Wanted and taken back]

The last accepted request that is about a power says what is wanted: on, off,
soft-off and cycle.  It says so from its acceptance, not from its success: who
asked for an off wants the node off, also when its BMC does not answer.  A
reset does not touch power, and a boot device is none; neither changes anything.

Who cancels the action that was to bring it about does not want it any more,
and a person who resolves that action has taken the matter into their own
hands: from then on nothing is wanted.  What was wanted before that does not
come back: nobody has asked for it lately.  A failure takes nothing back, nor
does being superseded, for the superseder's own request says what is wanted.

Bringing a node back (see `powercoord.registry.drift_enforcing`) is no wish of
its own.  It stays known who wanted it and since when; but it is then that
action by whose cancelling one takes it back.
"""

from __future__ import annotations

from attrs import evolve

from powercoord.entries import Accepted, Ended, Entry, Followed, Resolved
from powercoord.model import Cancelled, Goal, Verb, Wanted
from powercoord.registry.lattice import goal

ENFORCING = "enforce"
"""
The door of requests that bring a node back to what is wanted.
"""


def wanted_by(verb: Verb) -> Goal | None:
    """
    The power that a request of this verb says is wanted, if it says any.
    """
    return None if verb is Verb.RESET else goal(verb)


def wanted_after(before: Wanted | None, entry: Entry) -> Wanted | None:
    """
    What is wanted of a node after an entry about it; see note [Wanted and taken back].
    """
    if isinstance(entry, Accepted):
        return _accepted(before, entry)
    if before is None:
        return None
    if isinstance(entry, Followed) and entry.request_id == before.request_id:
        return evolve(before, action=entry.action)
    if isinstance(entry, Ended) and entry.action == before.action and isinstance(entry.outcome, Cancelled):
        return None
    if isinstance(entry, Resolved) and entry.action == before.action:
        return None
    return before


def _accepted(before: Wanted | None, entry: Accepted) -> Wanted | None:
    request = entry.request
    wanted = wanted_by(request.verb)
    if wanted is None:
        return before
    if request.door == ENFORCING:
        return None if before is None else evolve(before, action=entry.action)
    return Wanted(
        goal=wanted,
        since=entry.at,
        action=entry.action,
        request_id=request.request_id,
        requester=request.requester,
        door=request.door,
        sequence=request.sequence,
        escalate=request.escalate or request.verb is not Verb.SOFT_OFF,
    )
