# SPDX-License-Identifier: MIT
"""
The commands by which people forbid changes of nodes: hold, release.
"""

from __future__ import annotations

import click

from powercoord.cli.naming import wanted
from powercoord.cli.options import as_json, nodeset
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session, World
from powercoord.cli.times import Until, UntilType
from powercoord.model import Goal


@click.command()
@nodeset()
@click.option("--reason", required=True, help="Why, for those whose requests are refused.")
@click.option(
    "--until",
    type=UntilType(),
    help="It ends by itself then: in '90m', at '06:00' (the next), on '2026-11-23 06:00'. Default: never.",
)
@click.option(
    "--only",
    type=click.Choice(["on", "off"]),
    help="Forbid only what would turn them on, or off. Default: every change.",
)
@click.option("--requester", help="Who holds them. Default: your login name.")
@as_json
@click.pass_obj
def hold(
    session: Session,
    /,
    nodeset: str,
    reason: str,
    until: Until | None,
    only: str | None,
    requester: str | None,
    json: bool,
) -> int:
    """
    Forbid changes of nodes until you release them. This outlives a restart.

    What was accepted before goes on; 'cancel' stops it. Everybody has a hold of their own on a node: holding
    it again says yours anew.
    """
    nodes = wanted(nodeset)

    async def work(world: World) -> int:
        from powercoord.cli.holding import hold_nodes

        return await hold_nodes(nodes, reason, until, None if only is None else Goal(only), world)

    return session.run(work, Screen(json), requester)


@click.command()
@nodeset()
@click.option("--holder", metavar="NAME", help="Release what NAME holds, not what you hold.")
@click.option("--everybody", is_flag=True, help="Release what anybody holds.")
@click.option("--requester", help="Who releases, for the history. Default: your login name.")
@as_json
@click.pass_obj
def release(
    session: Session,
    /,
    nodeset: str,
    holder: str | None,
    everybody: bool,
    requester: str | None,
    json: bool,
) -> int:
    """
    Allow changes of nodes again: take back your hold on them, and say who else holds them.
    """
    if everybody and holder is not None:
        raise click.UsageError("--everybody releases NAME's holds, too; leave one of both out")
    nodes = wanted(nodeset)

    async def work(world: World) -> int:
        from powercoord.cli.holding import release_nodes

        return await release_nodes(nodes, holder, everybody, world)

    return session.run(work, Screen(json), requester)
