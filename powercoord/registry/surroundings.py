# SPDX-License-Identifier: MIT
"""
What all actions of one registry share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.entries import Entry
from powercoord.errors import UnknownPowerType
from powercoord.interfaces import IPowerDriver
from powercoord.model import Node
from powercoord.registry.breakers import Breakers
from powercoord.registry.dependencies import Dependencies
from powercoord.registry.gates import EndpointGate
from powercoord.registry.sightings import Sightings
from powercoord.registry.starts import StartGate
from powercoord.registry.window import Window

Write = Callable[[Sequence[Entry]], Deferred[int]]


@frozen
class Surroundings:
    """
    What all actions share.

    :param now: the wall clock, for what is written down.
    :param write: makes entries durable.
    :param jitter: takes a pause and returns one a little different.
    """

    clock: IReactorTime
    now: Callable[[], datetime]
    write: Write
    driver: Callable[[str], IPowerDriver]
    window: Window
    endpoints: EndpointGate
    breakers: Breakers
    starts: StartGate
    sightings: Sightings
    dependencies: Dependencies
    jitter: Callable[[float], float]

    def readable(self, node: Node) -> bool:
        """
        Whether there is a driver for a node, and it can read power.
        """
        try:
            return self.driver(node.target.driver).capabilities.queryable
        except UnknownPowerType:
            return False
