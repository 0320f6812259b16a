# SPDX-License-Identifier: MIT
"""
Let the coordinator speak again to endpoints that are parked.
"""

from __future__ import annotations

from powercoord.cli.exits import REACHED
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.screen import count_of
from powercoord.cli.session import World
from powercoord.folding import fold


async def unpark(nodes: Wanted, world: World) -> int:
    """
    Unpark, and say whose endpoints were parked; that none was is no failure.

    One endpoint can serve many nodes: of those only the first was parked.
    """
    names = await resolve(world.client, nodes)
    unparked = await world.client.unpark(names)
    if world.screen.json:
        world.screen.document({"unparked": list(unparked)})
    elif unparked:
        world.screen.line(f"Not parked any more: {fold(unparked)} ({count_of(len(unparked), 'endpoint')}).")
    else:
        world.screen.line("None of them was parked.")
    return REACHED
