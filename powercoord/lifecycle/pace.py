# SPDX-License-Identifier: MIT
"""
Stopping one thing at a time.

Twisted's ``MultiService`` stops its children at once, so that a journal would
be closed before the actions that need it.  Here each step is over before the
next begins.  One that fails does not keep the others from their turn, and one
that does not come to an end has a limit, which is short once somebody is in a
hurry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import inf

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger(namespace="powercoord.lifecycle")


@frozen
class Step:
    """
    One thing to do when stopping; ``name`` completes "could not …".

    :param limit: for how many seconds it may take; 0 leaves it out.
    :param hurried: the same when somebody is in a hurry.
    """

    name: str
    do: Callable[[], Awaitable[object]]
    limit: float = inf
    hurried: float = 0.1


@define(eq=False, repr=False)
class Pace:
    """
    How long the steps of one stop may take.
    """

    _clock: IReactorTime
    hurried: bool = field(default=False, init=False)
    _step: Step | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _over: Deferred[bool] | None = field(default=None, init=False)

    def hurry(self) -> None:
        """
        Leave less time to every step from now on, the one under way included.
        """
        if self.hurried:
            return
        self.hurried = True
        if self._step is not None:
            self._set_timer(self._step.hurried)

    def limit(self, step: Step) -> float:
        """
        How long a step may take now.
        """
        return step.hurried if self.hurried else step.limit

    async def take(self, step: Step) -> bool:
        """
        Do it; tells whether it came to its end.  What it raises, this raises.
        """
        over: Deferred[bool] = Deferred()
        self._step, self._over = step, over
        doing = Deferred.fromCoroutine(_do(step))
        doing.addCallbacks(self._done, self._failed, callbackArgs=(over,), errbackArgs=(over, step))
        if not over.called:
            self._set_timer(self.limit(step))
        try:
            ended = await over
        finally:
            self._step = self._over = None
            self._cancel_timer()
        if not ended:
            doing.cancel()
        return ended

    def _done(self, _: object, over: Deferred[bool]) -> None:
        if not over.called:
            over.callback(True)

    def _failed(self, failure: Failure, over: Deferred[bool], step: Step) -> None:
        if not over.called:
            over.errback(failure)
        elif not failure.check(CancelledError):
            _log.failure("too late: could not {step} while stopping", failure, step=step.name)

    def _set_timer(self, seconds: float) -> None:
        self._cancel_timer()
        if seconds < inf:
            self._timer = self._clock.callLater(seconds, self._cut)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _cut(self) -> None:
        if self._over is not None and not self._over.called:
            self._over.callback(False)


async def take_in_order(steps: Sequence[Step], pace: Pace) -> list[str]:
    """
    Take each step; returns the names of those that failed (the log has why).
    """
    return [step.name for step in steps if pace.limit(step) > 0 and not await _took(step, pace)]


async def _took(step: Step, pace: Pace) -> bool:
    """
    Tells whether it did not fail; what failed must not keep the steps after it from their turn.
    """
    try:
        if not await pace.take(step):
            _log.info("no more time to {step}; going on", step=step.name)
    except Exception:  # noqa: BLE001 - logged in full
        _log.failure("could not {step} while stopping; going on", step=step.name)
        return False
    return True


async def _do(step: Step) -> None:
    await step.do()
