# SPDX-License-Identifier: MIT
"""
Operations that wait until it is their turn, first come, first served.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.errors import OperationCancelled, PowercoordError
from powercoord.interfaces import IOperation


@define(eq=False)
class _Waiting:
    turn: Deferred[None]
    timer: IDelayedCall


@define(eq=False)
class Turns:
    """
    A queue that an operation leaves early when it is cancelled or its time is over.
    """

    _clock: IReactorTime
    _waiting: deque[_Waiting] = field(factory=deque, init=False)

    def __len__(self) -> int:
        """
        How many wait.
        """
        return len(self._waiting)

    def wait(self, operation: IOperation, deadline: float, late: PowercoordError) -> Deferred[None]:
        """
        Fires when it is this operation's turn.

        :param late: what it fails with at the deadline.
        """

        def gone(_: Deferred[None]) -> None:
            self._remove(waiting)

        def leave(error: PowercoordError) -> None:
            if self._remove(waiting):
                waiting.turn.errback(error)

        def cancelled() -> None:
            leave(OperationCancelled())

        seconds = max(0.0, deadline - self._clock.seconds())
        waiting = _Waiting(Deferred(gone), self._clock.callLater(seconds, leave, late))
        self._waiting.append(waiting)
        operation.when_cancelled(cancelled)
        return waiting.turn

    def release(self, count: int = 1) -> None:
        """
        Let the next ones go on.
        """
        while count > 0 and self._waiting:
            waiting = self._waiting[0]
            self._remove(waiting)
            waiting.turn.callback(None)
            count -= 1

    def dismiss(self, error: PowercoordError) -> None:
        """
        Let nobody go on: all that wait fail.
        """
        while self._waiting:
            waiting = self._waiting[0]
            self._remove(waiting)
            waiting.turn.errback(error)

    def _remove(self, waiting: _Waiting) -> bool:
        if waiting not in self._waiting:
            return False
        self._waiting.remove(waiting)
        if waiting.timer.active():
            waiting.timer.cancel()
        return True
