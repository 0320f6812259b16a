# SPDX-License-Identifier: MIT
"""
From the node set on the command line to names that the coordinator knows.

All names are checked before anything is asked for: a set with one unknown
node changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from powercoord.errors import NoSuchNode
from powercoord.folding import fold
from powercoord.nearest import Nearest
from powercoord.nodeset import expand

if TYPE_CHECKING:  # at run time it would import Twisted
    from powercoord.client import Client, RosterEntry

# Up to so many nodes it costs less to ask for each than for the whole roster.
_FEW = 200


@frozen
class Wanted:
    """
    A node set as it was written; with groups its names are the coordinator's to tell.
    """

    text: str
    names: tuple[str, ...] | None


def wanted(text: str) -> Wanted:
    """
    Check a node set as far as that is possible without the coordinator.

    :raises NodeSetError: it is none.
    """
    return Wanted(text, None if "@" in text else expand(text))


async def resolve(client: Client, nodes: Wanted) -> tuple[str, ...]:
    """
    The names of the nodes, each of which the coordinator knows.

    :raises NoSuchNode: naming those that it does not.
    """
    if nodes.names is not None and len(nodes.names) <= _FEW:
        try:
            await client.status(nodes.names)
        except NoSuchNode:
            # It names the first; an operator wants to see all.
            pass
        else:
            return nodes.names
    roster: Sequence[RosterEntry] = await client.nodes()
    names = expand(nodes.text, groups_of(roster)) if nodes.names is None else nodes.names
    check(names, [entry.name for entry in roster])
    return names


def groups_of(roster: Sequence[RosterEntry]) -> Mapping[str, Sequence[str]]:
    """
    The groups that a node set may name.
    """
    groups: dict[str, list[str]] = {"all": [entry.name for entry in roster]}
    for entry in roster:
        for group in entry.groups:
            groups.setdefault(group, []).append(entry.name)
    return groups


def check(names: Sequence[str], known: Collection[str]) -> None:
    """
    :raises NoSuchNode: some are not known; names them and the nearest known one.
    """
    there = set(known)
    unknown = [name for name in names if name not in there]
    if not unknown:
        return
    near = Nearest(there).to(unknown[0])
    what = (
        f"unknown node '{unknown[0]}'"
        if len(unknown) == 1
        else f"{len(unknown)} unknown nodes: {fold(unknown)}"
    )
    raise NoSuchNode(what + (f"; did you mean '{near}'?" if near else ""))
