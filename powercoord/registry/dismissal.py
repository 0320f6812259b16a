# SPDX-License-Identifier: MIT
"""
Ending actions before their time: because somebody cancels them, or says that they are settled.
"""

from __future__ import annotations

from attrs import define
from twisted.internet.defer import Deferred

from powercoord.entries import Resolved
from powercoord.errors import JournalUnavailable
from powercoord.model import Cancelled, CancelResult, Outcome
from powercoord.registry.acceptance import Acceptance
from powercoord.registry.action import PowerAction
from powercoord.registry.batch import Batch
from powercoord.registry.course import Course
from powercoord.registry.halt import Halt
from powercoord.registry.intake import Intake
from powercoord.registry.lanes import Lanes
from powercoord.registry.surroundings import Surroundings


@define(eq=False)
class Dismissal:
    """
    Ends what is in play or waiting, and says how far it had come.

    Who hears that must be able to rely on it after a restart, too.
    """

    _world: Surroundings
    _intake: Intake
    _acceptance: Acceptance
    _lanes: Lanes
    _course: Course

    async def cancel(self, action: PowerAction, by: str) -> CancelResult:
        """
        What waits ends there and then; what is in play when it is quiet.

        Whether it is superseded may be being written; that comes first then.

        :raises JournalUnavailable: that it is over is not durable.
        """
        if action is not self._lanes.holding(action).in_play or action.halt.superseded is not None:
            outcome = Cancelled(action.stopped_at(), by)
            await self._intake.decide(lambda batch: self.end_if_waiting(action, outcome, batch))
        return await self._over(action, action.cancel(by))

    async def resolve(self, action: PowerAction, by: str, text: str) -> CancelResult:
        """
        End it at once; nothing is sent for that, and what is on the wire is torn down.

        :raises JournalUnavailable: that it is over is not durable.
        """
        if action is not self._lanes.holding(action).in_play:
            await self._intake.decide(lambda batch: self._resolve_waiting(action, by, text, batch))
        return await self._over(action, action.resolve(by, text))

    def end_if_waiting(self, action: PowerAction, outcome: Outcome, batch: Batch) -> None:
        """
        End an action unless it has had its turn.
        """
        lane = self._lanes.holding(action)
        if action in lane.waiting:
            self._acceptance.end_waiting(lane, action, outcome, batch)

    def _resolve_waiting(self, action: PowerAction, by: str, text: str, batch: Batch) -> None:
        if action in self._lanes.holding(action).waiting:
            batch.entries.append(Resolved(self._world.now(), action.node.name, action.id, by, text))
            self.end_if_waiting(action, Halt(resolved=(by, text)).outcome(action.stopped_at()), batch)

    async def _over(self, action: PowerAction, quiet: Deferred[CancelResult]) -> CancelResult:
        self._course.hasten(action)
        result = await quiet
        if action.unwritten is not None:
            raise JournalUnavailable(
                f"{action.id} has ended ({result.value}), but that is not durable yet: {action.unwritten}"
            )
        return result
