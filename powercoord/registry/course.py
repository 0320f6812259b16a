# SPDX-License-Identifier: MIT
"""
The course of actions: their turn, their end, and who comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.entries import Ended, Entry, Resolved
from powercoord.model import Interrupted, Node, Outcome, Phase
from powercoord.registry.action import PowerAction
from powercoord.registry.audience import Audience
from powercoord.registry.ends import Ends
from powercoord.registry.lane import Lane
from powercoord.registry.lanes import Lanes
from powercoord.registry.launcher import Launcher
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.waiters import Waiter

_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Course:
    """
    All actions that are not over, and what becomes of them.

    :param look: read a node if somebody still waits for that.
    """

    _world: Surroundings
    _lanes: Lanes
    _look: Callable[[Node], None]
    actions: dict[str, PowerAction] = field(factory=dict, init=False)
    stopping: bool = field(default=False, init=False)
    ends: Ends = field(init=False)
    _launcher: Launcher = field(init=False)
    _idle: Audience[None] = field(factory=Audience, init=False)

    def __attrs_post_init__(self) -> None:
        self.ends = Ends(self._world.clock, self._world.write)
        self._launcher = Launcher(self._world.clock, self._start)

    def advance(self, lane: Lane) -> None:
        """
        Let the next one have its turn, if it may.
        """
        if self.stopping or self._lanes.is_absent(lane.node.name):
            return
        action = lane.take_next()
        if action is not None:
            self._launcher.add(action)

    def hasten(self, action: PowerAction) -> None:
        """
        Nobody wants it any more: it need not wait to be started.
        """
        self._launcher.hasten(action)

    def gone(self, action: PowerAction) -> None:
        """
        It is over, and that is written.
        """
        action.over()
        self.actions.pop(action.id, None)
        if not self._busy():
            self._idle.tell(None)

    async def until_idle(self) -> None:
        """
        Wait until nothing is in play or waiting; absent nodes are not waited for.
        """
        while self._busy():
            await self._idle.join()

    def polled(self, name: str) -> bool:
        """
        Whether a node's action in play is looking at it again and again now.
        """
        lane = self._lanes.find(name)
        return lane is not None and lane.in_play is not None and lane.in_play.steps.polling

    def _busy(self) -> bool:
        if not self._lanes.any_absent:
            return bool(self.actions)
        return any(not self._lanes.is_absent(action.node.name) for action in self.actions.values())

    def _start(self, action: PowerAction) -> None:
        Deferred.fromCoroutine(self._play(action)).addErrback(_log_fault, action.id)

    async def _play(self, action: PowerAction) -> None:
        """
        Run an action, write how it ended, answer, and let the next one go.
        """
        outcome = await action.run()
        lane = self._lanes.holding(action)
        action.outcome = outcome
        lane.finished(action)
        waiters, action.waiters = action.waiters, []
        action.unwritten = await self.ends.write(self._end(action, outcome, waiters))
        lane.opened()
        self.advance(lane)
        tell(waiters, outcome)
        self._look(action.node)
        self.gone(action)

    def _end(self, action: PowerAction, outcome: Outcome, waiters: Iterable[Waiter]) -> list[Entry]:
        """
        What is written of an end.  An interrupted action has none: it goes on one day.
        """
        if isinstance(outcome, Interrupted):
            return [action.entered(Phase.INTERRUPTED, action.half, outcome.text)]
        now, node = self._world.now(), action.node.name
        entries: list[Entry] = [Ended(now, node, action.id, outcome)]
        if action.halt.resolved is not None:
            entries.insert(0, Resolved(now, node, action.id, *action.halt.resolved))
        entries.extend(action.answer(waiter, outcome) for waiter in waiters)
        return entries


def tell(waiters: Iterable[Waiter], outcome: Outcome) -> None:
    """
    Let waiters know the answer, or that there is none yet.
    """
    for waiter in waiters:
        if isinstance(outcome, Interrupted):
            waiter.interrupt(outcome)
        else:
            waiter.tell()


def _log_fault(failure: Failure, action: str) -> None:
    _log.failure("fault in action {action}", failure, action=action)
