# SPDX-License-Identifier: MIT
"""
The words with which HAProxy is told how far the service has come.

HAProxy (configuration manual, section 5.2, "agent-check") keeps what a line
does not repeat and what it cannot read.  So every line says all three things
that it can: whether the server is administered out of the way, whether it is
well, and its weight.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from powercoord.stages import ILifecycle, Stage

LONGEST_REASON = 80


@frozen(kw_only=True)
class Manner:
    """
    How plainly HAProxy is told.

    :param shared: operators use HAProxy's own command line, too: no word of
        ours undoes theirs, and a drain is a weight of nothing.
    :param hold: a drain that is not (yet) a stop leaves new connections here,
        where changes are refused, instead of sending them to another
        coordinator while actions are still in play at this one.
    :param maintenance: whether an operator said ``maint``.
    """

    shared: bool = False
    hold: bool = False
    maintenance: Callable[[], bool] = lambda: False


def answer(lifecycle: ILifecycle, manner: Manner) -> str:
    """
    What to tell HAProxy now, without the end of the line.
    """
    if lifecycle.stage is Stage.STARTING:
        return _unwell("starting", manner)
    if lifecycle.stage is Stage.SERVING:
        # While draining, trouble is no news: nothing new is taken anyway, and
        # "down" may be configured to cut the connections that answers are owed on.
        return _up(manner) if lifecycle.trouble is None else _unwell(lifecycle.trouble, manner)
    if _holds(lifecycle, manner):
        return _up(manner)
    if manner.shared:
        return "up 0%"
    return f"{'maint' if manner.maintenance() else 'drain'} up 100%"


def _up(manner: Manner) -> str:
    return "up 100%" if manner.shared else "up ready 100%"


def _holds(lifecycle: ILifecycle, manner: Manner) -> bool:
    """
    Whether a drain is not to be seen from outside.
    """
    return (
        manner.hold
        and not manner.maintenance()
        and not lifecycle.stop_requested
        and lifecycle.stage in (Stage.DRAINING, Stage.DRAINED)
    )


def _unwell(reason: str, manner: Manner) -> str:
    # The blank before "#" matters: HAProxy 2.6 leaves a server that says "down#reason" up.
    return f"down {'' if manner.shared else 'ready '}100% #{one_line(reason)}"


def one_line(reason: str) -> str:
    """
    A reason that HAProxy shows as it is: short, printable, without the commas that would part it.
    """
    plain = "".join(letter if letter.isascii() and letter.isprintable() else " " for letter in reason)
    return " ".join(plain.replace(",", " ").split())[:LONGEST_REASON].rstrip()
