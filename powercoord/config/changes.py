# SPDX-License-Identifier: MIT
"""
What is different between two configurations, for whoever reloads one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType

from attrs import field, fields_dict, frozen

from powercoord.config.keys import keys_of
from powercoord.config.mistakes import dotted
from powercoord.config.shape import Configuration
from powercoord.folding import fold
from powercoord.model import Limit, Node, Timing
from powercoord.parking import ParkingRules
from powercoord.strict import Path

RELOADED = frozenset({"callers", "drivers", "endpoints", "fleet", "groups", "nodes", "sweep", "timing"})
"""
The tables whose keys hold from a reload on; those of all others hold from the next start.
"""


class Aspect(Enum):
    """
    In which way a node that stays is another than before.

    ``MACHINE``: its name stands for another machine (or outlet, or domain).
    ``SETTINGS``: the same machine, reached in another way.
    """

    MACHINE = "machine"
    SETTINGS = "settings"
    GROUPS = "groups"
    TIMING = "timing"
    ON_DRIFT = "on_drift"
    START_WATTS = "start_watts"
    REQUIRES = "requires"


@frozen(kw_only=True)
class Changes:
    """
    What is different; names in the order of the file they stand in.

    :param changed: what is different about each node that is in both.
    :param keys: those outside of nodes that have another value, dotted.  A
        secret's key is among them, its value never.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, frozenset[Aspect]] = field(factory=lambda: MappingProxyType({}))
    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.keys)

    def needing_restart(self, reloaded: Collection[str] = RELOADED) -> tuple[str, ...]:
        """
        The keys whose new values do not hold before the next start.
        """
        return tuple(key for key in self.keys if key.partition(".")[0] not in reloaded)

    def lines(self) -> Iterator[str]:
        """
        A line for each thing there is to say, for the log.
        """
        if self.added:
            yield f"added: {fold(self.added)}"
        if self.removed:
            yield f"removed: {fold(self.removed)}"
        for aspect in Aspect:
            names = [name for name, aspects in self.changed.items() if aspect in aspects]
            if names:
                yield f"changed ({aspect.value}): {fold(names)}"
        later = self.needing_restart()
        now = [key for key in self.keys if key not in later]
        if now:
            yield f"changed: {', '.join(now)}"
        if later:
            yield f"changed, and holding only after a restart: {', '.join(later)}"


def compare(old: Configuration, new: Configuration) -> Changes:
    """
    Say what is different in a new configuration.
    """
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    aspects = {name: _aspects(before[name], node) for name, node in after.items() if name in before}
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed={name: different for name, different in aspects.items() if different},
        keys=tuple(_keys(old, new)),
    )


def _aspects(old: Node, new: Node) -> frozenset[Aspect]:
    machine = _machine(old) != _machine(new)
    different = {
        Aspect.MACHINE: machine,
        Aspect.SETTINGS: not machine and old.target.settings != new.target.settings,
        Aspect.GROUPS: old.groups != new.groups,
        Aspect.TIMING: old.timing != new.timing,
        Aspect.ON_DRIFT: old.on_drift is not new.on_drift,
        Aspect.START_WATTS: old.start_watts != new.start_watts,
        Aspect.REQUIRES: (old.requires, old.ready) != (new.requires, new.ready),
    }
    return frozenset(aspect for aspect, is_different in different.items() if is_different)


def _machine(node: Node) -> tuple[str, str, str]:
    return node.target.driver, node.target.endpoint, node.target.selector


def _keys(old: Configuration, new: Configuration) -> Iterator[str]:
    for table in ("server", "journal", "region", "sweep"):
        before, after = getattr(old, table), getattr(new, table)
        names = [key.name for key in keys_of(type(after))]
        yield from _different((table,), before, after, names)
    yield from _different(("timing",), old.timing, new.timing, fields_dict(Timing))
    yield from _different(("fleet",), old.fleet, new.fleet, fields_dict(Limit))
    for group in {**old.groups, **new.groups}:
        before, after = (each.groups.get(group, Limit()) for each in (old, new))
        yield from _different(("groups", group), before, after, fields_dict(Limit))
    if old.endpoint_limit != new.endpoint_limit:
        yield "endpoints.limit"
    if old.endpoint_gap != new.endpoint_gap:
        yield "endpoints.gap"
    for name in fields_dict(ParkingRules):
        if getattr(old.parking, name) != getattr(new.parking, name):
            yield f"endpoints.park_{name}"
    for caller in {**old.weights, **new.weights}:
        if old.weights.get(caller) != new.weights.get(caller):
            yield dotted(("callers", caller, "weight"))
    yield from _drivers(old, new)


def _drivers(old: Configuration, new: Configuration) -> Iterator[str]:
    tables = [
        table for each in (old, new) for table in (each.defaults, each.endpoint_limits, each.endpoint_gaps)
    ]
    for driver in dict.fromkeys(name for table in tables for name in table):
        if old.defaults.get(driver) != new.defaults.get(driver):
            yield dotted(("drivers", driver))
        if old.endpoint_limits.get(driver) != new.endpoint_limits.get(driver):
            yield dotted(("drivers", driver, "endpoint_limit"))
        if old.endpoint_gaps.get(driver) != new.endpoint_gaps.get(driver):
            yield dotted(("drivers", driver, "endpoint_gap"))


def _different(path: Path, old: object, new: object, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if getattr(old, name) != getattr(new, name):
            yield dotted((*path, name))
