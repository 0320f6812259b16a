# SPDX-License-Identifier: MIT
"""
Show the power of nodes: as the registry knows it, or as their BMCs say now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from powercoord.cli.exits import NOT_KNOWN, REACHED
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.progress import meter
from powercoord.cli.screen import Screen
from powercoord.cli.session import World
from powercoord.client import NodeStatus, Reading
from powercoord.duration import format_duration
from powercoord.folding import fold
from powercoord.model import PowerState

_STYLES = {PowerState.ON: "green", PowerState.OFF: "", PowerState.ERROR: "red"}
_KNOWN = (PowerState.ON, PowerState.OFF)


@frozen
class _Seen:
    """
    One node's state, however it was learned.
    """

    node: str
    state: PowerState
    age: float | None
    text: str
    doing: str = ""


async def show_status(nodes: Wanted | None, world: World) -> int:
    """
    What is known of nodes, without asking a BMC.
    """
    names = None if nodes is None else await resolve(world.client, nodes)
    found = await world.client.status(names)
    if world.screen.json:
        world.screen.document({"nodes": [_status_form(status) for status in found]})
    elif not found:
        world.screen.line("There are no nodes.")
    else:
        _table(world.screen, [_seen(status) for status in found])
    return REACHED


async def read_states(nodes: Wanted, world: World) -> int:
    """
    Read states now; the exit code tells whether all could be read.
    """
    names = await resolve(world.client, nodes)
    progress = meter(world.screen, "query", len(names))

    def each(reading: Reading) -> None:
        progress.ended(reading.node, good=reading.state in _KNOWN)
        progress.refresh()

    try:
        readings = await world.client.query(names, each=each)
    finally:
        progress.close()
    if world.screen.json:
        world.screen.document({"nodes": [_reading_form(reading) for reading in readings]})
    else:
        _table(world.screen, [_Seen(r.node, r.state, r.age, r.text) for r in readings])
    return REACHED if all(reading.state in _KNOWN for reading in readings) else NOT_KNOWN


def _seen(status: NodeStatus) -> _Seen:
    doing = status.in_play
    words = "" if doing is None else f"{doing.verb.value}, {doing.phase.value}"
    waiting = f"; then {', '.join(action.verb.value for action in status.waiting)}" if status.waiting else ""
    return _Seen(status.name, status.state, status.age, status.text, words + waiting)


def _table(screen: Screen, seen: Iterable[_Seen]) -> None:
    alike: dict[tuple[PowerState, str, str], list[_Seen]] = {}
    for one in seen:
        alike.setdefault((one.state, one.text, one.doing), []).append(one)
    order = list(PowerState)
    found = sorted(alike.items(), key=lambda item: (order.index(item[0][0]), item[0][2], item[1][0].node))
    screen.table(
        ("STATE", "COUNT", "NODES", "SEEN", "IN PLAY", "REASON"),
        [
            (state.value, str(len(group)), fold(one.node for one in group), ages(group), doing, text)
            for (state, text, doing), group in found
        ],
        [_STYLES.get(state, "yellow") for (state, _, _), _ in found],
    )


def ages(seen: Sequence[_Seen]) -> str:
    """
    How long ago these were seen, from the newest to the oldest.
    """
    known = [one.age for one in seen if one.age is not None]
    if not known:
        return "never"
    return span(min(known), max(known)) + " ago"


def span(shortest: float, longest: float) -> str:
    """
    Two times as one text, in numbers that a person takes in.
    """
    ends = dict.fromkeys(rounded(end) for end in (shortest, longest))
    return "–".join(ends)


def rounded(seconds: float) -> str:
    """
    A time in whole seconds, minutes, hours or days.
    """
    for limit, unit in ((120.0, 1.0), (7200.0, 60.0), (172_800.0, 3600.0)):
        if seconds < limit:
            return format_duration(max(0.0, seconds) // unit * unit)
    return format_duration(seconds // 86400.0 * 86400.0)


def _reading_form(reading: Reading) -> dict[str, Any]:
    form: dict[str, Any] = {"node": reading.node, "state": reading.state.value, "age": reading.age}
    return form | ({"text": reading.text} if reading.text else {})


def _status_form(status: NodeStatus) -> dict[str, Any]:
    from powercoord.api.forms import action_form

    form: dict[str, Any] = {"node": status.name, "driver": status.driver, "groups": list(status.groups)}
    form |= {"state": status.state.value, "age": status.age}
    form |= {"text": status.text} if status.text else {}
    form["in_play"] = None if status.in_play is None else action_form(status.in_play)
    form["waiting"] = [action_form(action) for action in status.waiting]
    return form
