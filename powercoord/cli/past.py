# SPDX-License-Identifier: MIT
"""
The commands about what was: history, show, resolve.
"""

from __future__ import annotations

import click

from powercoord.cli.naming import wanted
from powercoord.cli.options import as_json, nodeset
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session, World
from powercoord.cli.times import Since, SinceType


@click.command()
@nodeset(required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="So many requests, the newest.",
)
@click.option(
    "--since",
    type=SinceType(),
    help="Only from then on: '2h' ago, '2026-11-21', '2026-11-21 07:30'.",
)
@as_json
@click.pass_obj
def history(session: Session, /, nodeset: str, limit: int, since: Since | None, json: bool) -> int:
    """
    Show who asked what of nodes, when, through which door, and how it ended; newest first.
    """
    nodes = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.remembering import show_history

        return await show_history(nodes, limit, since, world)

    return session.run(work, Screen(json))


@click.command()
@click.argument("action")
@as_json
@click.pass_obj
def show(session: Session, /, action: str, json: bool) -> int:
    """
    Show all that became of one action: every phase with its time, and whom it answered.

    'queue' and 'history' tell the ids of actions.
    """

    async def work(world: World) -> int:
        from powercoord.cli.remembering import show_action

        return await show_action(action, world)

    return session.run(work, Screen(json))


@click.command()
@click.argument("action")
@click.option("--reason", required=True, help="What you know of it; kept in the history with your name.")
@click.option("--requester", help="Who says so, for the history. Default: your login name.")
@as_json
@click.pass_obj
def resolve(session: Session, /, action: str, reason: str, requester: str | None, json: bool) -> int:
    """
    Declare an action settled, because you know how it ended. Sends nothing to the BMC.

    Who waits for it hears 'unknown', with your name and the reason. To have what is left of an action not
    done, use 'cancel', which asks the BMC how far it came.
    """

    async def work(world: World) -> int:
        from powercoord.cli.remembering import resolve_action

        return await resolve_action(action, reason, world)

    return session.run(work, Screen(json), requester)
