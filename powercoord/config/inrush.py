# SPDX-License-Identifier: MIT
"""
What limits how nodes start: groups inside of groups, and what each node draws.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from attrs import Factory, define

from powercoord.config.mistakes import Findings
from powercoord.config.shape import FleetTable, GroupTable, NodeTable
from powercoord.model import Limit
from powercoord.nearest import nearest
from powercoord.strict import Path


def limit_of(table: FleetTable) -> Limit:
    """
    The limits that a table sets.
    """
    parent = table.parent if isinstance(table, GroupTable) else None
    return Limit(table.max_starting, table.settle, table.start_interval, table.max_watts, parent)


def check_groups(groups: Mapping[str, GroupTable], members: Collection[str], findings: Findings) -> None:
    """
    Note groups that nobody is in, and parents that are none.
    """
    inhabited = {around for name in members for around in _upwards(name, groups)}
    for name, table in groups.items():
        path: Path = ("groups", name)
        if table.parent is not None and table.parent not in groups:
            hint = _hint(table.parent, groups) or f"; say what its limits are in [groups.{table.parent}]"
            findings.mistake((*path, "parent"), f"there is no group '{table.parent}'{hint}")
        if name not in inhabited:
            findings.mistake(path, f"no node is in group '{name}'{_hint(name, members)}")
    for circle in _circles(groups):
        words = " is in ".join(f"'{name}'" for name in (*circle, circle[0]))
        findings.mistake(("groups", circle[0], "parent"), f"a group cannot be inside of itself: {words}")


@define
class Watts:
    """
    What nodes draw while they start: a node's own, or its groups', its driver's, the fleet's.

    :param drivers: by driver, where the table of one says so.
    """

    fleet: FleetTable
    groups: Mapping[str, GroupTable]
    drivers: Mapping[str, int]
    findings: Findings
    _told: set[tuple[Path, str]] = Factory(set)

    def __attrs_post_init__(self) -> None:
        said: list[tuple[Path, int | None]] = [(("fleet", "start_watts"), self.fleet.start_watts)]
        said += [(("drivers", name, "start_watts"), watts) for name, watts in self.drivers.items()]
        for path, watts in said:
            if watts is not None:
                self._compare(watts, path, "all", "fleet", self.fleet.max_watts)

    def of_driver(self, name: str) -> int | None:
        """
        What a node of that driver draws of which nothing else is known.
        """
        return self.drivers.get(name, self.fleet.start_watts)

    def of(self, own: NodeTable, path: Path) -> int:
        """
        What the nodes of a table draw.  Where their groups disagree it is the most.
        """
        watts, source = self._said(own, path)
        for name, most in self._limits(own.groups):
            if most is not None:
                self._compare(watts, source, "they" if source[0] == "nodes" else "nodes", name, most)
        return watts or 0

    def _said(self, own: NodeTable, path: Path) -> tuple[int | None, Path]:
        if own.start_watts is not None:
            return own.start_watts, (*path, "start_watts")
        by_group = {name: table.start_watts for name in own.groups if (table := self.groups.get(name))}
        said = {name: watts for name, watts in by_group.items() if watts is not None}
        if said:
            most = max(said, key=lambda name: said[name])
            return said[most], ("groups", most, "start_watts")
        if own.driver in self.drivers:
            return self.drivers[own.driver], ("drivers", own.driver, "start_watts")
        return self.fleet.start_watts, path if self.fleet.start_watts is None else ("fleet", "start_watts")

    def _limits(self, groups: Sequence[str]) -> Iterator[tuple[str, int | None]]:
        names = dict.fromkeys(around for name in groups for around in _upwards(name, self.groups))
        for name in names:
            table = self.groups.get(name)
            yield f"groups.{name}", None if table is None else table.max_watts
        yield "fleet", self.fleet.max_watts

    def _compare(self, watts: int | None, path: Path, whose: str, name: str, most: int | None) -> None:
        """
        Note once what is missing, or is too much for a limit.
        """
        if most is None or (path, name) in self._told or (watts is not None and watts <= most):
            return
        self._told.add((path, name))
        if watts is None:
            text = (
                f"missing: {name}.max_watts needs to know what these nodes draw while they start;"
                " say it here, or for a group of theirs, their driver or the fleet"
            )
            self.findings.mistake((*path, "start_watts"), text)
        else:
            text = f"{watts} W is above {name}.max_watts, {most} W: {whose} could never start"
            self.findings.mistake(path, text)


def _upwards(name: str, groups: Mapping[str, GroupTable]) -> Iterator[str]:
    """
    A group, and those around it.
    """
    passed: set[str] = set()
    inner: str | None = name
    while inner is not None and inner not in passed:
        yield inner
        passed.add(inner)
        inner = groups[inner].parent if inner in groups else None


def _circles(groups: Mapping[str, GroupTable]) -> Iterator[Sequence[str]]:
    """
    Each circle once, from the first of its groups that the file names.
    """
    told: set[str] = set()
    for name in groups:
        chain = list(_upwards(name, groups))
        last = groups.get(chain[-1])
        if last is not None and last.parent == name and name not in told:
            told.update(chain)
            yield chain


def _hint(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""
