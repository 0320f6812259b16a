# SPDX-License-Identifier: MIT
"""
How the coordinator is, in the one line that is read at three in the morning.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from powercoord.cli.screen import count_of
from powercoord.cli.times import ago, local
from powercoord.stages import Drain, Stage

if TYPE_CHECKING:  # at run time it would import Twisted
    from powercoord.client import Health

_STAGES = {
    Stage.STARTING: "starting",
    Stage.SERVING: "serving",
    Stage.DRAINING: "draining",
    Stage.DRAINED: "drained",
    Stage.STOPPING: "stopping",
}


def headline(it: Health, now: datetime) -> str:
    """
    Stage, why nothing new is taken (if so), and what goes on.
    """
    words = [_STAGES[it.stage]]
    if it.drain is not None:
        words.append(_drain(it.drain, now))
    elif it.draining is not None:
        words.append(it.draining)
    text = f"The coordinator is {': '.join(words)}"
    if it.stop_requested and it.stage is not Stage.STOPPING:
        text += "; it is to stop"
    if it.trouble is not None:
        text += f"; it can start nothing new: {it.trouble}"
    return f"{text}; {_pending(it.pending)}."


def _drain(drain: Drain, now: datetime) -> str:
    reason = drain.reason or "no reason given"
    return f"{reason} (by {drain.by}, {drain.source.value}, {local(drain.since)}, {ago(drain.since, now)})"


def _pending(count: int) -> str:
    return f"{count_of(count, 'action')} pending" if count else "nothing pending"


def style_of(it: Health) -> str:
    """
    Red is for what somebody has to do something about.
    """
    return "bold red" if it.trouble is not None else "" if it.accepting else "bold yellow"
