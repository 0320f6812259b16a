# SPDX-License-Identifier: MIT
"""
The object that does what requests asked of one node, and can be cancelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.entries import Answered, Entered, Entry
from powercoord.errors import JournalUnavailable, PowerActionFail, PowercoordError
from powercoord.interfaces import IPowerAction
from powercoord.model import (
    Cancelled,
    CancelResult,
    Done,
    Failed,
    Goal,
    How,
    Interrupted,
    Node,
    Outcome,
    Phase,
    PowerState,
    Superseded,
    Unknown,
    Verb,
    Wait,
)
from powercoord.registry.audience import Audience
from powercoord.registry.gates import Priority
from powercoord.registry.latechange import LateChanges
from powercoord.registry.lattice import Seat, Wish
from powercoord.registry.patience import Patience
from powercoord.registry.steps import Expired, Steps, Stopped
from powercoord.registry.surroundings import Surroundings
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
    superseded_by: tuple[str, Verb] | None = field(default=None, init=False)
    cancel_result: CancelResult = field(default=CancelResult.NOT_STARTED, init=False)
    patience: Patience = field(default=Patience(), init=False)
    expiry: IDelayedCall | None = field(default=None, init=False)
    steps: Steps = field(init=False)
    _turn: float | None = field(default=None, init=False)
    _accepted: bool = field(default=False, init=False)
    _cancelled_by: str | None = field(default=None, init=False)
    _interrupted: str | None = field(default=None, init=False)
    _cancel_timer: IDelayedCall | None = field(default=None, init=False)
    _quiet: Audience[CancelResult] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.steps = Steps(self.world, self.node, self.priority, self.deadline, self.overdue, self.node.name)

    @property
    def cancelling(self) -> bool:
        """
        Whether it was told to stop and is not quiet yet.
        """
        told = self._cancelled_by is not None or self.superseded_by is not None
        return told and self.outcome is None

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
            superseded_by=self.superseded_by[0] if self.superseded_by else None,
        )

    def turn(self) -> float:
        """
        When its turn came; now, if that is still to come: a queue is no failure.
        """
        return self.world.clock.seconds() if self._turn is None else self._turn

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

    async def run(self) -> Outcome:
        """
        Do it; returns when it is quiet, however it went.  Never raises.
        """
        self.turn_came()
        try:
            outcome = await self.perform()
        except Stopped:
            outcome = None
        except Expired:
            outcome = self.expired()
        except PowercoordError as error:
            outcome = Failed(error.code, f"{self.node.name}: {error}", error.retryable)
        except Exception:  # noqa: BLE001 - a fault of ours must end as an outcome, not as a stuck lane
            _log.failure("fault in action {action} on {node}", action=self.id, node=self.node.name)
            outcome = Unknown(f"{self.node.name}: fault in the coordinator; the log has the details")
        self.cancel_result = self.steps.cancel_result(remained=self.remained())
        return self._stopped_outcome() if outcome is None or self._cancelled_by is not None else outcome

    @abstractmethod
    async def perform(self) -> Outcome:
        """
        The recipe of this verb.

        :raises Stopped: it was cancelled.
        :raises PowercoordError: it cannot be done.
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
        if self.outcome is not None and self.phase is Phase.DONE:
            return succeed(self.cancel_result)
        if self._quiet is None:
            self._quiet = Audience()
        quiet = self._quiet.join()
        if self._cancelled_by is None and self.outcome is None:
            self._cancelled_by = by
            self.phase = Phase.CANCELLING
            self._note(self.entered(Phase.CANCELLING, text=by))
            self._cancel_timer = self.world.clock.callLater(self.node.timing.cancel, self._cancel_overdue)
            self.steps.stop()
        return quiet

    def supersede(self, by: str, verb: Verb) -> None:
        """
        Note who takes its place; what is in play is cancelled by the caller.
        """
        self.superseded_by = (by, verb)

    def interrupt(self, text: str) -> None:
        """
        The service stops: stop, and let the waiters hear that it was for this.
        """
        self._interrupted = text
        self.cancel(text)

    def expired(self) -> Failed:
        """
        How it ends when its waiters' time was over before its turn came.
        """
        named = max((waiter.request.deadline or 0.0 for waiter in self.waiters), default=0.0)
        text = f"{self.node.name}: the deadline of {named:g} s passed before its turn came; nothing was sent"
        return Failed(PowerActionFail.__name__, text, retryable=True, timeout=named)

    def reopen(self, waiters: list[Waiter]) -> None:
        """
        It ended waiting, and that did not become durable: it waits again.
        """
        self.outcome = None
        self.superseded_by = None
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

    async def enter(self, phase: Phase, half: str = "", text: str = "") -> None:
        """
        Enter a phase, once that is durable; nothing is begun that is not written.

        What has begun is brought to its end, whatever becomes of the journal.
        """
        try:
            await self.world.write([self.entered(phase, half, text)])
        except JournalUnavailable as error:
            if not self.steps.sent:
                raise
            _log.error("{action}: {phase} is not durable: {error}", action=self.id, phase=phase, error=error)
        self.steps.check()
        self.phase, self.half = phase, half

    async def commanded(self) -> None:
        """
        The BMC accepted all there is to send: answer who asked for no more.
        """
        self._accepted = True
        content = [waiter for waiter in self.waiters if waiter.request.wait is Wait.NONE]
        if not content:
            return
        self.waiters = [waiter for waiter in self.waiters if waiter.request.wait is not Wait.NONE]
        outcome = Done(How.COMMANDED, PowerState.UNKNOWN, Wait.NONE, "accepted by the BMC, not verified")
        try:
            await self.world.write([self.answer(waiter, outcome) for waiter in content])
        except JournalUnavailable as error:
            _log.error("answers of {action} are not durable: {error}", action=self.id, error=error)
        for waiter in content:
            waiter.tell()

    def turn_came(self) -> None:
        """
        The node's own time counts from here.
        """
        self._turn = self.world.clock.seconds()

    def _stopped_outcome(self) -> Outcome:
        if self.superseded_by is not None:
            return Superseded(*self.superseded_by, self.cancel_result)
        if self._interrupted is not None:
            return Interrupted(self._interrupted)
        return Cancelled(self.cancel_result, self._cancelled_by or "")

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
        self.world.write([entry]).addErrback(_log_unwritten)


def _log_unwritten(failure: Failure) -> None:
    _log.failure("an entry was not written", failure)
