# SPDX-License-Identifier: MIT
"""
When a group may have its next start, as far as the time between two of them goes.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.registry.starts_room import Groups


@define(eq=False)
class Openings:
    """
    A timer for each group that somebody waits for.

    :param opened: called with the group.
    """

    _clock: IReactorTime
    _opened: Callable[[Groups], None]
    _timers: dict[str, IDelayedCall] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._timers)

    def wait(self, name: str, seconds: float) -> None:
        """
        Tell when a group opens, once.
        """
        if seconds > 0 and name not in self._timers:
            self._timers[name] = self._clock.callLater(seconds, self._ring, name)

    def forget(self) -> None:
        """
        Wait for nothing any more.
        """
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()

    def _ring(self, name: str) -> None:
        del self._timers[name]
        self._opened((name,))
