# SPDX-License-Identifier: MIT
"""
One operation's own time, and the two ways to end it before that.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.errors import OperationCancelled, PowerConnError
from powercoord.interfaces import IOperation

T = TypeVar("T")


@define(eq=False)
class Errand(Generic[T]):
    """
    Runs what an operation does, until it is over, late, or not wanted any more.

    :param what: for what is said: of whom what is wanted.
    :param deadline: on the clock.
    """

    _clock: IReactorTime
    _operation: IOperation
    _what: str
    _limit: float
    _left: bool = field(default=False, init=False)
    _late: bool = field(default=False, init=False)
    _polite: bool = field(default=False, init=False)

    def leaving(self) -> None:
        """
        A change leaves now: from here on its answer is waited for.
        """
        self._left = True
        self._operation.sending()

    async def run(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        """
        Its result.

        A polite cancel ends it as long as nothing has left, and changes nothing afterwards: what a
        hypervisor has been told is done, so its answer is waited for.

        :raises PowerConnError: time ran out.
        :raises OperationCancelled: it was stopped before anything left.
        """
        now = self._clock.seconds()
        end = min(self._operation.deadline, now + self._limit)
        if end <= now or self._operation.cancelled:
            work.close()
            raise self._ended(late=not self._operation.cancelled, spent=0.0)
        running = Deferred.fromCoroutine(work)
        timer = self._clock.callLater(end - now, self._expire, running)
        self._operation.when_cancelled(lambda: self._stop(running))
        try:
            return await running
        except CancelledError:
            if not self._late and not self._polite:
                raise
            raise self._ended(late=self._late, spent=end - now) from None
        finally:
            if timer.active():
                timer.cancel()

    def _expire(self, running: Deferred[T]) -> None:
        self._late = True
        running.cancel()

    def _stop(self, running: Deferred[T]) -> None:
        if not self._left:
            self._polite = True
            running.cancel()

    def _ended(self, *, late: bool, spent: float) -> Exception:
        if not late:
            return OperationCancelled(f"{self._what}: cancelled before anything was sent")
        return PowerConnError(f"{self._what}: no answer within {spent:g} s", sent=self._left)
