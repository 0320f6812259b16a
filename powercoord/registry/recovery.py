# SPDX-License-Identifier: MIT
"""
From what the journal knows to lanes that go on where a restart has interrupted them.

# Note [What may still come]

What ended before a restart may have left a change that is still to come (note
[Late change] in `powercoord.registry.latechange`), and no journal says so.  So
every lane that goes on begins as if one did, of either kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from powercoord.durable import Left, Record, Recovered
from powercoord.entries import Ended, Entry
from powercoord.errors import NoSuchNode
from powercoord.interfaces import IRoster
from powercoord.model import Node, Observation, Phase, Unknown
from powercoord.registry.action import PowerAction
from powercoord.registry.course import Course, tell
from powercoord.registry.expiry import Expiry
from powercoord.registry.lane import Lane
from powercoord.registry.lanes import Lanes
from powercoord.registry.latechange import LateChanges
from powercoord.registry.lattice import Wish
from powercoord.registry.requests import SeenRequests
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.unwritten import log_unwritten
from powercoord.registry.verbs import ACTIONS
from powercoord.registry.waiters import Waiter

_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Recovery:
    """
    Makes actions, waiters and lanes of what was written.
    """

    _world: Surroundings
    _roster: IRoster
    _lanes: Lanes
    _seen: SeenRequests

    def begin(self, recovered: Recovered, course: Course, expiry: Expiry) -> None:
        """
        Know what was known, and go on with what was left.
        """
        for note in recovered.notes:
            _log.warn("{note}", note=note)
        self._know(recovered)
        left, over = _overtaken(recovered.left)
        for one in over:
            Deferred.fromCoroutine(self._end(one, course)).addErrback(log_unwritten)
        actions, lanes = self._take_up(left)
        for action in actions:
            course.actions[action.id] = action
            if self._lanes.is_absent(action.node.name):
                expiry.watch_absent(action)
            else:
                expiry.watch(action)
        if actions:
            _log.info("{count} actions on {nodes} nodes go on", count=len(actions), nodes=len(lanes))
        for lane in lanes:
            course.advance(lane)

    def brought(self, node: Node, course: Course, expiry: Expiry) -> None:
        """
        Somebody has said what an absent node is: its lane goes on.
        """
        lane = self._lanes.brought(node)
        for action in lane.all():
            expiry.unwatch(action)
            expiry.watch(action)
        course.advance(lane)

    def _know(self, recovered: Recovered) -> None:
        """
        What was known before: answers, sequences, states.
        """
        self.recall(recovered.answered)
        self._lanes.remember(recovered.sequences)
        self._world.breakers.recall(recovered.refused, recovered.key)
        for name, seen in recovered.seen.items():
            observation = Observation(seen.state, self._moment(seen.at), seen.text)
            self._world.sightings.recall(name, observation)

    def recall(self, records: Iterable[Record]) -> None:
        """
        Requests that were answered, for whoever sends one of them again.
        """
        for record in records:
            if record.outcome is not None and record.request.request_id not in self._seen:
                waiter = Waiter(record.request, self._moment(record.at), record.action, self._seen.answered)
                waiter.recall(record.outcome)
                self._seen.recall(waiter)

    def _take_up(self, left: Sequence[Left]) -> tuple[list[PowerAction], list[Lane]]:
        """
        The actions that go on, and their lanes: first those that may be starting now.
        """
        actions = [self._action(one) for one in left]
        for action in actions:
            self._lanes.holding(action).waiting.append(action)
        lanes = list(dict.fromkeys(map(self._lanes.holding, actions)))
        lanes.sort(key=lambda lane: not lane.waiting[0].steps.sent)
        return actions, lanes

    async def _end(self, left: Left, course: Course) -> None:
        """
        Say of an action that it was over before the restart.
        """
        action = self._make(left)
        outcome = Unknown(f"{left.node}: it had ended before a restart, and how was not written")
        entries: list[Entry] = [Ended(self._world.now(), left.node, left.action, outcome)]
        entries.extend(action.answer(waiter, outcome) for waiter in action.waiters)
        await course.ends.write(entries)
        tell(action.waiters, outcome)

    def _moment(self, at: datetime) -> float:
        """
        A time of the wall clock on the registry's own; never one to come.
        """
        elapsed = (self._world.now() - at).total_seconds()
        return self._world.clock.seconds() - max(0.0, elapsed)

    def _action(self, left: Left) -> PowerAction:
        action = self._make(left)
        late = self._world.clock.seconds() + action.node.timing.settle
        self._lanes.of(action.node).late = LateChanges(late, late)
        return action

    def _make(self, left: Left) -> PowerAction:
        action = ACTIONS[left.verb](
            id=left.action,
            node=self._lane(left.node).node,
            wish=Wish(left.verb, left.boot),
            world=self._world,
            since=left.since,
        )
        for pending in left.pending:
            waiter = Waiter(pending.request, self._moment(pending.at), left.action, self._seen.answered)
            self._seen.add(waiter)
            action.join(waiter)
        action.take_up(left, None if left.turn is None else self._moment(left.turn))
        return action

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.find(name)
        if lane is not None:
            return lane
        try:
            return self._lanes.of(self._roster.find(name))
        except NoSuchNode:
            return self._lanes.of_absent(name)


def _overtaken(left: Sequence[Left]) -> tuple[list[Left], list[Left]]:
    """
    Those that go on, and those whose end was not written in time.

    An action behind them has begun: so they are over, however they have ended.
    """
    begun: set[str] = set()
    going_on: list[Left] = []
    over: list[Left] = []
    for one in reversed(left):
        (over if one.node in begun else going_on).append(one)
        if one.phase is not Phase.QUEUED:
            begun.add(one.node)
    return going_on[::-1], over[::-1]
