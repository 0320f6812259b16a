# SPDX-License-Identifier: MIT
"""
When to look after which node: many times, one timer.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_log = Logger(namespace="powercoord.registry")

_SLICE = 50
"""
How many nodes are looked after in one turn of the reactor.
"""


@define(eq=False)
class Alarms:
    """
    A time for each of some nodes; each rings once, and is then forgotten.

    There is a timer only while there are times and nothing holds them up.
    """

    _clock: IReactorTime
    _ring: Callable[[str], None]
    _due: dict[str, float] = field(factory=dict, init=False)
    _heap: list[tuple[float, str]] = field(factory=list, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _paused: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def set(self, name: str, delay: float) -> None:
        """
        Ring for a node after so many seconds, instead of when it would have.
        """
        if self._stopped:
            return
        due = self._clock.seconds() + delay
        self._due[name] = due
        heappush(self._heap, (due, name))
        self._tidy()
        self._arm()

    def drop(self, name: str) -> None:
        """
        Do not ring for a node.
        """
        self._due.pop(name, None)
        if not self._due:
            self._heap.clear()
            self._disarm()

    def pause(self) -> None:
        """
        Ring for nobody until `resume`; times that pass meanwhile ring then.
        """
        self._paused = True
        self._disarm()

    def resume(self) -> None:
        """
        Ring again.
        """
        self._paused = False
        self._arm()

    def stop(self) -> None:
        """
        Ring never again.
        """
        self._stopped = True
        self._due.clear()
        self._heap.clear()
        self._disarm()

    def _tidy(self) -> None:
        """
        Times that were changed stay in the heap until they pass: not too many.
        """
        if len(self._heap) > 2 * len(self._due) + _SLICE:
            self._heap = [(due, name) for name, due in self._due.items()]
            heapify(self._heap)

    def _arm(self) -> None:
        if self._paused or not self._heap:
            return
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer.getTime() <= due:
                return
            self._disarm()
        self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._passed)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _passed(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for _ in range(_SLICE):
            if not self._heap or self._heap[0][0] > now:
                break
            due, name = heappop(self._heap)
            if self._due.get(name) == due:
                del self._due[name]
                self._ring_for(name)
        self._arm()

    def _ring_for(self, name: str) -> None:
        """
        One fault must not keep the others from their turn.
        """
        try:
            self._ring(name)
        except Exception:  # noqa: BLE001 - logged in full
            _log.failure("fault while looking after {node}", node=name)
