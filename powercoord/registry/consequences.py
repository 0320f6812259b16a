# SPDX-License-Identifier: MIT
"""
What follows when decisions have become durable, or could not.
"""

from __future__ import annotations

from attrs import define

from powercoord.registry.acceptance import Acceptance
from powercoord.registry.batch import Batch
from powercoord.registry.course import Course
from powercoord.registry.expiry import Expiry
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.unwritten import log_unwritten


@define(eq=False)
class Consequences:
    """
    Lets happen what was decided.
    """

    _world: Surroundings
    _acceptance: Acceptance
    _course: Course

    def carry_out(self, batch: Batch, expiry: Expiry) -> None:
        """
        Now it may happen: what was decided is written.
        """
        for action in batch.started:
            action.durable = True
            if action.outcome is None:
                self._course.actions[action.id] = action
                expiry.watch(action)
        for action in batch.cancels:
            action.cancel(f"superseded by {action.halt.superseded and action.halt.superseded[0]}")
            self._course.hasten(action)
        for lane in batch.before:
            self._course.advance(lane)
        self._tell(batch)

    def undo(self, batch: Batch) -> None:
        """
        It could not be written, and so never was.
        """
        orphans = self._acceptance.undo(batch)
        entries = [orphan.action.answer(orphan.waiter, orphan.outcome) for orphan in orphans]
        if entries:
            self._world.write(entries).addErrback(log_unwritten)
        for orphan in orphans:
            orphan.waiter.tell()
        for lane in batch.before:
            self._course.advance(lane)

    def _tell(self, batch: Batch) -> None:
        """
        Answers first: who waits for quiet may close the doors they leave by.
        """
        for waiter in batch.answered():
            waiter.tell()
        for action, _ in batch.ended:
            self._course.gone(action)
