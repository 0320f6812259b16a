# SPDX-License-Identifier: MIT
"""
Write what happens, one line for each event.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from powercoord.cli.exits import REACHED
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.results import describe
from powercoord.cli.session import World
from powercoord.client import Lagged, WatchEvent
from powercoord.entries import Accepted, Answered, Ended, Entered, Followed, Observed
from powercoord.forms import event_form


async def follow(nodes: Wanted | None, world: World) -> int:
    """
    Write events until Ctrl-C, which is how this is meant to end.
    """
    names = () if nodes is None else await resolve(world.client, nodes)
    watch = await world.client.watch(nodes=names)
    try:
        async for event in watch:
            if world.screen.json:
                world.screen.document(_form(event))
            else:
                world.screen.line(line(event))
    except CancelledError:
        pass
    finally:
        watch.stop()
    return REACHED


def line(event: WatchEvent) -> str:
    """
    An event in words.
    """
    if isinstance(event, Lagged):
        return f"(events were missed: {event.reason})"
    at = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"{at} {_words(event)}"


def _words(event: Any) -> str:  # noqa: PLR0911 - one for each kind of event
    match event:
        case Accepted(request=request, action=action, disposition=disposition):
            whom = (request.requester or "somebody") + (f" via {request.door}" if request.door else "")
            instead = f", in place of {', '.join(event.superseded)}" if event.superseded else ""
            return f"{request.node} {request.verb.value} for {whom}: {disposition.value}{instead} [{action}]"
        case Entered(node=node, action=action, phase=phase):
            half = f" {event.half}" if event.half else ""
            return f"{node}{half} {phase.value}{f': {event.text}' if event.text else ''} [{action}]"
        case Followed(node=node, request_id=request, action=action):
            return f"{node} request {request} is now answered by [{action}]"
        case Ended(node=node, outcome=outcome, action=action):
            return f"{node} ended {type(outcome).__name__.lower()}: {describe(outcome)} [{action}]"
        case Answered(node=node, request_id=request, outcome=outcome):
            return f"{node} answered {type(outcome).__name__.lower()} to request {request}"
        case Observed(node=node, observation=seen):
            return f"{node} is {seen.state.value}{f': {seen.text}' if seen.text else ''}"
        case _:
            return str(event)


def _form(event: WatchEvent) -> dict[str, Any]:
    if isinstance(event, Lagged):
        return {"event": "lagged", "reason": event.reason}
    return event_form(event)
