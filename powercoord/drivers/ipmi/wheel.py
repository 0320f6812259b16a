# SPDX-License-Identifier: MIT
"""
The times of many conversations, on one timer of the reactor.

Each exchange sets a time at which its request counts as lost, and nearly none
of them comes: a heap of timers would be filled and emptied for nothing. Here
an alarm lies in a slot of ten milliseconds and is looked at when its slot
comes. One that was moved to a later time in between stays where it is until then.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

_PER_SECOND = 100
NEVER = inf


class Alarm(Protocol):
    """
    What can be woken. The wheel keeps its two times there.

    :ivar due: when to ring, on the clock; `NEVER`: not at all.
    :ivar slot: where it lies.
    """

    due: float
    slot: float

    def ring(self) -> None:
        """
        The time has come. Must not raise.
        """


@define(eq=False)
class Wheel:
    """
    All alarms of a fleet. None rings too early, and none more than a slot too late.
    """

    _clock: IReactorTime
    _slots: dict[float, dict[Alarm, None]] = field(factory=dict, init=False)
    _next: float = field(default=NEVER, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)

    def set(self, alarm: Alarm, at: float) -> None:
        """
        Let it ring at that time, and not at the one set before.
        """
        slot = int(at * _PER_SECOND) + 1
        if alarm.slot <= slot:
            alarm.due = at
            return
        if alarm.slot != NEVER:
            self.remove(alarm)
        alarm.due, alarm.slot = at, slot
        alarms = self._slots.get(slot)
        if alarms is None:
            alarms = self._slots[slot] = {}
        alarms[alarm] = None
        if slot < self._next:
            self._schedule(slot)

    def remove(self, alarm: Alarm) -> None:
        """
        Let it not ring, and do not keep it.
        """
        alarms = self._slots.get(alarm.slot)
        if alarms is not None:
            alarms.pop(alarm, None)
        alarm.slot = alarm.due = NEVER

    def close(self) -> None:
        """
        Ring no more.
        """
        self._slots.clear()
        self._schedule(NEVER)

    def _schedule(self, slot: float) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._next = slot
        if slot != NEVER:
            delay = max(0.0, slot / _PER_SECOND - self._clock.seconds())
            self._call = self._clock.callLater(delay, self._turn)

    def _turn(self) -> None:
        self._call, now = None, self._clock.seconds()
        for slot in sorted(slot for slot in self._slots if slot <= now * _PER_SECOND):
            for alarm in self._slots.pop(slot):
                self._look_at(alarm, now)
        self._schedule(min(self._slots, default=NEVER))

    def _look_at(self, alarm: Alarm, now: float) -> None:
        alarm.slot = NEVER
        if alarm.due <= now:
            alarm.due = NEVER
            alarm.ring()
        elif alarm.due != NEVER:
            self.set(alarm, alarm.due)
