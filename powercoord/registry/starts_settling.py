# SPDX-License-Identifier: MIT
"""
Places that are given back a while from now.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.registry.starts_slot import StartSlot


@define(eq=False)
class Settling:
    """
    The slots of nodes that settle, and their timers.
    """

    _clock: IReactorTime
    _timers: dict[IDelayedCall, StartSlot] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._timers)

    def release_in(self, slot: StartSlot, seconds: float) -> None:
        """
        Release a slot a while from now, or at once.
        """
        if seconds <= 0:
            slot.release()
            return

        def settled() -> None:
            self._timers.pop(timer).release()

        timer = self._clock.callLater(seconds, settled)
        self._timers[timer] = slot

    def stop(self) -> None:
        """
        Wait no longer.
        """
        timers, self._timers = self._timers, {}
        for timer, slot in timers.items():
            timer.cancel()
            slot.release()
