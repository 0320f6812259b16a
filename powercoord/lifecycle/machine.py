# SPDX-License-Identifier: MIT
"""
From stage to stage: which event leads where, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from powercoord.stages import Stage


class Event(Enum):
    """
    What can happen to a service as a whole.

    ``READY``: the doors are open, and nobody wants it drained.  ``HELD``: no
    new changes may be taken from now on.  ``FREED``: nobody holds it any more.
    ``QUIET``: nothing is in play or waiting.  ``BUSY``: something is again.
    ``CLOSING``: what is left is ended, and the doors close.
    """

    READY = "ready"
    HELD = "held"
    FREED = "freed"
    QUIET = "quiet"
    BUSY = "busy"
    CLOSING = "closing"


TRANSITIONS: Mapping[Stage, Mapping[Event, Stage]] = {
    Stage.STARTING: {
        Event.READY: Stage.SERVING,
        Event.HELD: Stage.DRAINING,
        Event.CLOSING: Stage.STOPPING,
    },
    Stage.SERVING: {
        Event.HELD: Stage.DRAINING,
        Event.CLOSING: Stage.STOPPING,
    },
    Stage.DRAINING: {
        Event.FREED: Stage.SERVING,
        Event.QUIET: Stage.DRAINED,
        Event.CLOSING: Stage.STOPPING,
    },
    Stage.DRAINED: {
        Event.FREED: Stage.SERVING,
        Event.BUSY: Stage.DRAINING,
        Event.CLOSING: Stage.STOPPING,
    },
    Stage.STOPPING: {},
}
"""
Where an event leads.  One that is missing changes nothing.
"""


def after(stage: Stage, event: Event) -> Stage:
    """
    The stage that follows.
    """
    return TRANSITIONS[stage].get(event, stage)
