# SPDX-License-Identifier: MIT
"""
Tasks for what is answered with 202 (DSP0266, "Asynchronous operations").
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.machine import Machine

#: Tasks that are remembered, at most.
MEMORY = 200


@define(eq=False)
class Task:
    """
    A change of power under way.

    :param failed: it will end as an exception.
    """

    number: int
    machine: Machine = field(repr=False)
    begun: float
    earliest: float
    failed: bool = False


@define(eq=False)
class Tasks:
    """
    The tasks of one service.
    """

    _clock: IReactorTime = field(repr=False)
    _lasts: float
    by_number: dict[str, Task] = field(init=False, factory=dict)
    _last: int = field(init=False, default=0)

    def begin(self, machine: Machine, failed: bool = False) -> Task:
        """
        A new one.
        """
        self._last += 1
        now = self._clock.seconds()
        task = Task(self._last, machine, now, now + self._lasts, failed)
        self.by_number[str(task.number)] = task
        if len(self.by_number) > MEMORY:
            del self.by_number[next(iter(self.by_number))]
        return task

    def is_over(self, task: Task) -> bool:
        """
        Has power changed as it should?
        """
        return self._clock.seconds() >= task.earliest and task.machine.coming() is None
