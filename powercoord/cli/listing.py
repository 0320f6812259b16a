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
    alike: dict[tuple[str, tuple[str, ...], bool], list[str]] = {}
    for entry in chosen:
        alike.setdefault((entry.driver, entry.groups, entry.configured), []).append(entry.name)
    world.screen.table(
        ("NODES", "COUNT", "DRIVER", "GROUPS", "FROM"),
        [
            (
                fold(names),
                str(len(names)),
                driver,
                ",".join(groups),
                "configuration" if configured else "a caller",
            )
            for (driver, groups, configured), names in alike.items()
        ],
    )


def _form(entry: RosterEntry) -> dict[str, Any]:
    return {
        "node": entry.name,
        "driver": entry.driver,
        "groups": list(entry.groups),
        "configured": entry.configured,
    }


async def list_drivers(name: str | None, world: World) -> int:
    """
    All drivers, or the settings of one.

    :raises UnknownPowerType: it is not there.
    """
    found = await world.client.drivers()
    chosen = [driver for driver in found if name in (None, driver["name"])]
    if not chosen and name is not None:
        known = [str(driver["name"]) for driver in found]
        near = nearest(name, known)
        hint = f"did you mean '{near}'?" if near else f"known: {', '.join(known) or 'none'}"
        raise UnknownPowerType(f"unknown driver '{name}'; {hint}")
    if world.screen.json:
        world.screen.document({"drivers": list(chosen)})
    elif name is None:
        rows = [(str(driver["name"]), str(driver.get("description", ""))) for driver in chosen]
        world.screen.table(("DRIVER", "FOR"), rows)
    else:
        _settings_table(chosen[0], world)
    return REACHED


def _settings_table(driver: Mapping[str, Any], world: World) -> None:
    world.screen.table(
        ("SETTING", "WHAT", "NEEDED", "DEFAULT", "CHOICES"),
        [
            (
                str(setting["name"]),
                str(setting.get("label", "")),
                "yes" if setting.get("required") else "",
                "" if setting.get("required") else _words(setting.get("default", "")),
                ", ".join(str(choice[0]) for choice in setting.get("choices") or ()),
            )
            for setting in driver.get("fields", ())
        ],
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
