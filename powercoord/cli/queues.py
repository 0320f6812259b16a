# SPDX-License-Identifier: MIT
"""
Show what the coordinator does, for whom, since when, and what it does next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import astuple, frozen

from powercoord.cli.exits import REACHED
from powercoord.cli.holding import tell_holds
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.session import World
from powercoord.cli.states import span
from powercoord.cli.telling import whom
from powercoord.cli.times import rounded
from powercoord.client import NodeStatus
from powercoord.folding import fold
from powercoord.views import ActionView


@frozen
class _Line:
    """
    What many nodes' actions may have in common.
    """

    place: str
    what: str
    phase: str
    whom: str
    then: str


async def show_queue(nodes: Wanted | None, world: World) -> int:
    """
    The actions in play and waiting on these nodes.
    """
    chosen = None if nodes is None else set(await resolve(world.client, nodes))
    busy = [status for status in await world.client.list_actions() if chosen is None or status.name in chosen]
    info = await world.client.info()
    if world.screen.json:
        world.screen.document({"draining": info.draining, "nodes": [_form(status) for status in busy]})
        return REACHED
    if info.draining is not None:
        world.screen.note(
            f"The coordinator takes no new changes: {info.draining or 'no reason was given'}", "bold"
        )
    if not busy:
        world.screen.line("Nothing is in play, and nothing waits.")
        return REACHED
    tell_holds(busy, world.screen)
    _table(busy, world)
    return REACHED


def _table(busy: Sequence[NodeStatus], world: World) -> None:
    alike: dict[_Line, list[ActionView]] = {}
    for status in busy:
        for place, action in _actions(status):
            alike.setdefault(_line(place, action, status), []).append(action)
    now = world.now()
    world.screen.table(
        ("", "VERB", "PHASE", "FOR", "THEN", "COUNT", "NODES", "AGE", "DEADLINE IN", "ACTION"),
        [
            (
                *astuple(line),
                str(len(actions)),
                fold(action.node for action in actions),
                _age(actions, now),
                _left(actions, now),
                actions[0].id if len(actions) == 1 else "",
            )
            for line, actions in alike.items()
        ],
    )


def _actions(status: NodeStatus) -> list[tuple[str, ActionView]]:
    in_play = [] if status.in_play is None else [("in play", status.in_play)]
    places = ["next", *(f"after {count}" for count in range(1, len(status.waiting)))]
    return in_play + list(zip(places, status.waiting, strict=False))


def _line(place: str, action: ActionView, status: NodeStatus) -> _Line:
    what = action.verb.value + (
        f" ({action.half})" if action.half and action.half != action.verb.value else ""
    )
    then = ", ".join(waiting.verb.value for waiting in status.waiting) if place == "in play" else ""
    phase = action.phase.value + (f", waits for {action.waits_for}" if action.waits_for else "")
    return _Line(place, what, phase, _whom(action), then)


def _whom(action: ActionView) -> str:
    names = dict.fromkeys(map(whom, action.waiters))
    shown = ", ".join(list(names)[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _age(actions: Sequence[ActionView], now: datetime) -> str:
    ages = [(now - action.since).total_seconds() for action in actions]
    return span(min(ages), max(ages))


def _left(actions: Sequence[ActionView], now: datetime) -> str:
    left = min((action.deadline - now).total_seconds() for action in actions)
    return rounded(left) if left > 0 else "past"


def _form(status: NodeStatus) -> dict[str, Any]:
    from powercoord.api.forms import action_form
    from powercoord.forms import hold_form

    return {
        "node": status.name,
        "in_play": None if status.in_play is None else action_form(status.in_play),
        "waiting": [action_form(action) for action in status.waiting],
        "holds": [hold_form(hold) for hold in status.holds],
    }
