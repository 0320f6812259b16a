# SPDX-License-Identifier: MIT
"""
The door of the heart: requests in, tickets out, one action in play per node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.entries import Ended, Entry, Observed
from powercoord.errors import Draining, JournalUnavailable, NoSuchAction, RequestRefused
from powercoord.interfaces import IRegistry, IRoster, ITicket, Listener
from powercoord.model import Cancelled, CancelResult, Interrupted, Observation, Outcome, Request
from powercoord.registry.acceptance import Acceptance
from powercoord.registry.action import PowerAction
from powercoord.registry.audience import Audience
from powercoord.registry.batch import Batch
from powercoord.registry.intake import Intake
from powercoord.registry.lane import Lane
from powercoord.registry.launcher import Launcher
from powercoord.registry.publisher import Publisher
from powercoord.registry.reads import Reads
from powercoord.registry.requests import SeenRequests
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.waiters import Ticket
from powercoord.views import NodeView

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
    _stopping: bool = field(default=False, init=False)
    _acceptance: Acceptance = field(init=False)
    _intake: Intake = field(init=False)
    _launcher: Launcher = field(init=False)
    _reads: Reads = field(init=False)
    _idle: Audience[None] = field(factory=Audience, init=False)

    def __attrs_post_init__(self) -> None:
        self._acceptance = Acceptance(self._world, SeenRequests(), self._new_id)
        self._intake = Intake(self._world.write, self._durable, self._undo)
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
        return self._intake.decide(lambda batch: [self._try_accept(request, batch) for request in requests])

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
        return Deferred.fromCoroutine(self._cancel(found, by))

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
        return lane is not None and not lane.at_rest

    @property
    def trouble(self) -> str | None:
        """
        Why nothing new can be accepted.
        """
        return self._publisher.trouble

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Tell a listener every entry from now on.
        """
        return self._publisher.subscribe(listener)

    def drain(self, reason: str, by: str) -> None:
        """
        Refuse new changes.
        """
        self.draining = f"{reason or 'no reason given'} (by {by})"

    def resume(self, by: str) -> None:
        """
        Take new changes again.
        """
        if self._stopping:
            _log.warn("no new work, says {by} or not: it is stopping", by=by)
            return
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
        return Deferred.fromCoroutine(self._until_idle())

    def stop(self, reason: str) -> Deferred[None]:
        """
        Interrupt all that is in play or waiting; fires when all is quiet.
        """
        self.drain(reason, "stop")
        self._stopping = True
        self._reads.stop()
        return Deferred.fromCoroutine(self._stop(reason))

    async def _until_idle(self) -> None:
        await self._intake.decide(_nothing)
        while self._actions:
            await self._idle.join()

    async def _stop(self, reason: str) -> None:
        try:
            await self._intake.decide(lambda batch: self._end_all_waiting(Interrupted(reason), batch))
        except JournalUnavailable:
            batch = Batch()
            self._end_all_waiting(Interrupted(reason), batch)
            self._durable(batch)
        for action in [lane.in_play for lane in self._lanes.values() if lane.in_play is not None]:
            action.interrupt(reason)
            self._launcher.hasten(action)
        await self._until_idle()
        self._world.starts.stop()
        self._world.window.stop()

    async def _cancel(self, action: PowerAction, by: str) -> CancelResult:
        """
        What waits ends there and then; what is in play when it is quiet.

        Whether it is superseded may be being written; that comes first then.
        """
        if action is not self._lanes[action.node.name].in_play or action.superseded_by is not None:
            outcome = Cancelled(CancelResult.NOT_STARTED, by)
            await self._intake.decide(lambda batch: self._end_if_waiting(action, outcome, batch))
        quiet = action.cancel(by)
        self._launcher.hasten(action)
        return await quiet

    def _end_if_waiting(self, action: PowerAction, outcome: Outcome, batch: Batch) -> None:
        lane = self._lanes[action.node.name]
        if action in lane.waiting:
            self._acceptance.end_waiting(lane, action, outcome, batch)

    def _end_all_waiting(self, outcome: Outcome, batch: Batch) -> None:
        for lane in self._lanes.values():
            for action in list(lane.waiting):
                self._acceptance.end_waiting(lane, action, outcome, batch)

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

    def _durable(self, batch: Batch) -> None:
        """
        Now it may happen: what was decided is written.
        """
        for action in batch.started:
            action.durable = True
            if action.outcome is None:
                self._actions[action.id] = action
                self._watch(action)
        for action in batch.cancels:
            action.cancel(f"superseded by {action.superseded_by and action.superseded_by[0]}")
            self._launcher.hasten(action)
        for lane in batch.before:
            self._advance(lane)
        self._tell(batch)

    def _undo(self, batch: Batch) -> None:
        """
        It could not be written, and so never was.
        """
        orphans = self._acceptance.undo(batch)
        entries = [orphan.action.answer(orphan.waiter, orphan.outcome) for orphan in orphans]
        if entries:
            self._world.write(entries).addErrback(_log_unwritten)
        for orphan in orphans:
            orphan.waiter.tell()
        for lane in batch.before:
            self._advance(lane)

    def _tell(self, batch: Batch) -> None:
        """
        Answers first: who waits for quiet may close the doors they leave by.
        """
        for waiter in batch.answered():
            waiter.tell()
        for action, _ in batch.ended:
            self._gone(action)

    def _gone(self, action: PowerAction) -> None:
        action.over()
        self._actions.pop(action.id, None)
        if not self._actions:
            self._idle.tell(None)

    def _watch(self, action: PowerAction) -> None:
        """
        See that nobody waits for its turn for longer than they said.
        """
        limit = action.expires()
        if limit is not None:
            remaining = max(0.0, limit - self._world.clock.seconds())
            action.expiry = self._world.clock.callLater(remaining, self._overdue, action)

    def _overdue(self, action: PowerAction) -> None:
        if action.overdue():
            action.steps.leave_queue()
            ended = self._intake.decide(lambda batch: self._end_overdue(action, batch))
            ended.addErrback(_log_unwritten)
        else:
            self._watch(action)

    def _end_overdue(self, action: PowerAction, batch: Batch) -> None:
        if action.overdue():
            self._end_if_waiting(action, action.expired(), batch)

    def _advance(self, lane: Lane) -> None:
        action = None if self._stopping else lane.take_next()
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
        except JournalUnavailable as error:
            _log.error("the end of {action} is not durable: {error}", action=action.id, error=error)
        lane.opened()
        self._advance(lane)
        for waiter in waiters:
            waiter.tell()
        self._reads.look(action.node)
        self._gone(action)

    def _polled(self, name: str) -> bool:
        lane = self._lanes.get(name)
        return lane is not None and lane.in_play is not None and lane.in_play.steps.polling


def _nothing(_: Batch) -> None:
    """
    A decision that changes nothing: it waits for those before it.
    """


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
