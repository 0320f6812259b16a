# SPDX-License-Identifier: MIT
"""
How off is done, and off by the operating system's own hand.
"""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import ClassVar

from attrs import define, evolve, field

from powercoord.errors import (
    PowerAuthError,
    PowerError,
    PowerFatalError,
    PowerRefusedError,
)
from powercoord.model import (
    Command,
    Done,
    Goal,
    How,
    Outcome,
    Phase,
    PowerState,
)
from powercoord.registry.gates import Priority
from powercoord.registry.reaching import Reaching
from powercoord.registry.waiters import Waiter
from powercoord.views import ActionView


@define(eq=False, kw_only=True)
class PowerOff(Reaching):
    """
    Off, now.
    """

    priority: ClassVar[Priority] = Priority.OFF

    async def perform(self) -> Outcome:
        """
        Off unless it is; where its state cannot be read, off all the same.
        """
        if not self.begun_before("off"):
            await self.footing.take_down()
            await self.enter(Phase.ADMITTED, "off", self.footing.cut)
        state = await self._try_read()
        if state is PowerState.OFF and not self._on_may_come() and not self.steps.sent:
            return Done(How.ALREADY, PowerState.OFF)
        ended = await self.force_off()
        while ended is None and await self._came_back():
            ended = await self.force_off()
        return ended or Done(self.how(), PowerState.OFF, text=self.footing.cut)

    def deadline(self) -> float:
        """
        An off that a restart has interrupted has one attempt, however late that is.
        """
        usual = super().deadline()
        return usual if self.past is None else max(usual, self.resumed() + self.node.timing.force)

    def expires(self) -> float | None:
        """
        Never, if a restart kept it from having its turn in time.
        """
        return super().expires() if self.past is None else None

    def how(self) -> How:
        """
        In which way it goes off.
        """
        return How.FORCED

    async def took_effect(self, wanted: PowerState) -> bool:
        """
        If it cannot be seen it is sent again soon: an off does no harm twice.
        """
        return await self.steps.until(wanted, self.lost_limit())

    async def force_off(self) -> Outcome | None:
        """
        The hard command, until it is seen.

        Some BMCs refuse to turn off what is off; that is no failure.
        """
        try:
            ended = await self.bring(Command.OFF, PowerState.OFF)
            if ended is None:
                self.world.sightings.went_off(self.node.name)
            return ended
        except PowerRefusedError:
            if await self._try_read() is not PowerState.OFF:
                raise
            return None

    async def _try_read(self) -> PowerState | None:
        """
        The state, if it can be had; a refused password ends the matter.
        """
        try:
            return await self.steps.read()
        except PowerError as error:
            if isinstance(error, PowerFatalError) and not isinstance(error, PowerRefusedError):
                raise
            return None

    async def _came_back(self) -> bool:
        """
        Whether an on sent before this off took effect after it.
        """
        if not self._on_may_come():
            return False
        await self.steps.pause_until(self.late.until(Goal.ON))
        return await self._try_read() is PowerState.ON

    def _on_may_come(self) -> bool:
        """
        Whether "off" is not to be trusted yet: an on may still take effect.

        See note [Late change] in `powercoord.registry.latechange`.
        """
        return self.late.until(Goal.ON) > self.world.clock.seconds()


@define(eq=False, kw_only=True)
class SoftOff(PowerOff):
    """
    Off by the operating system's own hand, and by ours when it does not.
    """

    _way: How = field(default=How.GRACEFUL, init=False)
    _soft_sent: bool = field(default=False, init=False)

    def force_at(self) -> float:
        """
        When it becomes a hard off; never: infinity.
        """
        return self.patience.force(self.turn() + self.node.timing.soft)

    def view(self) -> ActionView:
        """
        What an outsider may see of it.
        """
        if self.force_at() == inf:
            return super().view()
        remaining = max(0.0, self.force_at() - self.world.clock.seconds())
        return evolve(super().view(), force_at=self.world.now() + timedelta(seconds=remaining))

    def deadline(self) -> float:
        """
        The soft part's end, and what a forced off may take after it.
        """
        if self.force_at() == inf:
            return self.patience.end(self.turn() + self.node.timing.soft)
        begun = self.turn() if self.past is None else self.resumed()
        return max(self.force_at(), begun) + self.node.timing.force

    def expires(self) -> float | None:
        """
        Never if it may be forced: a deadline that has passed is one to force at.
        """
        return self.patience.expiry() if self.force_at() == inf else None

    def join(self, waiter: Waiter) -> None:
        """
        The earliest time to force that any waiter named wins.
        """
        before = self.force_at()
        super().join(waiter)
        if self.force_at() < before:
            self.steps.nudge()

    def remained(self) -> bool:
        """
        As long as it may still be forced, that is withheld.
        """
        return super().remained() or (self._way is How.GRACEFUL and self.force_at() < inf)

    def how(self) -> How:
        """
        By itself or forced.
        """
        return self._way

    async def force_off(self) -> Outcome | None:
        """
        Ask, wait, then force (unless nobody wants it forced).
        """
        if self.can(Command.SOFT) and not self._forced_before():
            if self._worth_asking() and await self._went_softly():
                return None
            if self.force_at() == inf:
                return self.unseen(PowerState.OFF)
        self._way = How.FORCED
        return await super().force_off()

    def _forced_before(self) -> bool:
        return self.past is not None and Command.OFF.value in self.past.sent

    def _worth_asking(self) -> bool:
        if self.sent_before("soft"):
            return True
        return not self._soft_sent and self.force_at() > self.world.clock.seconds()

    async def _went_softly(self) -> bool:
        if self.sent_before("soft"):
            self.looked_after("soft")
            self._soft_sent = True
            await self.enter(Phase.VERIFYING, "soft")
            return await self._goes_off()
        self.footing.check(Command.SOFT)
        await self.enter(Phase.SENT, "soft")
        self._soft_sent = True
        try:
            accepted = await self.steps.command(Command.SOFT)
        except PowerAuthError:
            raise
        except PowerError as error:
            if self.force_at() == inf:
                raise
            await self.enter(Phase.VERIFYING, "soft", str(error))
            return False
        if accepted:
            await self.commanded()
        await self.enter(Phase.VERIFYING, "soft")
        return await self._goes_off()

    async def _goes_off(self) -> bool:
        return await self.steps.until(PowerState.OFF, lambda: min(self.force_at(), self.deadline()))
