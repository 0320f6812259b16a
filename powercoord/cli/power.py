# SPDX-License-Identifier: MIT
"""
The commands that change power: on, off, cycle, reset, boot.
"""

from __future__ import annotations

from typing import Any

import click

from powercoord.cli.naming import wanted
from powercoord.cli.options import BootType, boot_option, nodeset, request_options
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session, World
from powercoord.model import Boot, Policy, Verb


@click.command()
@nodeset()
@boot_option
@request_options
@click.pass_obj
def on(session: Session, /, nodeset: str, boot: Boot | None, **options: Any) -> int:
    """
    Turn nodes on; one that is on is left alone.
    """
    return _change(session, Verb.ON, nodeset, options, boot=boot)


@click.command()
@nodeset()
@click.option("--soft", is_flag=True, help="Ask the operating system first; at the deadline turn off hard.")
@click.option(
    "--escalate/--no-escalate",
    default=True,
    help="With --soft: whether it may become hard at the deadline (default), or fails then.",
)
@click.option(
    "--with-children",
    is_flag=True,
    help="First turn off the nodes that require these and are on; without it they are a reason to refuse.",
)
@request_options
@click.pass_obj
def off(
    session: Session, /, nodeset: str, soft: bool, escalate: bool, with_children: bool, **options: Any
) -> int:
    """
    Turn nodes off, at once unless --soft.
    """
    if not (soft or escalate):
        raise click.UsageError("--no-escalate means something only with --soft")
    verb = Verb.SOFT_OFF if soft else Verb.OFF
    return _change(session, verb, nodeset, options, escalate=escalate, with_children=with_children)


@click.command()
@nodeset()
@boot_option
@request_options
@click.pass_obj
def cycle(session: Session, /, nodeset: str, boot: Boot | None, **options: Any) -> int:
    """
    Turn nodes off, see them off, and turn them on again.
    """
    return _change(session, Verb.CYCLE, nodeset, options, boot=boot)


@click.command()
@nodeset()
@boot_option
@request_options
@click.pass_obj
def reset(session: Session, /, nodeset: str, boot: Boot | None, **options: Any) -> int:
    """
    Reset nodes without removing power; one that is off refuses.
    """
    return _change(session, Verb.RESET, nodeset, options, boot=boot)


@click.command()
@click.argument("nodeset", metavar="NODESET")
@click.argument("device", type=BootType(), metavar="DEVICE[,persistent][,efi|legacy]")
@request_options
@click.pass_obj
def boot(session: Session, /, nodeset: str, device: Boot, **options: Any) -> int:
    """
    Set the next boot device (pxe, disk, cdrom, bios, none) and nothing else.
    """
    return _change(session, Verb.BOOT, nodeset, options, boot=device)


def _change(session: Session, verb: Verb, nodeset: str, options: dict[str, Any], **more: Any) -> int:
    nodes = wanted(nodeset)
    requester, json = options.pop("requester"), options.pop("json")
    policy = Policy(options.pop("policy"))

    async def work(world: World) -> int:
        from powercoord.cli.asking import Asked, ask

        return await ask(Asked(verb=verb, nodes=nodes, policy=policy, **options, **more), world)

    return session.run(work, Screen(json), requester)
