# SPDX-License-Identifier: MIT
"""
Show what was asked and how it ended, one action step by step, and settle one by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from powercoord.cli.cancelling import WORDS
from powercoord.cli.exits import REACHED
from powercoord.cli.naming import Wanted
from powercoord.cli.naming import resolve as resolve_names
from powercoord.cli.session import World
from powercoord.cli.telling import ending, happened, node_of, whom
from powercoord.cli.times import Since, exact, local, rounded, since, took
from powercoord.durable import Numbered, Record
from powercoord.entries import Accepted, Entry, Held


async def show_history(nodes: Wanted | None, limit: int, begin: Since | None, world: World) -> int:
    """
    The requests and the holds of the past, newest first.

    Nodes need not be there any more; one that never was is said to be unknown.
    """
    from powercoord.api.forms import numbered_form, record_form

    names = None if nodes is None else nodes.names or await resolve_names(world.client, nodes)
    moment = since(begin, world.now())
    records = await world.client.history(names, limit=limit, since=moment)
    holds = await world.client.hold_history(names, limit=limit, since=moment)
    everything: list[Record | Numbered] = [*records, *holds]
    found = sorted(everything, key=lambda each: -each.number)[:limit]
    if not found and nodes is not None:
        await resolve_names(world.client, nodes)
    if world.screen.json:
        shown = {"requests": [record_form(each) for each in found if isinstance(each, Record)]}
        world.screen.document(
            shown | {"holds": [numbered_form(each) for each in found if isinstance(each, Numbered)]}
        )
    elif not found:
        world.screen.line("Nothing was asked" + (f" of {nodes.text}" if nodes else "") + _then(begin, world))
    else:
        now = world.now()
        heads = ("WHEN", "NODE", "VERB", "FOR", "RESULT", "TOOK", "ACTION")
        world.screen.table(heads, [_row(each, now) for each in found])
        if len(found) == limit:
            world.screen.note(f"Only the newest {limit}; --limit shows more.")
    return REACHED


def _then(begin: Since | None, world: World) -> str:
    moment = since(begin, world.now())
    return "." if moment is None else f" since {local(moment)}."


def _row(found: Record | Numbered, now: datetime) -> Sequence[str]:
    if isinstance(found, Numbered):
        return _hold_row(found.entry)
    return (
        local(found.at),
        found.request.node,
        found.request.verb.value,
        whom(found.request),
        "going on" if found.outcome is None else ending(found.outcome),
        _took(found, now),
        found.action,
    )


def _hold_row(entry: Entry) -> Sequence[str]:
    verb = "hold" if isinstance(entry, Held) else "release"
    return (local(entry.at), node_of(entry), verb, getattr(entry, "by", ""), happened(entry), "", "")


def _took(record: Record, now: datetime) -> str:
    if record.answered is None:
        return f"{rounded((now - record.at).total_seconds())} so far"
    return took((record.answered - record.at).total_seconds())


async def show_action(action: str, world: World) -> int:
    """
    One action, step by step.

    :raises NoSuchAction: nothing is known of it (any more).
    """
    from powercoord.api.forms import numbered_form

    steps = await world.client.show(action)
    if world.screen.json:
        world.screen.document({"action": action, "events": [numbered_form(step) for step in steps]})
        return REACHED
    first = next((step.entry for step in steps if isinstance(step.entry, Accepted)), None)
    if first is not None:
        world.screen.line(f"{first.request.verb.value} of {first.request.node}, action {action}", "bold")
    begun = steps[0].entry.at
    world.screen.table(
        ("WHEN", "AFTER", "WHAT"),
        [(exact(step.entry.at), _after(step, begun), happened(step.entry)) for step in steps],
    )
    return REACHED


def _after(step: Numbered, begun: datetime) -> str:
    return f"{(step.entry.at - begun).total_seconds():.3f}s"


async def resolve_action(action: str, reason: str, world: World) -> int:
    """
    Settle one action by hand.

    :raises NoSuchAction: it is not in play and does not wait.
    """
    result = await world.client.resolve(action, reason)
    if world.screen.json:
        world.screen.document({"action": action, "result": result.value})
    else:
        world.screen.line(f"{action} is resolved, and nothing was sent. {WORDS[result].capitalize()}.")
        world.screen.note("'powercoord query' reads what the node is now.")
    return REACHED
