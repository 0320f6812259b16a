# SPDX-License-Identifier: MIT
"""
All lanes, by the names of their nodes, and those whose node nobody knows yet.

# Note [Absent nodes]

A node that a caller described is not in the configuration, and the journal
holds no secrets: after a restart its actions have no node to talk to.  They
wait in their lane, where they can be seen, joined, cancelled and resolved,
until somebody names the node again and the roster knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import define, field

from powercoord.model import Node, Target
from powercoord.registry.action import PowerAction
from powercoord.registry.lane import Lane

_NOWHERE = Target("", "", "", None)


@define(eq=False)
class Lanes:
    """
    The lanes, made when they are needed.
    """

    _lanes: dict[str, Lane] = field(factory=dict, init=False)
    _absent: set[str] = field(factory=set, init=False)
    _sequences: dict[str, int] = field(factory=dict, init=False)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def find(self, name: str) -> Lane | None:
        """
        The lane of a node, if it ever needed one.
        """
        return self._lanes.get(name)

    def going_on(self, name: str) -> tuple[str, ...]:
        """
        The ids of a node's actions, in order.
        """
        lane = self._lanes.get(name)
        return () if lane is None else tuple(action.id for action in lane.all())

    def holding(self, action: PowerAction) -> Lane:
        """
        The lane that an action is in.
        """
        return self._lanes[action.node.name]

    def of(self, node: Node) -> Lane:
        """
        The lane of a node.
        """
        lane = self._lanes.get(node.name)
        if lane is None:
            lane = self._lanes[node.name] = Lane(node)
            lane.last_sequence = self._sequences.pop(node.name, None)
        return lane

    def of_absent(self, name: str) -> Lane:
        """
        The lane of a node of which only the name is known.
        """
        self._absent.add(name)
        return self.of(Node(name, _NOWHERE, configured=False))

    @property
    def any_absent(self) -> bool:
        """
        Whether there is any lane whose node nobody has named yet.
        """
        return bool(self._absent)

    def is_absent(self, name: str) -> bool:
        """
        Whether nobody has said yet what that node is.
        """
        return name in self._absent

    def brought(self, node: Node) -> Lane:
        """
        Now it is known what an absent node is.
        """
        self._absent.discard(node.name)
        lane = self._lanes[node.name]
        lane.node = node
        for action in lane.all():
            action.belongs_to(node)
        return lane

    def remember(self, sequences: Mapping[str, int]) -> None:
        """
        The last accepted sequences, for lanes that are still to be made.
        """
        self._sequences.update(sequences)
