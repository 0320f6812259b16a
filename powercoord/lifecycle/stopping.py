# SPDX-License-Identifier: MIT
"""
Stopping one thing at a time.

Twisted's ``MultiService`` stops its children at once, so that a journal would
be closed before the actions that need it.  Here each step is over before the
next begins, and one that fails does not keep the others from their turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen
from twisted.logger import Logger

_log = Logger(namespace="powercoord.lifecycle")


@frozen
class Step:
    """
    One thing to do when stopping; ``name`` completes "could not …".
    """

    name: str
    do: Callable[[], Awaitable[object]]


async def stop_in_order(steps: Sequence[Step]) -> list[str]:
    """
    Do each step; returns the names of those that failed (the log has why).
    """
    failed = []
    for step in steps:
        try:
            await step.do()
        except Exception:  # noqa: BLE001 - the steps after it must have their turn
            _log.failure("could not {step} while stopping; going on", step=step.name)
            failed.append(step.name)
    return failed
