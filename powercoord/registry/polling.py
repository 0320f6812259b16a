# SPDX-License-Identifier: MIT
"""
Looking at a node until it is as it is wanted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.model import PowerState, Timing
from powercoord.registry.stoppable import Stoppable

# Less is no time: a clock may be too coarse to tell that it has passed.
_INSTANT = 0.001

# Who tells that power has changed often tells it twice: one read is enough for both.
_HINTS_TOGETHER = 0.02


@define(eq=False)
class Poll:
    """
    Looks of one action at its node, with pauses that grow, and at once when the BMC hints.

    :param glance: one look; None: it failed for a passing reason.
    :param pauses: what pauses, and can be stopped meanwhile.
    :param under_way: whether there will be one more look before the limit.
    """

    _clock: IReactorTime
    _timing: Timing
    _glance: Callable[[], Awaitable[PowerState | None]]
    _pauses: Stoppable
    under_way: bool = field(default=False, init=False)
    _hinted: bool = field(default=False, init=False)

    def hint(self) -> None:
        """
        The BMC says that power may have changed.
        """
        self._hinted = True
        self._pauses.nudge()

    async def until(self, wanted: PowerState, limit: Callable[[], float]) -> bool:
        """
        Look until the state is seen; False at ``limit``.

        There is always one look.  The last is a ``poll`` ahead of the limit:
        one at the limit would have no time left.  A look that fails for a
        passing reason is only a look less.
        """
        self._hinted = False
        try:
            return await self._look(wanted, limit)
        finally:
            self.under_way = False

    async def _look(self, wanted: PowerState, limit: Callable[[], float]) -> bool:
        poll, longest = self._timing.poll, self._timing.poll_longest
        pause, looked = poll, False
        while (remaining := limit() - self._clock.seconds()) > _INSTANT or not looked:
            self.under_way = not looked or remaining > poll + _INSTANT
            if not self.under_way and not self._hinted:
                await self._pauses.pause(remaining)
                continue
            await self._pauses.pause(
                _HINTS_TOGETHER if self._hinted else min(pause, max(0.0, remaining - poll))
            )
            hinted, self._hinted = self._hinted, False
            if await self._glance() is wanted:
                return True
            looked = True
            if not hinted:
                pause = min(pause * 1.5, longest)
        return False
