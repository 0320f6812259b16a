# SPDX-License-Identifier: MIT
"""
How much of a fleet is spoken to in one breath.

Ten thousand reads begun at once are ten thousand answers at once, and the
kernel keeps a few hundred of them for us.  So only so many operations may be
young.  One that has had no answer for a while is not part of the crowd any
more: dead BMCs must not keep the living ones waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.registry.gates import Priority, Slot


@define(eq=False)
class Window:
    """
    At most ``size`` operations younger than ``young`` seconds, in the whole fleet.

    :param spare: how many more offs may be; they never wait for reads.
    """

    _clock: IReactorTime
    _size: int = 256
    _spare: int = 128
    _young: float = 0.25
    _begun: dict[int, float] = field(factory=dict, init=False)
    _waiting: list[tuple[int, int, Deferred[Slot]]] = field(factory=list, init=False)
    _order: count[int] = field(factory=count, init=False)
    _admitting: bool = field(default=False, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def acquire(self, priority: Priority) -> Deferred[Slot]:
        """
        Fires with a slot; cancel it to leave the queue.
        """
        granted: Deferred[Slot] = Deferred(lambda _: None)
        heappush(self._waiting, (priority, next(self._order), granted))
        self._admit()
        return granted

    def stop(self) -> None:
        """
        Wake up no more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _admit(self) -> None:
        """
        Let in who may; see note [One at the door] in `powercoord.registry.gates`.
        """
        if self._admitting:
            return
        self._admitting = True
        while self._waiting:
            if self._waiting[0][2].called:
                heappop(self._waiting)
            elif self._has_room(self._waiting[0][0]):
                _, order, granted = heappop(self._waiting)
                self._begun[order] = self._clock.seconds()
                granted.callback(Slot(self._releaser(order)))
            else:
                break
        self._admitting = False
        self._wake_later()

    def _has_room(self, priority: int) -> bool:
        most = self._size + (self._spare if priority == Priority.OFF else 0)
        if len(self._begun) < most:
            return True
        old = self._clock.seconds() - self._young
        while self._begun and next(iter(self._begun.values())) <= old:
            del self._begun[next(iter(self._begun))]
        return len(self._begun) < most

    def _releaser(self, order: int) -> Callable[[], None]:
        def release() -> None:
            if self._begun.pop(order, None) is not None:
                self._admit()

        return release

    def _wake_later(self) -> None:
        """
        Whoever waits is let in when the oldest is not young any more, if no answer comes before.
        """
        if not self._waiting:
            self.stop()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._young, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._admit()
