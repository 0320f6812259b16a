# SPDX-License-Identifier: MIT
"""
The nodes of a configuration: node sets paired with addresses, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, fields_dict

from powercoord.config.inrush import Watts
from powercoord.config.mistakes import Findings, dotted
from powercoord.config.required import Required
from powercoord.config.secrets import Surroundings
from powercoord.config.settings import Kind, Prepared, make, missing, prepare
from powercoord.config.shape import GroupTable, NodeTable
from powercoord.config.timing import Layer, combine, shortfalls, source
from powercoord.errors import PowerSettingError
from powercoord.folding import fold
from powercoord.model import Command, Node, OnDrift, Target, Timing
from powercoord.nearest import nearest
from powercoord.nodeset import NodeSetError, expand, is_name
from powercoord.strict import Path

_COMMON = list(fields_dict(NodeTable))
ALL = "all"


@define
class NodesReader:
    """
    Reads the tables of nodes, in their order, and remembers what was taken.

    :param kinds: the drivers that are installed.
    :param broken: those that are installed and do not work, with the reason.
    :param defaults: settings by driver.
    :param layers: the timing tables below those of the nodes: of the fleet,
        and by driver.
    :param watts: what nodes draw.
    :param on_drift: what holds where neither node nor groups say anything.
    """

    kinds: Mapping[str, Kind]
    broken: Mapping[str, str]
    defaults: Mapping[str, Prepared]
    fleet_layer: Layer
    driver_layers: Mapping[str, Layer]
    groups: Mapping[str, GroupTable]
    on_drift: OnDrift
    watts: Watts
    around: Surroundings
    findings: Findings
    members: dict[str, int] = Factory(dict)
    required: Required = field(init=False)
    _taken: dict[str, Path] = Factory(dict)
    _machines: dict[tuple[str, str], str] = Factory(dict)
    _timings: dict[tuple[Any, ...], Timing] = Factory(dict)
    _checked: set[tuple[Any, ...]] = Factory(set)

    def __attrs_post_init__(self) -> None:
        self.required = Required(self.findings)

    def read(self, tables: Mapping[str, object]) -> tuple[Node, ...]:
        """
        All nodes of all tables.
        """
        nodes = tuple(node for words, table in tables.items() for node in self._table(words, table))
        self.required.check(nodes, self._taken, self._reads)
        return nodes

    def _table(self, words: str, table: object) -> Sequence[Node]:
        path: Path = ("nodes", words)
        names = self._names(words, path)
        if not isinstance(table, dict):
            self.findings.take(table, NodeTable, path)
            return ()
        settings = {key: value for key, value in table.items() if key not in _COMMON}
        own = self.findings.take({key: table[key] for key in table if key in _COMMON}, NodeTable, path)
        if own is None:
            return ()
        self._count(own, path)
        kind = self._kind(own.driver, (*path, "driver"))
        if kind is None:
            return ()
        prepared = prepare(kind, settings, path, _COMMON, self.around, self.findings)
        prepared = prepared.over(self.defaults.get(own.driver, Prepared()))
        if not self._complete(kind, prepared, names, path):
            return ()
        return list(self._nodes(kind, prepared, own, names, path))

    def _reads(self, node: Node) -> bool:
        return self.kinds[node.target.driver].driver.capabilities.queryable

    def _names(self, words: str, path: Path) -> Sequence[str]:
        try:
            names = expand(words)
        except NodeSetError as error:
            self.findings.mistake(path, str(error))
            return ()
        twice = [name for name in names if name in self._taken]
        if twice:
            first = dotted(self._taken[twice[0]])
            self.findings.mistake(path, f"{fold(twice)} stands in {first} already; a node has one table")
        for name in names:
            self._taken.setdefault(name, path)
        return names

    def _kind(self, driver: str, path: Path) -> Kind | None:
        kind = self.kinds.get(driver)
        if kind is None:
            self.findings.mistake(path, unknown_driver(driver, self.kinds, self.broken))
        return kind

    def _count(self, own: NodeTable, path: Path) -> None:
        for index, group in enumerate(own.groups):
            if not is_name(group) or group == ALL:
                reason = "every node is in it" if group == ALL else "a name begins with a letter or digit"
                self.findings.mistake((*path, "groups", index), f"'{group}' cannot be a group: {reason}")
            self.members[group] = self.members.get(group, 0) + 1

    def _complete(self, kind: Kind, prepared: Prepared, names: Sequence[str], path: Path) -> bool:
        before = len(self.findings.wrong)
        for described in missing(kind, prepared):
            text = f"missing: driver {kind.driver.name} needs it ({described.setting.label})"
            self.findings.mistake((*path, described.name), text)
        for name, values in prepared.ranges.items():
            if names and len(values) != len(names):
                self.findings.mistake(
                    (*path, name),
                    f"{len(values)} values for {len(names)} nodes; both ranges must have the same size",
                )
        usable = not any(kind.settings[name].required for name in prepared.broken)
        return len(self.findings.wrong) == before and usable and bool(names)

    def _nodes(
        self, kind: Kind, prepared: Prepared, own: NodeTable, names: Sequence[str], path: Path
    ) -> Iterator[Node]:
        layers = self._layers(own, path)
        requires = self.required.read(own.requires, names, path)
        ready = self.required.ready(own.ready, path)
        timing = self._timing(layers)
        on_drift = self._on_drift(kind, own, path)
        watts = self.watts.of(own, path)
        shared: list[str] = []
        for index, name in enumerate(names):
            try:
                settings = make(kind, prepared, index)
                target = kind.driver.target(settings)
            except (ValueError, PowerSettingError) as error:
                self.findings.mistake(path, f"{name}: {error}")
                return
            if index == 0:
                self._check_times(kind, settings, timing, layers, path)
            other = self._machines.setdefault((target.endpoint, target.selector), name)
            # With a setting missing they may only look alike.
            if other != name and not prepared.broken:
                shared.append(f"{name} would be the same machine as {other}, {_place(target)}")
            yield Node(
                name,
                target,
                own.groups,
                timing,
                on_drift=on_drift,
                start_watts=watts,
                requires=requires,
                ready=ready,
            )
        if shared:
            also = f" (and {len(shared) - 1} more like it)" if len(shared) > 1 else ""
            self.findings.mistake(path, shared[0] + also)

    def _layers(self, own: NodeTable, path: Path) -> list[Layer]:
        groups = [
            Layer(("groups", group, "timing"), self.groups[group].timing)
            for group in own.groups
            if group in self.groups
        ]
        driver = [self.driver_layers[own.driver]] if own.driver in self.driver_layers else []
        return [self.fleet_layer, *driver, *groups, Layer((*path, "timing"), own.timing)]

    def _on_drift(self, kind: Kind, own: NodeTable, path: Path) -> OnDrift:
        """
        The node decides, else its groups together, else the fleet.
        """
        by_group = {group: table.on_drift for group in own.groups if (table := self.groups.get(group))}
        said = {group: on_drift for group, on_drift in by_group.items() if on_drift is not None}
        if own.on_drift is None and len(set(said.values())) > 1:
            words = ", ".join(f"group '{group}' says '{each.value}'" for group, each in said.items())
            self.findings.mistake((*path, "groups"), f"{words}; say on_drift here to decide")
        chosen = own.on_drift or next(iter(said.values()), self.on_drift)
        if chosen is OnDrift.ENFORCE and not kind.driver.capabilities.queryable:
            text = f"driver {kind.driver.name} cannot read power, so no drift is seen and none enforced"
            self.findings.warn((*path, "on_drift") if own.on_drift else path, text)
        return chosen

    def _timing(self, layers: Sequence[Layer]) -> Timing:
        wanted = tuple(layer.table for layer in layers)
        if wanted not in self._timings:
            self._timings[wanted] = combine(layers)
        return self._timings[wanted]

    def _check_times(
        self, kind: Kind, settings: object, timing: Timing, layers: Sequence[Layer], path: Path
    ) -> None:
        """
        Once for each combination of times and worst cases: many tables share a cause.
        """
        worst = (kind.driver.worst_case(settings, command) for command in (None, *Command))
        seen = (kind.driver.name, timing, *worst)
        if seen in self._checked:
            return
        self._checked.add(seen)
        for name, text in shortfalls(kind.driver, settings, timing):
            self.findings.mistake(source(layers, name) or (*path, "timing", name), text)


def _place(target: Target) -> str:
    return f"{target.endpoint} {target.selector}".strip()


def unknown_driver(name: str, kinds: Mapping[str, object], broken: Mapping[str, str]) -> str:
    """
    Say that a driver cannot be had, and what may have been meant.
    """
    if name in broken:
        return f"driver '{name}' is installed but does not work: {broken[name]}"
    near = nearest(name, kinds)
    known = f"did you mean '{near}'?" if near else f"installed: {', '.join(kinds) or 'none'}"
    return f"unknown driver '{name}'; {known}"
