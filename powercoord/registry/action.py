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
from powercoord.errors import PowercoordError
from powercoord.interfaces import IPowerAction
from powercoord.model import (
    ActionView,
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
from powercoord.registry.gates import Priority
from powercoord.registry.latechange import LateChange
from powercoord.registry.lattice import Seat, Wish
from powercoord.registry.steps import Steps, Stopped
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.waiters import Waiter

_log = Logger(namespace="powercoord.registry")


@implementer(IPowerAction)
@define(eq=False, kw_only=True)
class PowerAction(ABC):
    """
    One action in a lane.  A subclass for each verb says how it is done.

    :param late_change: a command sent before this action may still take effect
        (note [Late change]).
    """

    priority: ClassVar[Priority] = Priority.CHANGE

    id: str
    node: Node
    wish: Wish
    world: Surroundings
    since: datetime
    late_change: LateChange | None = field(default=None, init=False)
    durable: bool = field(default=False, init=False)
    waiters: list[Waiter] = field(factory=list, init=False)
    phase: Phase = field(default=Phase.QUEUED, init=False)
    half: str = field(default="", init=False)
    outcome: Outcome | None = field(default=None, init=False)
    superseded_by: tuple[str, Verb] | None = field(default=None, init=False)
    cancel_result: CancelResult = field(default=CancelResult.NOT_STARTED, init=False)
    steps: Steps = field(init=False)
    _clock_started: float | None = field(default=None, init=False)
    _named_limit: float = field(default=0.0, init=False)
    _unlimited: bool = field(default=False, init=False)
    _cancelled_by: str | None = field(default=None, init=False)
    _interrupted: str | None = field(default=None, init=False)
    _cancel_timer: IDelayedCall | None = field(default=None, init=False)
    _quiet: list[Deferred[CancelResult]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.steps = Steps(self.world, self.node, self.priority, self.deadline, self.node.name)

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

    def deadline(self) -> float:
        """
        When it must have ended, in seconds on the clock.

        The latest that a waiter named; where one named none, the node's own
        time, counted from when it was its turn: a queue is no failure.
        """
        if self._named_limit and not self._unlimited:
            return self._named_limit
        started = self._clock_started
        return (self.world.clock.seconds() if started is None else started) + self.node.timing.action

    def join(self, waiter: Waiter) -> None:
        """
        One more who waits for this action.
        """
        waiter.action = self.id
        self.waiters.append(waiter)
        if waiter.request.deadline is None:
            self._unlimited = True
        else:
            self._named_limit = max(self._named_limit, waiter.accepted_at + waiter.request.deadline)
        self.steps.nudge()

    def feared(self, change: Goal) -> float:
        """
        Until when an earlier command may still make this change; 0: never.
        """
        late = self.late_change
        return late.until if late is not None and late.goal is change else 0.0

    def left_behind(self) -> LateChange | None:
        """
        What this action may still cause after it has ended.
        """
        if not self.steps.sent or isinstance(self.outcome, Done):
            return None
        goal = Goal.OFF if self.half in ("off", "soft") else Goal.ON
        return LateChange(goal, self.world.clock.seconds() + self.node.timing.settle)

    async def run(self) -> Outcome:
        """
        Do it; returns when it is quiet, however it went.  Never raises.
        """
        self.start_clock()
        try:
            outcome = await self.perform()
        except Stopped:
            self.cancel_result = self.steps.cancel_result(remained=self.remained())
            outcome = self._stopped_outcome()
        except PowercoordError as error:
            outcome = Failed(error.code, f"{self.node.name}: {error}", error.retryable)
        except Exception:  # noqa: BLE001 - a fault of ours must end as an outcome, not as a stuck lane
            _log.failure("fault in action {action} on {node}", action=self.id, node=self.node.name)
            outcome = Unknown(f"{self.node.name}: fault in the coordinator; the log has the details")
        if self._cancelled_by is not None and not isinstance(outcome, Cancelled | Superseded | Interrupted):
            self.cancel_result = CancelResult.TOO_LATE if self.steps.sent else CancelResult.NOT_STARTED
            outcome = self._stopped_outcome()
        return outcome

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
        return False

    def cancel(self, by: str) -> Deferred[CancelResult]:
        """
        Stop; fires when it is quiet and says how far it had come.
        """
        if self.outcome is not None:
            return succeed(self.cancel_result)
        quiet: Deferred[CancelResult] = Deferred(self._quiet.remove)
        self._quiet.append(quiet)
        if self._cancelled_by is None:
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

    def over(self, outcome: Outcome) -> None:
        """
        It has ended, and that is written; let those know who cancelled it.
        """
        self.outcome = outcome
        self.phase = Phase.DONE
        if self._cancel_timer is not None and self._cancel_timer.active():
            self._cancel_timer.cancel()
        quiet, self._quiet = self._quiet, []
        for deferred in quiet:
            deferred.callback(self.cancel_result)

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

    async def enter(self, phase: Phase, half: str = "") -> None:
        """
        Enter a phase, once that is durable.
        """
        await self.steps.write(self.entered(phase, half))
        self.phase, self.half = phase, half

    async def commanded(self) -> None:
        """
        The BMC accepted all there is to send: answer who asked for no more.
        """
        content = [waiter for waiter in self.waiters if waiter.request.wait is Wait.NONE]
        if content:
            self.waiters = [waiter for waiter in self.waiters if waiter not in content]
            outcome = Done(How.COMMANDED, PowerState.UNKNOWN, Wait.NONE, "accepted by the BMC, not verified")
            entries = [self.answer(waiter, outcome) for waiter in content]
            try:
                await self.world.write(entries)
            finally:
                for waiter in content:
                    waiter.tell()

    def start_clock(self) -> None:
        """
        Count the node's own time from now.
        """
        self._clock_started = self.world.clock.seconds()

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
