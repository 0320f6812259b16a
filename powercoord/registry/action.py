# SPDX-License-Identifier: MIT
"""
The object that does what requests asked of one node, and can be cancelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from math import inf
from typing import ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from powercoord.durable import Left
from powercoord.entries import Answered, Entered, Entry
from powercoord.errors import JournalUnavailable, PowerActionFail
from powercoord.interfaces import IPowerAction
from powercoord.model import (
    CancelResult,
    Done,
    Failed,
    Goal,
    Node,
    Outcome,
    Phase,
    Verb,
)
from powercoord.registry.audience import Audience
from powercoord.registry.gates import Priority
from powercoord.registry.halt import Halt
from powercoord.registry.latechange import LateChanges
from powercoord.registry.lattice import Seat, Wish
from powercoord.registry.patience import Patience
from powercoord.registry.steps import Steps
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.unwritten import log_unwritten
from powercoord.registry.waiters import Waiter
from powercoord.views import ActionView

_log = Logger(namespace="powercoord.registry")


@implementer(IPowerAction)
@define(eq=False, kw_only=True)
class PowerAction(ABC):
    """
    One action in a lane.  A subclass for each verb says how it is done.

    :param late: what was sent before this action may still take effect (note
        [Late change]).
    :param expiry: fires when nobody waits any longer for its turn to come.
    :param unwritten: why its end is not durable, if it is not.
    :param past: what is known of it from before a restart.
    :param leaning: whether it is on its way on, and what it requires must stay on.
    :param asked_at: when the last of its requests was accepted, on the clock.
    """

    priority: ClassVar[Priority] = Priority.CHANGE

    id: str
    node: Node
    wish: Wish
    world: Surroundings
    since: datetime
    late: LateChanges = field(default=LateChanges(), init=False)
    durable: bool = field(default=False, init=False)
    waiters: list[Waiter] = field(factory=list, init=False)
    phase: Phase = field(default=Phase.QUEUED, init=False)
    half: str = field(default="", init=False)
    outcome: Outcome | None = field(default=None, init=False)
    halt: Halt = field(factory=Halt, init=False)
    past: Left | None = field(default=None, init=False)
    cancel_result: CancelResult = field(default=CancelResult.NOT_STARTED, init=False)
    patience: Patience = field(default=Patience(), init=False)
    expiry: IDelayedCall | None = field(default=None, init=False)
    unwritten: JournalUnavailable | None = field(default=None, init=False)
    leaning: bool = field(default=False, init=False)
    asked_at: float = field(default=-inf, init=False)
    steps: Steps = field(init=False)
    _turn: float | None = field(default=None, init=False)
    _accepted: bool = field(default=False, init=False)
    _resumed_at: float | None = field(default=None, init=False)
    _not_taken_up: set[str] = field(factory=set, init=False)
    _cancel_timer: IDelayedCall | None = field(default=None, init=False)
    _quiet: Audience[CancelResult] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._take_hands()

    def _take_hands(self) -> None:
        self.steps = Steps(self.world, self.node, self.priority, self.deadline, self.overdue, self.node.name)

    def take_up(self, left: Left, turn: float | None) -> None:
        """
        It was begun before a restart, and goes on from there.

        :param turn: when its turn came, in seconds on the clock.
        """
        self.past, self.durable = left, True
        self.phase, self.half = left.phase, left.sent[-1] if left.sent else left.half
        self.leaning = left.phase is not Phase.QUEUED
        self.halt = Halt(superseded=left.superseded_by, cancelled=left.cancelled_by)
        self._turn = turn
        self._not_taken_up = set(left.sent)
        self.steps.take_up(sent=bool(left.sent))

    def belongs_to(self, node: Node) -> None:
        """
        Now it is known what its node is.
        """
        self.node = node
        self._take_hands()
        if self.past is not None:
            self.steps.take_up(sent=bool(self.past.sent))

    @property
    def cancelling(self) -> bool:
        """
        Whether it was told to stop and is not quiet yet.
        """
        return self.halt.told and self.outcome is None

    def seat(self) -> Seat:
        """
        How the rules see it.
        """
        return Seat(self.id, self.wish, self.cancelling)

    def view(self) -> ActionView:
        """
        What an outsider may see of it.
        """
        remaining = self.deadline() - self.world.clock.seconds()
        return ActionView(
            id=self.id,
            node=self.node.name,
            verb=self.wish.verb,
            boot=self.wish.boot,
            phase=self.phase,
            half=self.half,
            since=self.since,
            deadline=self.world.now() + timedelta(seconds=max(0.0, remaining)),
            waiters=tuple(waiter.request for waiter in self.waiters),
            superseded_by=self.halt.superseded[0] if self.halt.superseded else None,
        )

    def turn_came(self) -> None:
        """
        The node's own time counts from here.
        """
        self._turn = self.world.clock.seconds()

    def turn(self) -> float:
        """
        When its turn came; now, if that is still to come: a queue is no failure.
        """
        return self.world.clock.seconds() if self._turn is None else self._turn

    def resumed(self) -> float:
        """
        When it went on after the restart; now, if that is still to come.
        """
        return self.world.clock.seconds() if self._resumed_at is None else self._resumed_at

    def deadline(self) -> float:
        """
        When it must have ended, in seconds on the clock.
        """
        return self.patience.end(self.turn() + self.node.timing.action)

    def expires(self) -> float | None:
        """
        When it is too late to begin; ``None``: never.
        """
        return self.patience.expiry()

    def overdue(self) -> bool:
        """
        Whether it is too late to begin.
        """
        limit = self.expires()
        return limit is not None and limit <= self.world.clock.seconds()

    def join(self, waiter: Waiter) -> None:
        """
        One more who waits for this action.
        """
        waiter.action = self.id
        self.waiters.append(waiter)
        self.asked_at = max(self.asked_at, waiter.accepted_at)
        self.patience = self.patience.with_request(waiter.request, waiter.accepted_at)

    def leave(self, waiter: Waiter, patience: Patience) -> None:
        """
        One who joined and was not accepted after all, when patience was that.
        """
        self.patience = patience
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def left_behind(self) -> LateChanges:
        """
        What this action, and those before it, may still cause after it has ended.
        """
        if not self.steps.sent or isinstance(self.outcome, Done) or self.half == "boot":
            return self.late
        goal = Goal.OFF if self.half in ("off", "soft") else Goal.ON
        return self.late.with_change(goal, self.world.clock.seconds() + self.node.timing.settle)

    def stopped_at(self) -> CancelResult:
        """
        How far it has come, if it comes no further.
        """
        return self.steps.cancel_result(remained=self.remained())

    @abstractmethod
    async def run(self) -> Outcome:
        """
        Do it; returns when it is quiet, however it went.  Never raises.
        """

    def remained(self) -> bool:
        """
        Whether a cancel now would withhold a command that was still to come.
        """
        return not self._accepted

    def cancel(self, by: str) -> Deferred[CancelResult]:
        """
        Stop; fires when it is quiet and says how far it had come.
        """
        quiet = self.when_quiet()
        if self.halt.cancelled is None and self.outcome is None:
            self.halt.cancelled = by
            self.phase = Phase.CANCELLING
            self._note(self.entered(Phase.CANCELLING, self.half, by))
            self._stop()
        return quiet

    def supersede(self, by: str, verb: Verb) -> None:
        """
        Note who takes its place; what is in play is cancelled by the caller.
        """
        self.halt.superseded = (by, verb)

    def interrupt(self, text: str) -> None:
        """
        The service stops: stop here, to go on when it is back.
        """
        self.halt.interrupted = text
        self._stop()

    def resolve(self, by: str, text: str) -> Deferred[CancelResult]:
        """
        Stop at once, whatever is on the wire, because a person says so.
        """
        quiet = self.when_quiet()
        if self.outcome is None:
            self.halt.resolved = (by, text)
            self.steps.stop()
            self.steps.tear_down()
        return quiet

    def when_quiet(self) -> Deferred[CancelResult]:
        """
        Fires when it is over, with how far it had come.
        """
        if self.outcome is not None and self.phase is Phase.DONE:
            return succeed(self.cancel_result)
        if self._quiet is None:
            self._quiet = Audience()
        return self._quiet.join()

    def _stop(self) -> None:
        """
        Politely, and only for so long.
        """
        if self._cancel_timer is None:
            self._cancel_timer = self.world.clock.callLater(self.node.timing.cancel, self._cancel_overdue)
        self.steps.stop()

    def expired(self) -> Failed:
        """
        How it ends when its waiters' time was over before its turn came.
        """
        named = max((waiter.request.deadline or 0.0 for waiter in self.waiters), default=0.0)
        named = named or self.node.timing.action
        text = f"{self.node.name}: the deadline of {named:g} s passed before its turn came; nothing was sent"
        return Failed(PowerActionFail.__name__, text, retryable=True, timeout=named)

    def reopen(self, waiters: list[Waiter]) -> None:
        """
        It ended waiting, and that did not become durable: it waits again.
        """
        self.outcome = None
        self.halt.superseded = None
        self.waiters = waiters
        for waiter in waiters:
            waiter.unsettle()

    def over(self) -> None:
        """
        It has ended, and that is written; let those know who cancelled it.
        """
        self.phase = Phase.DONE
        for timer in (self._cancel_timer, self.expiry):
            if timer is not None and timer.active():
                timer.cancel()
        if self._quiet is not None:
            self._quiet.tell(self.cancel_result)

    def answer(self, waiter: Waiter, outcome: Outcome) -> Answered:
        """
        Settle one waiter, and give the entry that says so.
        """
        waiter.settle(outcome)
        return Answered(self.world.now(), self.node.name, waiter.request.request_id, self.id, outcome)

    def entered(self, phase: Phase, half: str = "", text: str = "") -> Entered:
        """
        The entry for a phase.
        """
        return Entered(self.world.now(), self.node.name, self.id, phase, half, text)

    def _cancel_overdue(self) -> None:
        _log.warn(
            "{node}: not quiet {limit} s after a cancel, torn down",
            node=self.node.name,
            limit=self.node.timing.cancel,
        )
        self.steps.tear_down()

    def _note(self, entry: Entry) -> None:
        """
        Write an entry that nothing waits for.
        """
        self.world.write([entry]).addErrback(log_unwritten)
