# SPDX-License-Identifier: MIT
"""
The commands that change nothing: status, query, queue, watch, nodes, drivers.
"""

from __future__ import annotations

import click

from powercoord.cli.naming import wanted
from powercoord.cli.options import as_json, nodeset
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session, World


@click.command()
@nodeset(required=False)
@as_json
@click.pass_obj
def status(session: Session, /, nodeset: str, json: bool) -> int:
    """
    Show how the coordinator is, what is known of nodes, and what is wanted of them; no BMC is asked.
    """
    nodes = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.states import show_status

        return await show_status(nodes, world)

    return session.run(work, Screen(json))


@click.command()
@nodeset()
@as_json
@click.pass_obj
def query(session: Session, /, nodeset: str, json: bool) -> int:
    """
    Read the power state of nodes from their BMCs now.
    """
    nodes = wanted(nodeset)

    async def work(world: World) -> int:
        from powercoord.cli.states import read_states

        return await read_states(nodes, world)

    return session.run(work, Screen(json))


@click.command()
@nodeset(required=False)
@as_json
@click.pass_obj
def queue(session: Session, /, nodeset: str, json: bool) -> int:
    """
    Show what is in play and what waits: for whom, since when, and what runs next.
    """
    nodes = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.queues import show_queue

        return await show_queue(nodes, world)

    return session.run(work, Screen(json))


@click.command()
@nodeset(required=False)
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Begin after the event of that number: 0 for all that is kept.",
)
@as_json
@click.pass_obj
def watch(session: Session, /, nodeset: str, after: int | None, json: bool) -> int:
    """
    Write what happens, as it happens, until Ctrl-C.
    """
    nodes = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.watching import follow

        return await follow(nodes, after, world)

    return session.run(work, Screen(json))


@click.command()
@nodeset(required=False)
@as_json
@click.pass_obj
def nodes(session: Session, /, nodeset: str, json: bool) -> int:
    """
    List the nodes with their drivers and groups.
    """
    chosen = wanted(nodeset) if nodeset else None

    async def work(world: World) -> int:
        from powercoord.cli.listing import list_nodes

        return await list_nodes(chosen, world)

    return session.run(work, Screen(json))


@click.command()
@click.argument("name", required=False)
@click.option(
    "--agent",
    metavar="[AGENT]",
    is_flag=False,
    flag_value="",
    help="What an agent takes that the driver can run (fence-agent); without a name, which there are here.",
)
@as_json
@click.pass_obj
def drivers(session: Session, /, name: str | None, agent: str | None, json: bool) -> int:
    """
    List the coordinator's drivers, or the settings of one.

    With --agent no coordinator is asked: the agents are those of this machine.
    """
    if agent is not None:
        from powercoord.cli.agents import show_agents

        return show_agents(session, name or "fence-agent", agent, Screen(json))

    async def work(world: World) -> int:
        from powercoord.cli.listing import list_drivers

        return await list_drivers(name, world)

    return session.run(work, Screen(json))
