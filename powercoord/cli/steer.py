# SPDX-License-Identifier: MIT
"""
The commands that hold the coordinator back: cancel, drain, resume.
"""

from __future__ import annotations

import click

from powercoord.cli.naming import wanted
from powercoord.cli.options import as_json, nodeset
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session, World


@click.command()
@nodeset(required=False)
@click.option(
    "--action", "actions", multiple=True, metavar="ID", help="Cancel this action only; may be repeated."
)
@click.option("--requester", help="Who cancels, for the history. Default: your login name.")
@as_json
@click.pass_obj
def cancel(
    session: Session, /, nodeset: str, actions: tuple[str, ...], requester: str | None, json: bool
) -> int:
    """
    Stop what is in play or waits on nodes, and say how far it had come.
    """
    if bool(nodeset) == bool(actions):
        raise click.UsageError(
            "name either a node set or --action, as in: powercoord cancel 'rack1n[001-100]'"
        )
    nodes = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.cancelling import cancel_actions, cancel_nodes

        return await (cancel_actions(actions, world) if nodes is None else cancel_nodes(nodes, world))

    return session.run(work, Screen(json), requester)


@click.command()
@click.option("--reason", default="", help="Why, for those whose requests are refused.")
@click.option("--requester", help="Who asks, for the history. Default: your login name.")
@click.pass_obj
def drain(session: Session, /, reason: str, requester: str | None) -> int:
    """
    Let the coordinator refuse new changes; what was accepted goes on.
    """

    async def work(world: World) -> int:
        await world.client.drain(reason)
        world.screen.line("The coordinator takes no new changes; 'powercoord resume' ends that.")
        return 0

    return session.run(work, Screen(), requester)


@click.command()
@click.option("--requester", help="Who asks, for the history. Default: your login name.")
@click.pass_obj
def resume(session: Session, /, requester: str | None) -> int:
    """
    Let the coordinator take new changes again.
    """

    async def work(world: World) -> int:
        await world.client.resume()
        world.screen.line("The coordinator takes new changes.")
        return 0

    return session.run(work, Screen(), requester)
