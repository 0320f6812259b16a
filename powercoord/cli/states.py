# SPDX-License-Identifier: MIT
"""
Show the power of nodes: as the registry knows it, or as their BMCs say now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from powercoord.cli.exits import NOT_KNOWN, REACHED
from powercoord.cli.headline import headline, style_of
from powercoord.cli.holding import tell_holds
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.progress import meter
from powercoord.cli.screen import Screen, count_of
from powercoord.cli.session import World
from powercoord.cli.times import rounded
from powercoord.client import Health, NodeStatus, Reading
from powercoord.folding import fold
from powercoord.model import PowerState

_STYLES = {PowerState.ON: "green", PowerState.OFF: "", PowerState.ERROR: "red"}
_MOST_TOLD = 5
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
    wanted: str = ""
    drifted: bool = False


async def show_status(nodes: Wanted | None, world: World) -> int:
    """
    How the coordinator is, and what is known of nodes, without asking a BMC.
    """
    names = None if nodes is None else await resolve(world.client, nodes)
    now = await world.client.health()
    found = await world.client.status(names)
    if world.screen.json:
        nodes_found = [_status_form(status) for status in found]
        world.screen.document({"coordinator": _health_form(now), "nodes": nodes_found})
        return REACHED
    world.screen.line(headline(now, world.now()), style_of(now))
    for name, reason in now.broken_drivers.items():
        world.screen.line(f"Driver '{name}' is installed but does not work: {reason}", "bold yellow")
    if drifted := [status for status in found if status.drifted]:
        world.screen.line(_drift(drifted), "bold red")
    tell_holds(found, world.screen)
    if parked := [status for status in found if status.parked is not None]:
        world.screen.line(_parked(parked), "bold yellow")
    if dependent := [status for status in found if status.requires]:
        world.screen.line(_required(dependent))
    if not found:
        world.screen.line("There are no nodes.")
    else:
        _table(world.screen, [_seen(status) for status in found])
    return REACHED


def _drift(drifted: Sequence[NodeStatus]) -> str:
    nodes = fold(status.name for status in drifted)
    has = "has" if len(drifted) == 1 else "have"
    return f"{count_of(len(drifted), 'node')} {has} other power than is wanted: {nodes}"


def _parked(parked: Sequence[NodeStatus]) -> str:
    """
    Which nodes are left alone, by cause, and when they are tried again.
    """
    causes: dict[str, list[NodeStatus]] = {}
    for status in parked:
        causes.setdefault(status.parked.cause.value if status.parked else "", []).append(status)
    told = []
    for cause, group in causes.items():
        tries = [status.parked.next_try for status in group if status.parked]
        told.append(
            f"{fold(status.name for status in group)} ({cause}, next try in {span(min(tries), max(tries))})"
        )
    has = "is" if len(parked) == 1 else "are"
    return f"{count_of(len(parked), 'node')} {has} parked: {'; '.join(told)}"


def _required(dependent: Sequence[NodeStatus]) -> str:
    """
    Which nodes start only when which others are on; of many, the first few.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for status in dependent:
        alike.setdefault(status.requires, []).append(status.name)
    told = [f"{fold(names)} on {fold(requires)}" for requires, names in islice(alike.items(), _MOST_TOLD)]
    more = len(alike) - len(told)
    rest = f"; and {more} more (powercoord nodes)" if more else ""
    depends = "depends" if len(dependent) == 1 else "depend"
    return f"{count_of(len(dependent), 'node')} {depends} on others: {'; '.join(told)}{rest}"


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
    return _Seen(
        status.name,
        status.state,
        status.age,
        status.text,
        words + waiting,
        "" if status.wanted is None else status.wanted.goal.value,
        status.drifted,
    )


def _table(screen: Screen, seen: Iterable[_Seen]) -> None:
    alike: dict[_Seen, list[_Seen]] = {}
    for one in seen:
        alike.setdefault(evolve(one, node="", age=None), []).append(one)
    found = sorted(alike.items(), key=_drifted_first)
    screen.table(
        ("STATE", "WANTED", "COUNT", "NODES", "SEEN", "IN PLAY", "REASON"),
        [
            (
                kind.state.value,
                kind.wanted + (" (drifted)" if kind.drifted else ""),
                str(len(group)),
                fold(one.node for one in group),
                ages(group),
                kind.doing,
                kind.text,
            )
            for kind, group in found
        ],
        ["red" if kind.drifted else _STYLES.get(kind.state, "yellow") for kind, _ in found],
    )


def _drifted_first(item: tuple[_Seen, list[_Seen]]) -> tuple[object, ...]:
    kind, group = item
    return (not kind.drifted, list(PowerState).index(kind.state), kind.doing, group[0].node)


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


def _reading_form(reading: Reading) -> dict[str, Any]:
    form: dict[str, Any] = {"node": reading.node, "state": reading.state.value, "age": reading.age}
    return form | ({"text": reading.text} if reading.text else {})


def _health_form(now: Health) -> dict[str, Any]:
    from powercoord.api.health import health_form

    return health_form(now)


def _status_form(status: NodeStatus) -> dict[str, Any]:
    from powercoord.api.forms import action_form, parking_form, wanted_form
    from powercoord.forms import hold_form

    form: dict[str, Any] = {"node": status.name, "driver": status.driver, "groups": list(status.groups)}
    form |= {"state": status.state.value, "age": status.age}
    form |= {"text": status.text} if status.text else {}
    form["wanted"] = None if status.wanted is None else wanted_form(status.wanted)
    form["drifted"] = status.drifted
    form["requires"] = list(status.requires)
    form["holds"] = [hold_form(hold) for hold in status.holds]
    form["parked"] = None if status.parked is None else parking_form(status.parked)
    form["in_play"] = None if status.in_play is None else action_form(status.in_play)
    form["waiting"] = [action_form(action) for action in status.waiting]
    return form
