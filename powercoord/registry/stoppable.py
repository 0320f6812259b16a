# SPDX-License-Identifier: MIT
"""
Waiting in such a way that the waiting can be ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred

from powercoord.registry.surroundings import Surroundings

T = TypeVar("T")


class Stopped(Exception):
    """
    The action was cancelled, and this step has ended because of it.
    """


class Expired(Exception):
    """
    Nobody waits any longer, and nothing has been sent.
    """


@define(eq=False)
class Stoppable:
    """
    What waits, and can be told to stop.
    """

    _world: Surroundings
    _stopping: bool = field(default=False, init=False)
    _waiting: Deferred[Any] | None = field(default=None, init=False)
    _nudge: Callable[[], None] | None = field(default=None, init=False)

    def nudge(self) -> None:
        """
        Look at the deadline again now, not after the current pause.
        """
        if self._nudge is not None:
            self._nudge()

    async def pause(self, seconds: float) -> None:
        """
        Do nothing for a while; `nudge` ends it early.
        """
        self.check()
        over: Deferred[None] = Deferred(lambda _: None)
        timer = self._world.clock.callLater(seconds, over.callback, None)

        def end_early() -> None:
            if timer.active():
                timer.reset(0)

        self._nudge = end_early
        try:
            await self._stoppable(over)
        finally:
            self._nudge = None
            if timer.active():
                timer.cancel()

    async def pause_until(self, moment: float) -> None:
        """
        Do nothing until ``moment`` on the clock, if it is not past.
        """
        remaining = moment - self._world.clock.seconds()
        if remaining > 0:
            await self.pause(remaining)

    def check(self) -> None:
        """
        Go on only if nobody stopped it.
        """
        if self._stopping:
            raise Stopped

    async def _stoppable(self, waiting: Deferred[T]) -> T:
        self._waiting = waiting
        try:
            return await waiting
        except CancelledError:
            self.check()
            raise Expired from None
        finally:
            self._waiting = None
