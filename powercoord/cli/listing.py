# SPDX-License-Identifier: MIT
"""
List what the coordinator has: nodes and drivers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from powercoord.cli.exits import REACHED
from powercoord.cli.naming import Wanted, check, groups_of
from powercoord.cli.session import World
from powercoord.client import RosterEntry
from powercoord.errors import UnknownPowerType
from powercoord.folding import fold
from powercoord.nearest import nearest
from powercoord.nodeset import expand


async def list_nodes(nodes: Wanted | None, world: World) -> int:
    """
    Nodes with driver and groups, alike ones together.
    """
    roster = await world.client.nodes()
    by_name = {entry.name: entry for entry in roster}
    names = list(by_name) if nodes is None else nodes.names or expand(nodes.text, groups_of(roster))
    check(names, by_name)
    chosen = [by_name[name] for name in names]
    if world.screen.json:
        world.screen.document({"nodes": [_form(entry) for entry in chosen]})
    elif not chosen:
        world.screen.line("There are no nodes.")
    else:
        _table(chosen, world)
    return REACHED


def _table(chosen: Sequence[RosterEntry], world: World) -> None:
    alike: dict[tuple[str, tuple[str, ...], bool, tuple[str, ...]], list[str]] = {}
    for entry in chosen:
        kind = (entry.driver, entry.groups, entry.configured, entry.requires)
        alike.setdefault(kind, []).append(entry.name)
    dependent = any(entry.requires for entry in chosen)
    world.screen.table(
        ("NODES", "COUNT", "DRIVER", "GROUPS", "FROM", *(("REQUIRES",) if dependent else ())),
        [
            (
                fold(names),
                str(len(names)),
                driver,
                ",".join(groups),
                "configuration" if configured else "a caller",
                *((fold(requires),) if dependent else ()),
            )
            for (driver, groups, configured, requires), names in alike.items()
        ],
    )


def _form(entry: RosterEntry) -> dict[str, Any]:
    return {
        "node": entry.name,
        "driver": entry.driver,
        "groups": list(entry.groups),
        "configured": entry.configured,
        "requires": list(entry.requires),
    }


async def list_drivers(name: str | None, world: World) -> int:
    """
    All drivers, or the settings of one.

    :raises UnknownPowerType: it is not there, or does not work.
    """
    found = await world.client.installed()
    chosen = [driver for driver in found["drivers"] if name in (None, driver["name"])]
    if not chosen and name is not None:
        raise UnknownPowerType(_unknown(name, found))
    if world.screen.json:
        broken = list(found["broken"]) if name is None else []
        world.screen.document({"drivers": chosen, "broken": broken})
    elif name is None:
        _drivers_table(chosen, found["broken"], world)
    else:
        _settings_table(chosen[0], world)
    return REACHED


def _unknown(name: str, found: Mapping[str, Any]) -> str:
    for driver in found["broken"]:
        if driver["name"] == name:
            return f"driver '{name}' is installed but does not work: {driver['reason']}"
    known = [str(driver["name"]) for driver in found["drivers"]]
    near = nearest(name, known)
    hint = f"did you mean '{near}'?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown driver '{name}'; {hint}"


def _drivers_table(
    drivers: Sequence[Mapping[str, Any]], broken: Sequence[Mapping[str, Any]], world: World
) -> None:
    rows = [
        (str(it["name"]), str(it["title"]), str(it["from"]), _lacks(it["missing_tools"])) for it in drivers
    ]
    rows += [(str(it["name"]), "", "", f"does not work: {it['reason']}") for it in broken]
    styles = ["yellow" if row[3] else "" for row in rows[: len(drivers)]] + ["red"] * len(broken)
    world.screen.table(("DRIVER", "FOR", "FROM", "LACKS"), rows, styles)


def _lacks(tools: Sequence[str]) -> str:
    return f"not installed: {', '.join(tools)}" if tools else ""


def _settings_table(driver: Mapping[str, Any], world: World) -> None:
    world.screen.table(
        ("SETTING", "WHAT", "TYPE", "NEEDED", "DEFAULT", "SECRET", "OF THE", "CHOICES"),
        [
            (
                str(setting["name"]),
                str(setting["label"]),
                str(setting["type"]),
                "yes" if setting["required"] else "",
                "" if setting["required"] else _words(setting["default"]),
                "yes" if setting["secret"] else "",
                setting["scope"].upper() if setting["scope"] == "bmc" else str(setting["scope"]),
                ", ".join(str(choice[0]) for choice in setting["choices"]),
            )
            for setting in driver["settings"]
        ],
    )


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
