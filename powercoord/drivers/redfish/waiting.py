# SPDX-License-Identifier: MIT
"""
Waiting without asking: for a turn, or for time to pass, never longer than an operation may.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from powercoord.errors import OperationCancelled, PowerConnError
from powercoord.interfaces import IOperation

T = TypeVar("T")


async def patiently(
    clock: IReactorTime, waiting: Deferred[T], operation: IOperation, until: float, what: str
) -> T:
    """
    Wait for something that can be cancelled.

    :raises PowerConnError: time is up.
    :raises OperationCancelled: politely stopped.
    """
    over: list[str] = []

    def stop(reason: str) -> None:
        if not waiting.called:
            over.append(reason)
            waiting.cancel()

    timer = clock.callLater(max(0.0, until - clock.seconds()), stop, "time")
    operation.when_cancelled(lambda: stop("stopped"))
    try:
        return await waiting
    except CancelledError:
        if over[:1] == ["time"]:
            raise PowerConnError(f"{what}: no turn in time") from None
        if over:
            raise OperationCancelled from None
        raise
    finally:
        if timer.active():
            timer.cancel()


async def pause(clock: IReactorTime, seconds: float, operation: IOperation, until: float) -> None:
    """
    Let time pass.
    """
    await patiently(clock, deferLater(clock, seconds), operation, until, "pause")
