# SPDX-License-Identifier: MIT
"""
What the coordinator answers, as values.

Outcomes, actions, requests and entries are those of `powercoord.model` and
`powercoord.entries`; here is what the wire adds to them.
"""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from powercoord.api.health import Health
from powercoord.entries import Entry
from powercoord.errors import PowercoordError
from powercoord.holds import Hold
from powercoord.model import Disposition, Goal, Outcome, PowerState, Wanted
from powercoord.parking import Parking
from powercoord.stages import Stage
from powercoord.views import ActionView


@frozen(kw_only=True)
class Accepted:
    """
    A request was accepted, durably, and will be answered.

    :param action: the id of the action that does it at first.
    :param superseded: ids of the actions whose place it took.
    :param deadline: when its action must have ended, if it joined one that others give longer than it did.
    :param outcome: how it ended, if that is known already (a repeated request
        id, or nothing was to be done).
    """

    node: str
    request_id: str
    action: str
    disposition: Disposition
    superseded: tuple[str, ...] = ()
    deadline: datetime | None = None
    outcome: Outcome | None = None
    _fate: object = field(default=None, eq=False, repr=False)


@frozen(kw_only=True)
class Refused:
    """
    A request was not accepted, and nothing was changed by it.
    """

    node: str
    request_id: str
    error: PowercoordError


Answer = Accepted | Refused


@frozen(kw_only=True)
class Reading:
    """
    A node's power as it was read.

    :param age: seconds since it was seen, on the coordinator's clock.
    :param text: why it is not known, if it is not.
    """

    node: str
    state: PowerState
    age: float | None = None
    text: str = ""


@frozen(kw_only=True)
class NodeStatus:
    """
    A node as the registry sees it: what was seen last, its lane, and what is wanted of it.

    :param drifted: whether it is at rest with other power than is wanted.
    :param holds: who forbids changes of it, and ``more_holds`` more.
    :param parked: why its endpoint is left alone just now, if it is.
    :param requires: what must be on before it may start.
    """

    name: str
    driver: str
    groups: tuple[str, ...]
    state: PowerState
    age: float | None = None
    text: str = ""
    in_play: ActionView | None = None
    waiting: tuple[ActionView, ...] = ()
    wanted: Wanted | None = None
    drifted: bool = False
    holds: tuple[Hold, ...] = ()
    more_holds: int = 0
    parked: Parking | None = None
    requires: tuple[str, ...] = ()


@frozen
class Desired:
    """
    The power that a region wants of a node.

    :param sequence: the region's own counter for it; one lower than the last
        accepted is refused as `Stale`.
    """

    node: str
    goal: Goal
    sequence: int | None = None


@frozen(kw_only=True)
class RosterEntry:
    """
    A node as the roster knows it, and what must be on before it may start.
    """

    name: str
    driver: str
    groups: tuple[str, ...] = ()
    configured: bool = True
    requires: tuple[str, ...] = ()


@frozen(kw_only=True)
class ServerInfo:
    """
    Who answers, and whether it takes new work (``draining`` is the reason, or None).
    """

    ident: str
    draining: str | None = None


@frozen(kw_only=True)
class Pulse:
    """
    A coordinator's answer to Ping.

    :param reason: why it takes no new changes, if it does not.
    """

    stage: Stage | None = None
    accepting: bool = True
    reason: str = ""


@frozen
class Lagged:
    """
    Events were missed: a slow reader, or a lost connection.

    Whoever keeps a picture of the fleet reads it again now (`Client.status`).
    """

    reason: str


WatchEvent = Entry | Lagged | Health
