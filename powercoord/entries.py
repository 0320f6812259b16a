# SPDX-License-Identifier: MIT
"""
The facts that are written down, in the order in which they became true.

One vocabulary for two readers: the journal makes entries durable, and the
same entries, once durable, are what subscribers are told.  A secret can not
get in: an entry holds requests, ids, phases and outcomes, and no settings.
"""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from powercoord.holds import Hold
from powercoord.model import Disposition, Goal, Observation, Outcome, Phase, PowerState, Request
from powercoord.parking import Cause


@frozen
class Accepted:
    """
    A request was accepted and will be answered; ``action`` is doing it.

    ``superseded`` are the actions whose place it took.  Written before the
    caller hears "accepted" and before anything is sent.
    """

    at: datetime
    request: Request
    action: str
    disposition: Disposition
    deadline: datetime
    superseded: tuple[str, ...] = ()


@frozen
class Entered:
    """
    An action entered a phase.

    ``half`` tells which command of several it is about (``off`` and ``on`` in
    a cycle, ``soft`` and ``off`` in a soft-off, ``boot``).
    """

    at: datetime
    node: str
    action: str
    phase: Phase
    half: str = ""
    text: str = ""


@frozen
class Followed:
    """
    A request whose action was superseded is now answered by another action.
    """

    at: datetime
    node: str
    request_id: str
    action: str


@frozen
class Ended:
    """
    An action is over: nothing more will be sent for it.
    """

    at: datetime
    node: str
    action: str
    outcome: Outcome


@frozen
class Answered:
    """
    One request's terminal record; there is exactly one for each accepted.
    """

    at: datetime
    node: str
    request_id: str
    action: str
    outcome: Outcome


@frozen
class Observed:
    """
    A node's state was read and differs from what was known before.
    """

    at: datetime
    node: str
    observation: Observation


@frozen
class Drifted:
    """
    A node at rest was seen with other power than is wanted; told once.
    """

    at: datetime
    node: str
    wanted: Goal
    seen: PowerState


@frozen
class Resolved:
    """
    A person declared an action settled; nothing was sent for that.
    """

    at: datetime
    node: str
    action: str
    by: str
    text: str


@frozen
class Held:
    """
    Somebody holds a node; it takes the place of the same holder's hold before.

    :param by: who asked for that, and from where.
    """

    at: datetime
    node: str
    hold: Hold
    by: str


@frozen
class Released:
    """
    A hold on a node is over: released by somebody, or because its time had come.

    :param by: who released it, and from where; empty if it expired.
    """

    at: datetime
    node: str
    holder: str
    by: str = ""


@frozen
class Parked:
    """
    An endpoint is left alone from now on; ``node`` is the one that has shown why.

    ``next_try`` is when it is tried again at first.  ``since`` is there if it
    refused our password once more, and says when it was parked; ``mark`` tells
    the settings that it refused from others (see `powercoord.marks`).
    """

    at: datetime
    node: str
    endpoint: str
    cause: Cause
    text: str
    next_try: datetime
    since: datetime | None = None
    mark: str = ""


@frozen
class Unparked:
    """
    An endpoint is spoken to again; ``by`` is the person who said so, if one did.
    """

    at: datetime
    node: str
    endpoint: str
    text: str
    by: str = ""


Entry = (
    Accepted
    | Entered
    | Followed
    | Ended
    | Answered
    | Observed
    | Drifted
    | Resolved
    | Held
    | Released
    | Parked
    | Unparked
)
