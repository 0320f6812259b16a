# SPDX-License-Identifier: MIT
"""
The commands that hold the coordinator back, or let it go: cancel, unpark, drain, resume, shutdown.
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


_requester = click.option("--requester", help="Who asks, for the history. Default: your login name.")


@click.command()
@nodeset()
@_requester
@as_json
@click.pass_obj
def unpark(session: Session, /, nodeset: str, requester: str | None, json: bool) -> int:
    """
    Speak to BMCs again that are left alone because they did not answer, or refused the password.
    """
    nodes = wanted(nodeset)

    async def work(world: World) -> int:
        from powercoord.cli.unparking import unpark

        return await unpark(nodes, world)

    return session.run(work, Screen(json), requester)


@click.command()
@click.option("--reason", default="", help="Why, for those whose requests are refused.")
@click.option("--wait", is_flag=True, help="Wait until nothing goes on any more.")
@click.option(
    "--if-peer-ready",
    "peers",
    multiple=True,
    metavar="ENDPOINT",
    help="Only if the coordinator there takes new changes; may be repeated, and one is enough.",
)
@_requester
@as_json
@click.pass_obj
def drain(
    session: Session,
    /,
    reason: str,
    wait: bool,
    peers: tuple[str, ...],
    requester: str | None,
    json: bool,
) -> int:
    """
    Let the coordinator refuse new changes; what was accepted goes on. This outlives a restart.
    """

    async def work(world: World) -> int:
        from powercoord.cli.draining import drain

        return await drain(reason, peers, wait=wait, world=world)

    return session.run(work, Screen(json), requester)


@click.command()
@_requester
@as_json
@click.pass_obj
def resume(session: Session, /, requester: str | None, json: bool) -> int:
    """
    Let the coordinator take new changes again.
    """

    async def work(world: World) -> int:
        from powercoord.cli.draining import resume

        return await resume(world)

    return session.run(work, Screen(json), requester)


@click.command()
@_requester
@as_json
@click.pass_obj
def shutdown(session: Session, /, requester: str | None, json: bool) -> int:
    """
    Let the coordinator drain, and end when all is done or its grace is over.

    What has not ended by then goes on when it is started again.
    """

    async def work(world: World) -> int:
        from powercoord.cli.draining import shutdown

        return await shutdown(world)

    return session.run(work, Screen(json), requester)
