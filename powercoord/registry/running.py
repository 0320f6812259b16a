# SPDX-License-Identifier: MIT
"""
An action on its way, from its turn to its end.

# Note [After a restart]

An action that a restart has interrupted is taken up where the journal says it
was.  A command that may have left before is looked after first: its effect is
read, and it is sent again only when a read shows that it had none (a reset
never, an off in any case once).  Reads and commands are tried until the
deadline, not only so often: BMCs may be as long in coming back as we were.
"""

from __future__ import annotations

from abc import abstractmethod

from attrs import define
from twisted.logger import Logger

from powercoord.durable import Left
from powercoord.errors import (
    JournalUnavailable,
    PowerConnError,
    PowercoordError,
    PowerParkedError,
    PowerRefusedError,
)
from powercoord.model import Done, Failed, How, Outcome, Phase, PowerState, Unknown, Wait
from powercoord.registry.action import PowerAction
from powercoord.registry.stoppable import Expired, Stopped

RESUMED = "resumed after a restart"
_log = Logger(namespace="powercoord.registry")


@define(eq=False, kw_only=True)
class Running(PowerAction):
    """
    How every action goes, whatever its verb.
    """

    async def run(self) -> Outcome:
        """
        Do it; returns when it is quiet, however it went.  Never raises.
        """
        try:
            outcome = await self._go()
        except Stopped:
            outcome = None
        except Expired:
            outcome = self.expired()
        except PowercoordError as error:
            outcome = self._failed(error)
        except Exception:  # noqa: BLE001 - a fault of ours must end as an outcome, not as a stuck lane
            _log.failure("fault in action {action} on {node}", action=self.id, node=self.node.name)
            outcome = Unknown(f"{self.node.name}: fault in the coordinator; the log has the details")
        self.cancel_result = self.stopped_at()
        stopped = outcome is None or self.halt.overrules
        return self.halt.outcome(self.cancel_result) if stopped or outcome is None else outcome

    @abstractmethod
    async def perform(self) -> Outcome:
        """
        The recipe of this verb.

        :raises Stopped: it was cancelled.
        :raises PowercoordError: it cannot be done.
        """

    async def _go(self) -> Outcome:
        if self._turn is None:
            self.turn_came()
        return await (self.perform() if self.past is None else self._go_on(self.past))

    async def _go_on(self, past: Left) -> Outcome:
        """
        Take up what a restart has interrupted.

        What was told to end is not begun again: one look, so that it is known
        how it is, and that was it.
        """
        self._resumed_at = self.world.clock.seconds()
        if self.cancelling:
            await self._look_once()
            raise Stopped
        if self._too_late():
            raise Expired
        if past.phase is not Phase.QUEUED:
            await self.enter(past.phase, past.half, RESUMED)
        return await self.perform()

    async def _look_once(self) -> None:
        if not self.steps.sent:
            return
        try:
            await self.steps.read()
        except PowercoordError as error:
            _log.info("{node}: ended without a look: {error}", node=self.node.name, error=error)

    def _too_late(self) -> bool:
        """
        Whether its time passed during the restart, with nothing sent.
        """
        sent = self.past is not None and any(half != "boot" for half in self.past.sent)
        return not sent and self.deadline() <= self.world.clock.seconds()

    def begun_before(self, half: str) -> bool:
        """
        Whether a restart has interrupted that command, or what comes after it.
        """
        if self.past is None or self.past.phase is Phase.QUEUED:
            return False
        return half in self.past.sent or half == self.past.half

    def sent_before(self, half: str) -> bool:
        """
        Whether that command may have left before a restart, and was not looked after since.
        """
        return half in self._not_taken_up

    def looked_after(self, half: str) -> None:
        """
        From here on that command is this run's own.
        """
        self._not_taken_up.discard(half)

    def _failed(self, error: PowercoordError) -> Outcome:
        """
        What nobody has answered, or a restart has interrupted, and cannot be seen since, nobody knows.
        """
        if self.steps.unanswered and isinstance(error, PowerConnError | PowerParkedError):
            return Unknown(f"{self.node.name}: what was sent was not answered; since then: {error}")
        if self.past is None or not self.past.sent or isinstance(error, PowerRefusedError):
            return Failed(error.code, f"{self.node.name}: {error}", error.retryable)
        sent = ", ".join(self.past.sent)
        return Unknown(f"{self.node.name}: {sent} may have been sent before a restart; since then: {error}")

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
