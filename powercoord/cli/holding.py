# SPDX-License-Identifier: MIT
"""
Hold nodes and release them, and tell who holds which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from powercoord.cli.exits import NOT_REACHED, REACHED
from powercoord.cli.naming import Wanted, check, resolve
from powercoord.cli.screen import Screen, count_of
from powercoord.cli.session import World
from powercoord.cli.telling import ONLY
from powercoord.cli.times import Until, local, until
from powercoord.client import HeldNode, NodeStatus, ReleasedNode
from powercoord.errors import NoSuchNode
from powercoord.folding import fold
from powercoord.forms import hold_form
from powercoord.holds import Hold
from powercoord.model import Goal


async def hold_nodes(nodes: Wanted, reason: str, end: Until | None, only: Goal | None, world: World) -> int:
    """
    Hold these nodes.
    """
    names = await resolve(world.client, nodes)
    lasting = end.total_seconds() if isinstance(end, timedelta) else None
    answers = await world.client.hold(
        names, reason, until=until(end, world.now()), lasting=lasting, only=only
    )
    refused = [answer for answer in answers if answer.error is not None]
    if world.screen.json:
        world.screen.document({"ok": not refused, "nodes": [_held_form(answer) for answer in answers]})
    else:
        _table(world.screen, [(_said_held(answer), answer.node) for answer in answers])
        _tell_going_on([answer.node for answer in answers if answer.going_on], world.screen)
    return NOT_REACHED if refused else REACHED


def _tell_going_on(nodes: Sequence[str], screen: Screen) -> None:
    if nodes:
        screen.note(
            f"What was accepted before goes on: on {fold(nodes)}. 'powercoord cancel' stops it.", "bold"
        )


async def release_nodes(nodes: Wanted, holder: str | None, everybody: bool, world: World) -> int:
    """
    Release these nodes; who else holds them is told.
    """
    names = await _known_or_held(nodes, world)
    answers = await world.client.release(names, holder=holder, everybody=everybody)
    left = {answer.node for answer in answers if answer.left}
    statuses = [each for each in await world.client.list_outstanding() if each.name in left] if left else []
    bad = any(answer.left or answer.error is not None for answer in answers)
    if world.screen.json:
        holds = {status.name: _holds(status.holds) for status in statuses}
        forms = [_released_form(answer) | {"holds": holds.get(answer.node, [])} for answer in answers]
        world.screen.document({"ok": not bad, "nodes": forms})
    else:
        _table(world.screen, [(_said_released(answer), answer.node) for answer in answers])
        tell_holds(statuses, world.screen)
        if left and not everybody:
            world.screen.note("'powercoord release --holder NAME' releases what somebody else holds.")
    return NOT_REACHED if bad else REACHED


async def _known_or_held(nodes: Wanted, world: World) -> Sequence[str]:
    """
    A node that is gone from the configuration can be released, too.

    :raises NoSuchNode: naming those that nobody knows.
    """
    try:
        return await resolve(world.client, nodes)
    except NoSuchNode:
        if nodes.names is None:
            raise
    held = [status.name for status in await world.client.list_outstanding() if status.holds]
    check(nodes.names, [*held, *(entry.name for entry in await world.client.nodes())])
    return nodes.names


def tell_holds(statuses: Iterable[NodeStatus], screen: Screen) -> None:
    """
    A line for each thing that people say of nodes.
    """
    alike: dict[str, list[str]] = {}
    for status in statuses:
        for hold in status.holds:
            alike.setdefault(_said(hold), []).append(status.name)
        if status.more_holds:
            alike.setdefault(f"held by {status.more_holds} more", []).append(status.name)
    for words, names in alike.items():
        is_ = "is" if len(names) == 1 else "are"
        screen.line(f"{count_of(len(names), 'node')} {is_} {words}: {fold(names)}", "bold yellow")


def _said(hold: Hold) -> str:
    end = "" if hold.until is None else f" until {local(hold.until)}"
    return f"held by {hold.holder} since {local(hold.since)}{end}{ONLY[hold.only]} ({hold.reason})"


def _holds(holds: Iterable[Hold]) -> list[dict[str, Any]]:
    return [hold_form(hold) for hold in holds]


def _said_held(answer: HeldNode) -> tuple[str, str]:
    if answer.error is not None:
        return "refused", str(answer.error).removeprefix(f"{answer.node}: ")
    return ("held anew", "yours of before is replaced") if answer.anew else ("held", "")


def _said_released(answer: ReleasedNode) -> tuple[str, str]:
    if answer.error is not None:
        return "refused", str(answer.error).removeprefix(f"{answer.node}: ")
    if answer.left:
        return "still held", "by somebody else" if answer.left == 1 else f"by {answer.left} others"
    return ("released", "") if answer.released else ("released", "nobody held it")


def _table(screen: Screen, said: Iterable[tuple[tuple[str, str], str]]) -> None:
    alike: dict[tuple[str, str], list[str]] = {}
    for words, node in said:
        alike.setdefault(words, []).append(node)
    screen.table(
        ("RESULT", "COUNT", "NODES", "REASON"),
        [(word, str(len(names)), fold(names), reason) for (word, reason), names in alike.items()],
        [_STYLES[word] for word, _ in alike],
    )


_STYLES = {
    "held": "green",
    "held anew": "green",
    "released": "green",
    "still held": "yellow",
    "refused": "red",
}


def _held_form(answer: HeldNode) -> dict[str, Any]:
    if answer.error is not None:
        return {"node": answer.node, "held": False, "code": answer.error.code, "text": str(answer.error)}
    return {"node": answer.node, "held": True, "anew": answer.anew, "going_on": list(answer.going_on)}


def _released_form(answer: ReleasedNode) -> dict[str, Any]:
    if answer.error is not None:
        return {"node": answer.node, "code": answer.error.code, "text": str(answer.error)}
    return {"node": answer.node, "released": answer.released, "left": answer.left}
