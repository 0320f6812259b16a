# SPDX-License-Identifier: MIT
"""
What an outsider may see of the nodes, at once and without asking a BMC.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from attrs import define, field

from powercoord.interfaces import IRoster
from powercoord.model import Node
from powercoord.registry.breakers import Breakers
from powercoord.registry.course import Course
from powercoord.registry.holds import Holds
from powercoord.registry.lanes import Lanes
from powercoord.registry.starts_room import Crowd
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.wants import Wants
from powercoord.views import NodeView


@define(eq=False)
class Looking(ABC):
    """
    The methods of a registry that change nothing.
    """

    roster: IRoster
    _world: Surroundings
    _lanes: Lanes = field(factory=Lanes, init=False)
    _course: Course = field(init=False)
    holds: Holds = field(init=False)
    wants: Wants = field(init=False)
    breakers: Breakers = field(init=False)

    def view(self, name: str) -> NodeView:
        """
        A node's state with its age, and its lane.
        """
        lane = self._lanes.find(name)
        node = self._node(name) if lane is None or not self._lanes.is_absent(name) else lane.node
        observed = self._world.sightings.last(name)
        age = None if observed.at is None else self._world.clock.seconds() - observed.at
        in_play = lane.in_play.view() if lane is not None and lane.in_play is not None else None
        waiting = tuple(action.view() for action in lane.waiting) if lane is not None else ()
        wanted, drifted, parked = self.wants.of(name), self.wants.drifted(name), self.breakers.parking(node)
        held = self.holds.of(name)
        return NodeView(node, observed, age, in_play, waiting, wanted, drifted, held, parked)

    def busy(self) -> Sequence[NodeView]:
        """
        The nodes with something in play or waiting.
        """
        return [self.view(name) for name in self._unfinished()]

    def outstanding(self) -> Sequence[str]:
        """
        Names of the nodes with something unfinished, with other power than is wanted, or held.
        """
        return list(dict.fromkeys([*self._unfinished(), *self.wants.drifting(), *self.holds.names()]))

    @property
    def pending(self) -> int:
        """
        How many actions are in play or waiting.
        """
        return len(self._course.actions)

    def is_busy(self, name: str) -> bool:
        """
        Whether a node has something in play or waiting.
        """
        lane = self._lanes.find(name)
        return lane is not None and not lane.at_rest

    def crowds(self) -> Sequence[Crowd]:
        """
        How many are starting, and wait for that, in each group that limits it and in the fleet.
        """
        return self._world.starts.crowds()

    @abstractmethod
    def _node(self, name: str) -> Node:
        """
        A node by its name.

        :raises NoSuchNode: no such node.
        """

    def _unfinished(self) -> dict[str, None]:
        return dict.fromkeys(action.node.name for action in self._course.actions.values())
