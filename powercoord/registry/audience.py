# SPDX-License-Identifier: MIT
"""
Many who wait for one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

T = TypeVar("T")


@define(eq=False)
class Audience(Generic[T]):
    """
    Those who wait for one value, each with a Deferred of their own.

    Whoever is told may in turn join, leave, or make others leave.

    :param deserted: called when the last who waited has left.
    """

    _deserted: Callable[[Audience[T]], None] | None = None
    _waiting: dict[Deferred[T], None] = field(factory=dict, init=False)

    def __bool__(self) -> bool:
        """
        Whether anybody waits.
        """
        return bool(self._waiting)

    def join(self) -> Deferred[T]:
        """
        One more; cancelling it concerns nobody else.
        """
        joined: Deferred[T] = Deferred(self._leave)
        self._waiting[joined] = None
        return joined

    def tell(self, value: T) -> None:
        """
        Let all who wait now know; who joins meanwhile waits for the next value.
        """
        for deferred in self._one_by_one():
            deferred.callback(value)

    def fail(self, error: Callable[[], Exception]) -> None:
        """
        Let all who wait now fail, each with an error of his own: whoever is given one may write on it.
        """
        for deferred in self._one_by_one():
            deferred.errback(error())

    def _one_by_one(self) -> Iterator[Deferred[T]]:
        for deferred in list(self._waiting):
            if deferred in self._waiting:
                del self._waiting[deferred]
                yield deferred

    def _leave(self, deferred: Deferred[T]) -> None:
        self._waiting.pop(deferred, None)
        if self._deserted is not None and not self._waiting:
            self._deserted(self)
