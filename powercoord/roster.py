# SPDX-License-Identifier: MIT
"""
Who the nodes are: those of the configuration, and those that callers bring.

A caller that brings its own description (as MAAS does) gets the node that is
known already if it means the same machine, so that one machine has one lane
whatever it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve, fields
from zope.interface import implementer

from powercoord.errors import BadRequest, ConfigError, NoSuchNode, UnknownPowerType
from powercoord.interfaces import IPowerDriver, IRoster
from powercoord.model import Node, Target, Timing
from powercoord.nearest import Nearest, nearest
from powercoord.nodeset import is_name


class Defaults(Protocol):
    """
    What the operator decided for a driver's nodes that callers bring.

    ``settings`` are used where the caller's description says nothing; there
    are no secrets in it, for a caller names the address.
    """

    @property
    def settings(self) -> Mapping[str, object]: ...

    @property
    def timing(self) -> Timing: ...

    @property
    def start_watts(self) -> int: ...


_TWO_LANES = (
    "node '{}' is to be at {}, where an action for '{}' is not over yet, or it is held;"
    " wait for it, cancel it, or release it"
)


@implementer(IRoster)
class Roster:
    """
    Nodes by name, and by what they are.

    :param defaults: by driver, what holds for nodes that callers bring.
    :param max_adopted: how many of those are remembered.
    :param in_use: whether a node still has something in its lane, or is held; the
        one that was brought longest ago and is not in use makes room for a new one.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        drivers: Mapping[str, IPowerDriver],
        *,
        defaults: Mapping[str, Defaults] | None = None,
        max_adopted: int = 10_000,
        in_use: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._adopted: dict[str, Node] = {}
        self._drivers = drivers
        self._max_adopted = max_adopted
        self._in_use = in_use
        self._departed: dict[tuple[str, str], str] = {}
        self._configure({node.name: node for node in nodes}, defaults or {})

    def replace(self, nodes: Iterable[Node], defaults: Mapping[str, Defaults]) -> None:
        """
        Take another configuration's nodes in place of the present ones.

        A node that callers brought stays, unless it is configured now.

        :raises ConfigError: a machine that is in use under one name would get
            another, and so a second lane; nothing was changed.
        """
        configured = {node.name: node for node in nodes}
        in_use = {
            machine: name
            for machine, name in (self._departed | self._by_machine).items()
            if self._in_use(name)
        }
        for node in configured.values():
            known = in_use.get(_machine(node.target), node.name)
            if known != node.name:
                raise ConfigError(_TWO_LANES.format(node.name, node.target.endpoint, known))
        self._configure(configured, defaults)
        self._departed = {
            machine: name for machine, name in in_use.items() if self._by_machine.get(machine) != name
        }

    def _configure(self, configured: dict[str, Node], defaults: Mapping[str, Defaults]) -> None:
        mine = {_machine(node.target): name for name, node in configured.items()}
        self._adopted = {
            name: node
            for name, node in self._adopted.items()
            if name not in configured and _machine(node.target) not in mine
        }
        self._by_machine = {_machine(node.target): name for name, node in self._adopted.items()} | mine
        self._configured, self._defaults = configured, defaults
        self._nearest = Nearest(configured)
        self._groups = _groups(configured.values())
        self._requiring = _requiring(configured.values())

    def find(self, name: str) -> Node:
        node = self._configured.get(name) or self._adopted.get(name)
        if node is None:
            raise NoSuchNode(self._unknown(name))
        return node

    def adopt(self, name: str, power_type: str, context: Mapping[str, Any]) -> Node:
        driver = self._drivers.get(power_type)
        if driver is None:
            raise UnknownPowerType(self._unknown_driver(power_type))
        settings = self._with_defaults(power_type, driver.from_context(context))
        target = driver.target(settings)
        known = self._by_machine.get(_machine(target))
        before = self._departed.get(_machine(target), name)
        if before != name and self._in_use(before):
            raise BadRequest(_TWO_LANES.format(name, target.endpoint, before))
        if known is None or known == name:
            return self._remember(name, target)
        if name in self._configured:
            raise BadRequest(self._contradiction(name, target))
        return self._again(known, target)

    def names(self) -> Sequence[str]:
        return [*self._configured, *self._adopted]

    def groups(self) -> Mapping[str, Sequence[str]]:
        return self._groups

    def requiring(self, name: str) -> Sequence[str]:
        return self._requiring.get(name, ())

    def _remember(self, name: str, target: Target) -> Node:
        """
        Nobody else is this machine: the node is known by this name, or new.
        """
        if name in self._configured:
            if _machine(self._configured[name].target) != _machine(target):
                raise BadRequest(self._contradiction(name, target))
            return self._configured[name]
        if not is_name(name):
            raise BadRequest(f"'{name[:60]}' is no name for a node; use letters, digits, '_', '.', ':', '-'")
        if name not in self._adopted:
            self._make_room()
        return self._store(name, target)

    def _again(self, name: str, target: Target) -> Node:
        """
        This machine is known by another name; a description that is newer is better.
        """
        return self._configured.get(name) or self._store(name, target)

    def _store(self, name: str, target: Target) -> Node:
        previous = self._adopted.pop(name, None)
        if previous is not None:
            del self._by_machine[_machine(previous.target)]
        defaults = self._defaults.get(target.driver)
        timing = defaults.timing if defaults else Timing()
        watts = defaults.start_watts if defaults else 0
        node = Node(name, target, timing=timing, configured=False, start_watts=watts)
        if node == previous:
            node = previous
        self._adopted[name] = node
        self._by_machine[_machine(target)] = name
        return node

    def _make_room(self) -> None:
        if len(self._adopted) < self._max_adopted:
            return
        for name, node in self._adopted.items():
            if not self._in_use(name):
                del self._adopted[name]
                del self._by_machine[_machine(node.target)]
                return
        raise BadRequest(
            f"{self._max_adopted} nodes that callers described are in use already; raise server.max_adopted"
        )

    def _with_defaults(self, power_type: str, settings: Any) -> Any:
        """
        The operator's defaults, where the caller's description left those of the driver.
        """
        defaults = self._defaults.get(power_type)
        wanted = defaults.settings if defaults else {}
        changes = {
            attribute.name: wanted[attribute.name]
            for attribute in fields(type(settings))
            if attribute.name in wanted and getattr(settings, attribute.name) == attribute.default
        }
        return evolve(settings, **changes) if changes else settings

    def _unknown(self, name: str) -> str:
        near = self._nearest.to(name)
        return f"unknown node '{name[:60]}'" + (f"; did you mean '{near}'?" if near else "")

    def _unknown_driver(self, power_type: str) -> str:
        near = nearest(power_type, self._drivers)
        known = f"did you mean '{near}'?" if near else f"installed: {', '.join(self._drivers) or 'none'}"
        return f"unknown power type '{power_type[:60]}'; {known}"

    def _contradiction(self, name: str, target: Target) -> str:
        there = self._configured[name].target.endpoint
        return f"node '{name}' is configured at {there}, not at {target.endpoint}; correct one of them"


def _machine(target: Target) -> tuple[str, str]:
    return (target.endpoint, target.selector)


def _groups(nodes: Iterable[Node]) -> Mapping[str, Sequence[str]]:
    groups: dict[str, list[str]] = {}
    for node in nodes:
        for group in dict.fromkeys(node.groups):
            groups.setdefault(group, []).append(node.name)
    return groups


def _requiring(nodes: Iterable[Node]) -> Mapping[str, Sequence[str]]:
    requiring: dict[str, list[str]] = {}
    for node in nodes:
        for required in node.requires:
            requiring.setdefault(required, []).append(node.name)
    return requiring
