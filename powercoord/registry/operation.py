# SPDX-License-Identifier: MIT
"""
One operation on the wire: what the driver sees, and how it is ended.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.errors import OperationCancelled, PowerConnError, PowercoordError
from powercoord.interfaces import IOperation

T = TypeVar("T")
_log = Logger(namespace="powercoord.registry")


@implementer(IOperation)
@define(eq=False)
class Operation(Generic[T]):
    """
    Runs one driver call, and ends it politely, or hard when that fails.

    :param deadline: seconds on the clock; a driver that is still busy
        ``grace`` seconds after it is torn down.
    """

    _clock: IReactorTime
    _what: str
    deadline: float
    _grace: float
    cancelled: bool = field(default=False, init=False)
    sent: bool = field(default=False, init=False)
    _callbacks: list[Callable[[], None]] = field(factory=list, init=False)
    _driver_call: Deferred[T] | None = field(default=None, init=False)
    _result: Deferred[T] = field(factory=Deferred, init=False)
    _guard: IDelayedCall | None = field(default=None, init=False)
    _done: bool = field(default=False, init=False)

    def sending(self) -> None:
        """
        Note that a power-changing request leaves now.
        """
        self.sent = True

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        """
        Register what a polite cancel calls.
        """
        if self.cancelled:
            callback()
        else:
            self._callbacks.append(callback)

    def run(self, call: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """
        Start the driver's coroutine; fires when it is over or torn down.

        Fails with a `PowercoordError` only: anything else that a driver
        raises is a fault of the driver, logged here in full.
        """
        remaining = max(0.0, self.deadline - self._clock.seconds())
        self._guard = self._clock.callLater(remaining + self._grace, self._overdue)
        self._driver_call = Deferred.fromCoroutine(call)
        self._driver_call.addCallbacks(self._over, self._failed)
        return self._result

    def stop(self) -> None:
        """
        Ask the driver to stop, politely.
        """
        if not self.cancelled:
            self.cancelled = True
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._guarded(callback)

    def tear_down(self) -> None:
        """
        End it here and now, whatever the driver does.
        """
        self._abandon(OperationCancelled(f"{self._what}: torn down", sent=self.sent))

    def _overdue(self) -> None:
        self._guard = None
        _log.error("driver overran its deadline and was torn down: {what}", what=self._what)
        self._abandon(PowerConnError(f"{self._what}: no end within the operation's time", sent=self.sent))

    def _abandon(self, reason: PowercoordError) -> None:
        if not self._done:
            self._finish()
            if self._driver_call is not None:
                self._guarded(self._driver_call.cancel)
            self._result.errback(Failure(reason))

    def _guarded(self, call: Callable[[], None]) -> None:
        """
        Call into the driver; its faults must not stop those who stop it.
        """
        try:
            call()
        except Exception:  # noqa: BLE001 - whatever it is, the operation ends
            _log.failure("driver fault while stopping {what}", what=self._what)

    def _over(self, result: T) -> None:
        if not self._done:
            self._finish()
            self._result.callback(result)

    def _failed(self, failure: Failure) -> None:
        """
        Pass on what the driver says; of a call torn down nobody wants to know.
        """
        if not self._done:
            self._finish()
            self._result.errback(Failure(self._reason(failure)))

    def _reason(self, failure: Failure) -> PowercoordError:
        """
        Why it failed, as the registry may hear it.

        After a lost answer only a read can tell, whether the driver says so or
        only called `sending`.
        """
        error = failure.value
        if isinstance(error, OperationCancelled) and not self.cancelled:
            return PowerConnError(f"{self._what}: the driver gave up unasked", sent=error.sent or self.sent)
        if isinstance(error, OperationCancelled | PowerConnError):
            error.sent = error.sent or self.sent
        if isinstance(error, PowercoordError):
            return error
        _log.failure("driver fault in {what}", failure, what=self._what)
        return PowerConnError(f"{self._what}: fault in the driver ({type(error).__name__})", sent=self.sent)

    def _finish(self) -> None:
        self._done = True
        self._callbacks = []
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
