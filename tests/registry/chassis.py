# SPDX-License-Identifier: MIT
"""
A rack whose nodes require one another, and who tells when one was commanded without what it requires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed

from powercoord.entries import Accepted
from powercoord.interfaces import IOperation
from powercoord.model import Command, Node, Ready, Target
from powercoord.testing.driver import FakeDriver, FakeSettings
from tests.registry.world import World, quick


@define(eq=False)
class WatchedDriver(FakeDriver):
    """
    Notes each command with what every machine was at that moment.

    :param seen: time, node, command, and the names of the nodes that were on.
    :param watch: called with node, command and those names, at the moment itself.
    """

    seen: list[tuple[float, str, str, frozenset[str]]] = field(factory=list, init=False)
    watch: Callable[[str, str, frozenset[str]], None] = field(default=lambda *_: None, init=False)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        As any, and noted.
        """
        on = frozenset(name.partition("/")[0] for name, machine in self.machines.items() if machine.on)
        name = target.endpoint.partition(":")[2]
        self.seen.append((self.clock.seconds(), name, command.value, on))
        self.watch(name, command.value, on)
        await FakeDriver.command(self, target, command, operation)


@define(eq=False)
class Chassis(World):
    """
    Nodes that require others, each with an endpoint of its own; all were seen once.

    :param requires: by node, what it requires.
    :param ready: by node, when it carries others.
    :param refusals: what the next probes say; then all is well.
    """

    requires: Mapping[str, tuple[str, ...]] = field(factory=dict)
    ready: Mapping[str, Ready] = field(factory=dict)
    limits_of: Mapping[str, tuple[str, ...]] = field(factory=dict)
    make_driver: Any = WatchedDriver
    refusals: list[str] = field(factory=list, init=False)
    probes: list[str] = field(factory=list, init=False)

    def names(self) -> list[str]:
        """
        All that require, or are required.
        """
        return list(self.requires)

    def node(self, name: str) -> Node:
        """
        One node.
        """
        target = self.driver.target(FakeSettings(address=name, outlet=name))
        node = Node(name, target, self.limits_of.get(name, ()), self.timing)
        return evolve(node, requires=self.requires[name], ready=self.ready.get(name, Ready()))

    def probe(self, address: str) -> Deferred[str]:
        """
        As told.
        """
        self.probes.append(address)
        return succeed(self.refusals.pop(0) if self.refusals else "")

    def look(self) -> None:
        """
        See every node once.
        """
        for name in self.names():
            self.registry.query(name)
        self.turn(0.1)

    def above(self, name: str) -> set[str]:
        """
        All that require a node, and that require those.
        """
        direct = {each for each, required in self.requires.items() if name in required}
        return direct.union(*map(self.above, direct))

    def settled_at(self, name: str) -> float:
        """
        From when on a node that is on carries others.
        """
        since = self.registry._world.sightings.on_since(name)  # noqa: SLF001 - a test's own
        return since + self.ready.get(name, Ready()).after

    def accepted(self, name: str) -> list[tuple[str, str]]:
        """
        What was asked of a node, and by whom.
        """
        return [
            (entry.request.verb.value, entry.request.requester)
            for entry in self.journal.of(Accepted)
            if entry.request.node == name
        ]


def chassis(*on: str, **changes: Any) -> Chassis:
    """
    A bar that carries a chassis with two blades; those that are named are on.
    """
    changes.setdefault("timing", quick())
    changes.setdefault("requires", {"bar": (), "box": ("bar",), "b1": ("box",), "b2": ("box",)})
    world = Chassis(**changes)
    for name in world.names():
        world.machine(name).on = name in on
    world.look()
    return world
