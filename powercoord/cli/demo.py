# SPDX-License-Identifier: MIT
"""
A coordinator and a simulated fleet, to be looked at.
"""

from __future__ import annotations

import click


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> int:
    """
    Run a coordinator with a hundred simulated BMCs, and show what it can do.
    """
    from powercoord.sim.demo import main

    return main(list(arguments))
