# SPDX-License-Identifier: MIT
"""
One operation under watch: what the driver announced, when it ended, and how.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.interfaces import IOperation


@implementer(IOperation)
@define(eq=False)
class WatchedOperation:
    """
    As the registry's, with a look inside.

    :ivar announced: how often the driver told that something leaves.
    :param on_sending: called with this whenever it tells so.
    """

    deadline: float
    _on_sending: Callable[[WatchedOperation], None] = lambda _: None
    cancelled: bool = field(default=False, init=False)
    announced: int = field(default=0, init=False)
    _callbacks: list[Callable[[], None]] = field(factory=list, init=False)

    def sending(self) -> None:
        """
        See `IOperation`.
        """
        self.announced += 1
        self._on_sending(self)

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        """
        See `IOperation`.
        """
        if self.cancelled:
            callback()
        else:
            self._callbacks.append(callback)

    def cancel(self) -> None:
        """
        The polite way.
        """
        self.cancelled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


@define(eq=False)
class Attempt:
    """
    One call of a driver, begun.
    """

    what: str
    operation: WatchedOperation
    call: Deferred[Any]
    began: float
    ended: float | None = field(default=None, init=False)
    _result: Any = field(default=None, init=False)

    @classmethod
    def begin(
        cls, what: str, call: Coroutine[Any, Any, Any], operation: WatchedOperation, clock: IReactorTime
    ) -> Attempt:
        """
        Start the coroutine and keep what becomes of it.
        """
        began = clock.seconds()
        attempt = cls(what, operation, Deferred.fromCoroutine(call), began)

        def over(result: Any) -> None:
            attempt.ended, attempt._result = clock.seconds(), result

        attempt.call.addBoth(over)
        return attempt

    @property
    def over(self) -> bool:
        """
        Has it ended?
        """
        return self.ended is not None

    @property
    def took(self) -> float:
        """
        Seconds from its begin to its end.
        """
        assert self.ended is not None, f"{self.what} has not ended"
        return self.ended - self.began

    @property
    def result(self) -> Any:
        """
        What it returned; None if it failed.
        """
        return None if isinstance(self._result, Failure) else self._result

    @property
    def failure(self) -> Failure | None:
        """
        What it failed with, traceback and all.
        """
        return self._result if isinstance(self._result, Failure) else None

    @property
    def error(self) -> BaseException | None:
        """
        What it failed with.
        """
        return self._result.value if isinstance(self._result, Failure) else None

    @property
    def sent(self) -> bool:
        """
        What the driver's error says of having sent something.
        """
        return bool(getattr(self.error, "sent", False))
