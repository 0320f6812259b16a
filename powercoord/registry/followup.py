# SPDX-License-Identifier: MIT
"""
Requests that follow from another one, for nodes below or above.
"""

from __future__ import annotations

from powercoord.model import Node, Request, Verb

LEAST = 1.0
"""
Seconds that what follows has at least.
"""

_THROUGH = "requires"
_FOR = ", for "
_LONGEST = 128


def follow_up(
    asked: Request | None, whose: Node, request_id: str, name: str, verb: Verb, remaining: float | None
) -> Request:
    """
    What follows for a node from what was asked of another one; its requester says of which.

    An off that has little time leaves its own node as much as that needs to be forced.

    :param remaining: seconds until nobody waits any longer; None: nobody has said.
    """
    if remaining is not None:
        if verb is not Verb.ON:
            remaining = max(remaining / 2, remaining - whose.timing.force)
        remaining = max(LEAST, remaining)
    requester = asked.requester if asked is not None else ""
    return Request(
        node=name,
        verb=verb,
        request_id=request_id,
        escalate=asked is None or asked.escalate,
        deadline=remaining,
        requester=f"{requester}{_FOR}{whose.name}".removeprefix(", ")[:_LONGEST],
        door=_THROUGH,
        with_children=verb is not Verb.ON,
    )


def caller_of(request: Request) -> str:
    """
    Who asked at first, whose turn it is when a node starts on behalf of another.
    """
    return request.requester.partition(_FOR)[0] if request.door == _THROUGH else request.requester
