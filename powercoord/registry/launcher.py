# SPDX-License-Identifier: MIT
"""
Starting actions without holding up the reactor: offs first, a slice at a time.

Ten thousand requests accepted at once are ten thousand coroutines to start.
Started in one go they would keep an off, and every answer, waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.registry.action import PowerAction
from powercoord.registry.gates import Priority

_SLICE = 50


@define(eq=False)
class Launcher:
    """
    The actions whose turn in their lane has come.
    """

    _clock: IReactorTime
    _start: Callable[[PowerAction], None]
    _offs: deque[PowerAction] = field(factory=deque, init=False)
    _others: dict[PowerAction, None] = field(factory=dict, init=False)
    _scheduled: bool = field(default=False, init=False)

    def add(self, action: PowerAction) -> None:
        """
        Start it soon: an off in the next turn of the reactor.
        """
        if action.priority is Priority.OFF:
            self._offs.append(action)
        else:
            self._others[action] = None
        self._schedule()

    def hasten(self, action: PowerAction) -> None:
        """
        Nobody wants it any more: what waits for its end need not wait its turn.
        """
        if action in self._others:
            del self._others[action]
            self._offs.append(action)

    def _schedule(self) -> None:
        if not self._scheduled and (self._offs or self._others):
            self._scheduled = True
            self._clock.callLater(0, self._launch)

    def _launch(self) -> None:
        self._scheduled = False
        for _ in range(_SLICE):
            if self._offs:
                self._start(self._offs.popleft())
            elif self._others:
                action = next(iter(self._others))
                del self._others[action]
                self._start(action)
        self._schedule()
