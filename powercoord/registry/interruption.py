# SPDX-License-Identifier: MIT
"""
Stopping with work left, so that it goes on after the restart.

Interrupted is not an end: nothing terminal is written of such an action, and
who waits for it is told that it goes on when the service is back.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define

from powercoord.entries import Entry
from powercoord.errors import JournalUnavailable
from powercoord.model import Interrupted, Phase
from powercoord.registry.action import PowerAction
from powercoord.registry.batch import Batch
from powercoord.registry.course import Course, tell
from powercoord.registry.intake import Intake
from powercoord.registry.lanes import Lanes
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.unwritten import log_unwritten


@define(eq=False)
class Interruption:
    """
    Stops what is in play or waiting.
    """

    _world: Surroundings
    _intake: Intake
    _lanes: Lanes
    _course: Course

    async def put_off(self, reason: str) -> None:
        """
        Begin nothing more; what has begun goes on.
        """
        self._course.stopping = True
        await self.decided()
        self._interrupt_waiting(reason)
        self._interrupt([action for action in self._in_play() if action.phase is Phase.QUEUED], reason)

    async def stop(self, reason: str) -> None:
        """
        Interrupt everything; returns when it is quiet.
        """
        await self.put_off(reason)
        self._interrupt(self._in_play(), reason)
        await self._course.until_idle()
        await self._course.ends.stop()

    async def decided(self) -> None:
        """
        Wait for what is being decided and written.
        """
        try:
            await self._intake.decide(_nothing)
        except JournalUnavailable:
            return  # then nothing was decided

    def _in_play(self) -> list[PowerAction]:
        return [lane.in_play for lane in self._lanes if lane.in_play is not None]

    def _interrupt(self, actions: Iterable[PowerAction], reason: str) -> None:
        """
        Its waiters hear of it at once, for their connections may not be there for long.
        """
        for action in actions:
            action.interrupt(reason)
            self._course.hasten(action)
            if not action.cancelling:
                tell(action.waiters, Interrupted(reason))

    def _interrupt_waiting(self, reason: str) -> None:
        entries: list[Entry] = []
        interrupted: list[PowerAction] = []
        for lane in self._lanes:
            interrupted += lane.waiting
            lane.waiting = []
        for action in interrupted:
            entries.append(action.entered(Phase.INTERRUPTED, action.half, reason))
            tell(action.waiters, Interrupted(reason))
            self._course.gone(action)
        if entries:
            self._world.write(entries).addErrback(log_unwritten)


def _nothing(_: Batch) -> None:
    """
    A decision that changes nothing: it waits for those before it.
    """
