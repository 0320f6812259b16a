# SPDX-License-Identifier: MIT
"""
A registry put together as the service does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from random import Random

from twisted.internet.interfaces import IReactorTime

from powercoord.durable import IJournal
from powercoord.interfaces import IPowerDriver
from powercoord.journal import NullJournal
from powercoord.model import Node
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster


def registry_of(
    clock: IReactorTime,
    nodes: Sequence[Node],
    drivers: Mapping[str, IPowerDriver],
    limits: Limits | None = None,
    journal: IJournal | None = None,
) -> Registry:
    """
    A registry of these nodes; without a journal on disk if none is given.
    """
    numbers, random = count(1), Random(0)
    roster = Roster(nodes, drivers)
    return build_registry(
        clock=clock,
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"b-{next(numbers)}",
        jitter=lambda pause: pause * random.uniform(0.8, 1.2),
        roster=roster,
        drivers=drivers,
        journal=journal or NullJournal(),
        limits=limits or Limits(),
    )
