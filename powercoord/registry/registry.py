# SPDX-License-Identifier: MIT
"""
The door of the heart: requests in, tickets out, one action in play per node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.entries import Ended, Entry, Observed
from powercoord.errors import Draining, JournalUnavailable, NoSuchAction, RequestRefused
from powercoord.interfaces import IRegistry, IRoster, ITicket
from powercoord.model import (
    Cancelled,
    CancelResult,
    Failed,
    Interrupted,
    NodeView,
    Observation,
    Outcome,
    Request,
)
from powercoord.registry.acceptance import Acceptance, Batch
from powercoord.registry.action import PowerAction
from powercoord.registry.lane import Lane
from powercoord.registry.launcher import Launcher
from powercoord.registry.publisher import Listener, Publisher
from powercoord.registry.reads import Reads
from powercoord.registry.requests import SeenRequests
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.waiters import Ticket, Waiter

_log = Logger()


@implementer(IRegistry)
@define(eq=False)
class Registry:
    """
    All lanes, and what passes through them.

    :param publisher: what the surroundings write through.
    """

    roster: IRoster
    _world: Surroundings
    _publisher: Publisher
    _new_id: Callable[[], str]
    draining: str | None = field(default=None, init=False)
    _lanes: dict[str, Lane] = field(factory=dict, init=False)
    _actions: dict[str, PowerAction] = field(factory=dict, init=False)
    _seen: SeenRequests = field(factory=SeenRequests, init=False)
    _acceptance: Acceptance = field(init=False)
    _launcher: Launcher = field(init=False)
    _reads: Reads = field(init=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._acceptance = Acceptance(self._world, self._seen, self._new_id)
        self._launcher = Launcher(self._world.clock, self._start)
        self._reads = Reads(self._world, self._polled)

    def submit(self, request: Request) -> Deferred[ITicket]:
        """
        Accept or refuse one request.
        """
        return self.submit_many([request]).addCallback(_first)

    def submit_many(self, requests: Sequence[Request]) -> Deferred[Sequence[Any]]:
        """
        Accept or refuse each; one durable write for all.
        """
        batch = Batch()
        answers = [self._try_accept(request, batch) for request in requests]
        for _, action in batch.actions:
            self._actions[action.id] = action
        return self._write(batch).addCallback(lambda _: answers)

    def query(self, name: str) -> Deferred[Observation]:
        """
        Read a node, together with all who want that now.
        """
        return self._reads.read(self.roster.find(name))

    def cancel(self, action: str, by: str) -> Deferred[CancelResult]:
        """
        Cancel for all waiters.
        """
        found = self._actions.get(action)
        if found is None:
            raise NoSuchAction(f"no action {action} is in play or waiting; it may have ended")
        lane = self._lanes[found.node.name]
        if found is lane.in_play:
            return found.cancel(by)
        return self._end_waiting(lane, [found], Cancelled(CancelResult.NOT_STARTED, by)).addCallback(
            lambda _: CancelResult.NOT_STARTED
        )

    def view(self, name: str) -> NodeView:
        """
        A node's state with its age, and its lane.
        """
        node = self.roster.find(name)
        observed = self._world.sightings.last(name)
        age = None if observed.at is None else self._world.clock.seconds() - observed.at
        lane = self._lanes.get(name)
        if lane is None:
            return NodeView(node, observed, age, None, ())
        in_play = lane.in_play.view() if lane.in_play is not None else None
        return NodeView(node, observed, age, in_play, tuple(action.view() for action in lane.waiting))

    def busy(self) -> Sequence[NodeView]:
        """
        The nodes with something in play or waiting.
        """
        return [self.view(name) for name in dict.fromkeys(a.node.name for a in self._actions.values())]

    def is_busy(self, name: str) -> bool:
        """
        Whether a node has something in play or waiting.
        """
        lane = self._lanes.get(name)
        return lane is not None and not lane.empty

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Tell a listener every entry from now on.
        """
        self._publisher.listeners.append(listener)
        return lambda: self._publisher.listeners.remove(listener)

    def drain(self, reason: str, by: str) -> None:
        """
        Refuse new changes.
        """
        self.draining = f"{reason or 'no reason given'} (by {by})"

    def resume(self, by: str) -> None:
        """
        Take new changes again.
        """
        _log.info("taking new work again, says {by}", by=by)
        self.draining = None

    def observed(self, name: str, observation: Observation) -> None:
        """
        What is known of a node has changed; called by the sightings.
        """
        self._world.write([Observed(self._world.now(), name, observation)]).addErrback(_log_unwritten)

    def idle(self) -> Deferred[None]:
        """
        Fires when nothing is in play or waiting; a new Deferred each time.
        """
        if not self._actions:
            return succeed(None)
        idle: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(idle)
        return idle

    def stop(self, reason: str) -> Deferred[None]:
        """
        Interrupt all that is in play or waiting; fires when all is quiet.
        """
        self.drain(reason, "stop")
        self._reads.stop()
        ends: list[Deferred[Any]] = []
        for lane in self._lanes.values():
            ends.append(self._end_waiting(lane, list(lane.waiting), Interrupted(reason)))
            if lane.in_play is not None:
                lane.in_play.interrupt(reason)
        ends.append(self.idle())
        done = DeferredList(ends, consumeErrors=True)
        return done.addCallback(lambda _: self._world.starts.stop())

    def _try_accept(self, request: Request, batch: Batch) -> Ticket | RequestRefused:
        try:
            known = self._acceptance.known(request)
            if known is not None:
                return known
            if self.draining is not None:
                raise Draining(f"{request.node}: not accepted, draining: {self.draining}; try again later")
            node = self.roster.find(request.node)
            lane = self._lanes.get(node.name)
            if lane is None:
                lane = self._lanes[node.name] = Lane(node)
            return self._acceptance.accept(request, node, lane, batch)
        except RequestRefused as refusal:
            return refusal

    def _write(self, batch: Batch) -> Deferred[None]:
        written = self._world.write(batch.entries)
        written.addCallbacks(self._durable, self._not_durable, callbackArgs=(batch,), errbackArgs=(batch,))
        return written

    def _durable(self, _: None, batch: Batch) -> None:
        for action in batch.cancels:
            action.cancel(f"superseded by {action.superseded_by and action.superseded_by[0]}")
        self._tell(batch)
        for lane, action in batch.actions:
            action.durable = True
            self._advance(lane)

    def _not_durable(self, failure: Failure, batch: Batch) -> Failure:
        _log.failure("requests were not accepted: the journal cannot be written", failure)
        refusal = JournalUnavailable("not accepted: the journal cannot be written; nothing was started")
        self._acceptance.undo(batch, Failed(refusal.code, str(refusal), refusal.retryable))
        batch.ended.extend(action for _, action in batch.actions)
        self._tell(batch)
        return Failure(refusal)

    def _tell(self, batch: Batch) -> None:
        for action in batch.ended:
            self._gone(action)
        for waiter in batch.answered:
            self._answered(waiter)

    def _answered(self, waiter: Waiter) -> None:
        self._seen.answered(waiter)
        waiter.tell()

    def _gone(self, action: PowerAction) -> None:
        self._actions.pop(action.id, None)
        if not self._actions:
            idle, self._idle = self._idle, []
            for deferred in idle:
                deferred.callback(None)

    def _end_waiting(self, lane: Lane, actions: Sequence[PowerAction], outcome: Outcome) -> Deferred[None]:
        batch = Batch()
        for action in actions:
            lane.waiting.remove(action)
            self._acceptance.end_waiting(action, outcome, batch)
        written = self._world.write(batch.entries)
        written.addErrback(_log_unwritten)
        return written.addCallback(lambda _: self._tell(batch))

    def _advance(self, lane: Lane) -> None:
        action = lane.take_next()
        if action is not None:
            self._launcher.add(action)

    def _start(self, action: PowerAction) -> None:
        Deferred.fromCoroutine(self._play(action)).addErrback(_log_fault, action.id)

    async def _play(self, action: PowerAction) -> None:
        """
        Run an action, write how it ended, answer, and let the next one go.
        """
        outcome = await action.run()
        lane = self._lanes[action.node.name]
        action.outcome = outcome
        lane.finished(action)
        waiters, action.waiters = action.waiters, []
        entries: list[Entry] = [Ended(self._world.now(), action.node.name, action.id, outcome)]
        entries.extend(action.answer(waiter, outcome) for waiter in waiters)
        try:
            await self._world.write(entries)
        except RequestRefused as error:
            _log.error("the end of {action} is not durable: {error}", action=action.id, error=error)
        action.over(outcome)
        for waiter in waiters:
            self._answered(waiter)
        self._gone(action)
        lane.opened()
        self._advance(lane)

    def _polled(self, name: str) -> bool:
        lane = self._lanes.get(name)
        return lane is not None and lane.in_play is not None and lane.in_play.steps.polling


def _first(answers: Sequence[Any]) -> ITicket:
    answer = answers[0]
    if isinstance(answer, RequestRefused):
        raise answer
    ticket: ITicket = answer
    return ticket


def _log_unwritten(failure: Failure) -> None:
    _log.failure("an entry was not written", failure)


def _log_fault(failure: Failure, action: str) -> None:
    _log.failure("fault in action {action}", failure, action=action)
