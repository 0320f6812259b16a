# SPDX-License-Identifier: MIT
"""
What an outsider may see of a node and of what is done to it.
"""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from powercoord.holds import Hold
from powercoord.model import Boot, Node, Observation, Phase, Request, Verb, Wanted
from powercoord.parking import Parking


@frozen(kw_only=True)
class ActionView:
    """
    An action as an outsider may see it.

    :param force_at: when a soft-off is forced; None: never, or it is none.
    :param waits_for: what keeps it from starting a node, if anything does.
    """

    id: str
    node: str
    verb: Verb
    boot: Boot | None
    phase: Phase
    half: str
    since: datetime
    deadline: datetime
    waiters: tuple[Request, ...]
    superseded_by: str | None = None
    force_at: datetime | None = None
    waits_for: str = ""


@frozen
class NodeView:
    """
    A node as an outsider may see it: its state, and what is in its lane.

    :param drifted: whether it is at rest and its power was seen to be other
        than is wanted.
    :param holds: who forbids changes of it.
    :param parked: why its endpoint is left alone just now, if it is.
    """

    node: Node
    observed: Observation
    age: float | None
    in_play: ActionView | None
    waiting: tuple[ActionView, ...]
    wanted: Wanted | None = None
    drifted: bool = False
    holds: tuple[Hold, ...] = ()
    parked: Parking | None = None
