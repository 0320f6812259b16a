# SPDX-License-Identifier: MIT
"""
What stands on the command line, as values: node sets, times, boot devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from powercoord.duration import parse_duration
from powercoord.model import Boot, BootDevice

Command = TypeVar("Command", bound=Callable[..., Any])

_BOOT_OPTIONS = {"persistent", "efi", "legacy"}


class DurationType(click.ParamType[float]):
    """
    A time such as ``90s`` or ``5m``, in seconds.
    """

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class BootType(click.ParamType[Boot]):
    """
    A boot device with its options: ``pxe``, ``disk,persistent``, ``pxe,efi``.
    """

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Boot:
        if isinstance(value, Boot):
            return value
        device, *options = str(value).replace("+", ",").split(",")
        known = [each.value for each in BootDevice]
        if device not in known:
            self.fail(f"'{device}' is no boot device; known: {', '.join(known)}", param, ctx)
        for option in options:
            if option not in _BOOT_OPTIONS:
                self.fail(
                    f"'{option}' is no boot option; known: {', '.join(sorted(_BOOT_OPTIONS))}", param, ctx
                )
        if {"efi", "legacy"} <= set(options):
            self.fail("efi and legacy exclude each other", param, ctx)
        efi = True if "efi" in options else False if "legacy" in options else None
        return Boot(BootDevice(device), "persistent" in options, efi)


def _one_set(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> str:
    if len(value) > 1:
        raise click.UsageError(
            f"one node set, please, not {len(value)}: separate nodes with ',' and quote brackets, "
            f"as in '{value[0]},{value[1]}'"
        )
    return value[0] if value else ""


def nodeset(required: bool = True) -> Callable[[Command], Command]:
    """
    The argument NODESET; the shell may have made several words of one.
    """
    metavar = "NODESET" if required else "[NODESET]"
    return click.argument("nodeset", nargs=-1, required=required, callback=_one_set, metavar=metavar)


as_json = click.option("--json", "json", is_flag=True, help="Write JSON for programs.")


def request_options(command: Command) -> Command:
    """
    The options of all that changes power.
    """
    for option in reversed(_REQUEST_OPTIONS):
        command = option(command)
    return command


_REQUEST_OPTIONS = (
    click.option(
        "--wait/--no-wait",
        default=True,
        help="Wait until each node is seen in its state (default), or only until it is accepted.",
    ),
    click.option(
        "--deadline",
        type=DurationType(),
        help="By when it must have ended (for off --soft: becomes hard). Default: the node's own time.",
    ),
    click.option(
        "--policy",
        type=click.Choice(["supersede", "queue", "reject"]),
        default="supersede",
        show_default=True,
        help="What to do where a node is busy with something else.",
    ),
    click.option(
        "--requester", help="Who asks, for the history and other operators. Default: your login name."
    ),
    click.option(
        "--sequence",
        type=click.IntRange(min=0),
        help="Your own counter: a request lower than the last accepted one is refused.",
    ),
    as_json,
)

boot_option = click.option(
    "--boot",
    type=BootType(),
    metavar="DEVICE[,persistent][,efi|legacy]",
    help="Set the boot device first: pxe, disk, cdrom, bios, or none to remove an override.",
)
