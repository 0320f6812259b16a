# SPDX-License-Identifier: MIT
"""
Simulated fleets, for whoever has no machines to try things on.
"""

from __future__ import annotations

import click


@click.command("sim", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sim(arguments: tuple[str, ...]) -> int:
    """
    Serve simulated BMCs: sim {ipmi,redfish,amt} --nodes 50. Until SIGTERM or SIGINT.
    """
    from powercoord.sim.starting import main

    return main(list(arguments))
