# SPDX-License-Identifier: MIT
"""
Let the coordinator drain, resume and end.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred

from powercoord.cli.exits import INTERRUPTED, NOT_REACHED, REACHED
from powercoord.cli.headline import headline
from powercoord.cli.screen import count_of
from powercoord.cli.session import World
from powercoord.cli.together import together
from powercoord.client import Health
from powercoord.errors import PowercoordError


class LastOne(PowercoordError):
    """
    No other coordinator would take new changes.
    """


async def drain(reason: str, peers: Sequence[str], *, wait: bool, world: World) -> int:
    """
    Take no new changes; with ``wait``, until nothing goes on any more.

    :raises LastOne: of the peers that were named none takes new changes.
    """
    before = await world.client.health()
    await _ready(peers, world)
    now = await world.client.drain(reason)
    try:
        # Two that drain at once, each relying on the other, find out here.
        await _ready(peers, world)
    except LastOne:
        if before.accepting:
            await world.client.resume()
        raise
    return await _drained(reason, now, world) if wait else _tell(now, world)


def _tell(now: Health, world: World) -> int:
    rest = (
        "nothing goes on"
        if not now.pending
        else f"{count_of(now.pending, 'action')} {'goes' if now.pending == 1 else 'go'} on"
    )
    if world.screen.json:
        return _document(now, world)
    world.screen.line(f"The coordinator takes no new changes; {rest}. 'powercoord resume' ends that.")
    return REACHED


async def _drained(reason: str, now: Health, world: World) -> int:
    if not now.ready_to_stop:
        world.screen.note(
            f"Draining; waiting for {count_of(now.pending, 'action')}. Ctrl-C stops the waiting."
        )
    try:
        now = await world.client.drain(reason, wait=True)
    except CancelledError:
        world.screen.note(
            "Stopped waiting; the coordinator drains on. 'powercoord resume' ends that.", "bold"
        )
        return INTERRUPTED
    if world.screen.json:
        _document(now, world)
    elif now.accepting:
        world.screen.line("Somebody resumed: the coordinator takes new changes.")
    elif not now.ready_to_stop:
        world.screen.line(headline(now, world.now()), "bold")
    else:
        world.screen.line("Drained: nothing is in play, and nothing waits.")
    return REACHED if now.ready_to_stop else NOT_REACHED


async def resume(world: World) -> int:
    """
    Take new changes again.
    """
    now = await world.client.resume()
    if world.screen.json:
        return _document(now, world)
    if now.accepting:
        world.screen.line("The coordinator takes new changes.")
        return REACHED
    world.screen.line(headline(now, world.now()), "bold")
    if now.drain is not None:
        source = now.drain.source.value
        world.screen.note(f"'resume' ends a drain by command; this one is by {source}.")
    return NOT_REACHED


async def shutdown(world: World) -> int:
    """
    Drain and end.
    """
    now = await world.client.shutdown()
    if world.screen.json:
        return _document(now, world)
    have = "has" if now.pending == 1 else "have"
    what = f"{count_of(now.pending, 'action')} {have} ended or its grace is over"
    first = f" when {what}" if now.pending else ""
    world.screen.line(f"The coordinator stops{first}.")
    return REACHED


def _document(now: Health, world: World) -> int:
    from powercoord.api.health import health_form

    world.screen.document({"coordinator": health_form(now)})
    return REACHED


async def _ready(peers: Sequence[str], world: World) -> None:
    """
    Whether one of these takes new changes.
    """
    if not peers:
        return
    asking = [Deferred.fromCoroutine(_reason(peer, world)) for peer in peers]
    reasons: list[str | None] = await together(asking)
    if None not in reasons:
        told = "; ".join(f"{peer}: {reason}" for peer, reason in zip(peers, reasons, strict=True))
        raise LastOne(f"not drained: this would be the last coordinator that takes new changes ({told})")


async def _reason(peer: str, world: World) -> str | None:
    """
    Why a coordinator takes no new changes; None if it does.
    """
    client = world.reach(peer)
    try:
        await client.connect()
        pulse = await client.ping()
    except PowercoordError as error:
        return str(error) or error.code
    finally:
        await client.close()
    return None if pulse.accepting else pulse.reason or "it takes none"
