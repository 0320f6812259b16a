# SPDX-License-Identifier: MIT
"""
Write what happens, one line for each event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twisted.internet.defer import CancelledError

from powercoord.api.filter import STAGE
from powercoord.api.health import health_form
from powercoord.cli.exits import REACHED
from powercoord.cli.headline import headline
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.session import World
from powercoord.cli.telling import happened, node_of
from powercoord.cli.times import exact
from powercoord.client import Health, Lagged, WatchEvent
from powercoord.forms import event_form


async def follow(nodes: Wanted | None, after: int | None, world: World) -> int:
    """
    Write events until Ctrl-C, which is how this is meant to end.
    """
    names = () if nodes is None else await resolve(world.client, nodes)
    watch = await world.client.watch(nodes=names, after=after)
    try:
        async for event in watch:
            if world.screen.json:
                world.screen.document(_form(event, watch.cursor))
            else:
                world.screen.line(line(event, world.now()))
    except CancelledError:
        if watch.cursor is not None and not world.screen.json:
            world.screen.note(f"To go on from here: powercoord watch --after {watch.cursor}")
    finally:
        watch.stop()
    return REACHED


def line(event: WatchEvent, now: datetime) -> str:
    """
    An event in words.
    """
    if isinstance(event, Lagged):
        return f"(events were missed: {event.reason})"
    if isinstance(event, Health):
        return f"{exact(now)} {headline(event, now)}"
    action = getattr(event, "action", None)
    return f"{exact(event.at)} {node_of(event)} {happened(event)}{f' [{action}]' if action else ''}"


def _form(event: WatchEvent, number: int | None) -> dict[str, Any]:
    if isinstance(event, Lagged):
        return {"event": "lagged", "reason": event.reason}
    if isinstance(event, Health):
        return {"event": STAGE, "coordinator": health_form(event)}
    return event_form(event) | ({} if number is None else {"number": number})
