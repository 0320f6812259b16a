# SPDX-License-Identifier: MIT
"""
How each verb but the offs is done, as recipes of steps; and which class does which.
"""

from __future__ import annotations

from math import inf

from attrs import define, field

from powercoord.errors import (
    PowerRefusedError,
    PowerUnsupportedError,
)
from powercoord.model import (
    Command,
    Done,
    Goal,
    How,
    Outcome,
    Phase,
    PowerState,
    Unknown,
    Verb,
)
from powercoord.registry.action import PowerAction
from powercoord.registry.offs import PowerOff, SoftOff
from powercoord.registry.reaching import Reaching


@define(eq=False, kw_only=True)
class PowerOn(Reaching):
    """
    On, for a node that is not; a node that is on is never touched.
    """

    async def perform(self) -> Outcome:
        """
        Read, and only if it is off: start it.
        """
        if not self.sent_before("on"):
            await self.footing.make()
            await self.steps.pause_until(self.late.until(Goal.OFF))
            if await self.seen_before() is PowerState.ON:
                text = "was on; boot device not set" if self.wish.boot else ""
                return Done(How.ALREADY, PowerState.ON, text=text)
        return await self.switch_on() or Done(How.COMMANDED, PowerState.ON)


@define(eq=False, kw_only=True)
class PowerCycle(Reaching):
    """
    Off, seen off, a while off, on, seen on.
    """

    _off_half: bool = field(default=False, init=False)

    async def perform(self) -> Outcome:
        """
        Both halves; a node that is off has the first behind it.
        """
        if self.begun_before("on"):
            return await self.switch_on(looked_at=-inf) or Done(How.COMMANDED, PowerState.ON)
        if not self.sent_before("off"):
            await self.footing.make()
        self.leaning = self._off_half = True
        if self.sent_before("off") or await self.steps.patient_read() is PowerState.ON:
            if not self.begun_before("off"):
                await self.enter(Phase.ADMITTED, "off")
            ended = await self.bring(Command.OFF, PowerState.OFF)
            if ended is not None:
                return ended
            self.world.sightings.went_off(self.node.name)
        return await self.switch_on() or Done(How.COMMANDED, PowerState.ON)

    def may_start(self) -> None:
        """
        Its second half begins.
        """
        self._off_half = False
        super().may_start()

    async def commanded(self) -> None:
        """
        Accepted only counts once the last command is.
        """
        if not self._off_half:
            await super().commanded()


@define(eq=False, kw_only=True)
class PowerReset(Reaching):
    """
    Reset without taking power away; sent once, whatever is lost.
    """

    async def perform(self) -> Outcome:
        """
        Refused for a node that is off.
        """
        if not self.can(Command.RESET):
            raise PowerUnsupportedError(f"driver {self.node.target.driver} has no reset; use cycle")
        state = await self.steps.patient_read()
        if self.sent_before("reset"):
            return self._sent_and_lost()
        if state is not PowerState.ON:
            raise PowerRefusedError("is off, and a reset needs it on; use on")
        await self.enter(Phase.ADMITTED, "reset")
        if self.wish.boot is not None:
            await self.enter(Phase.SENT, "boot")
            await self.set_boot()
        await self.enter(Phase.SENT, "reset")
        accepted = await self.steps.command(Command.RESET)
        if accepted:
            await self.commanded()
        await self.enter(Phase.VERIFYING, "reset")
        seen = await self.steps.until(PowerState.ON, self.deadline)
        if not accepted:
            return self._sent_and_lost()
        return Done(How.COMMANDED, PowerState.ON) if seen else self.unseen(PowerState.ON)

    def _sent_and_lost(self) -> Unknown:
        state = self.world.sightings.last(self.node.name).state.value
        return Unknown(f"{self.node.name}: no answer to the reset, and it is not repeated; is {state} now")


@define(eq=False, kw_only=True)
class SetBoot(Reaching):
    """
    The next boot device, and nothing about power.
    """

    async def perform(self) -> Outcome:
        """
        Set it; repeating it does no harm.
        """
        await self.enter(Phase.ADMITTED, "boot")
        await self.enter(Phase.SENT, "boot")
        await self.set_boot()
        await self.commanded()
        return Done(How.COMMANDED, self.world.sightings.last(self.node.name).state)


ACTIONS: dict[Verb, type[PowerAction]] = {
    Verb.ON: PowerOn,
    Verb.OFF: PowerOff,
    Verb.SOFT_OFF: SoftOff,
    Verb.CYCLE: PowerCycle,
    Verb.RESET: PowerReset,
    Verb.BOOT: SetBoot,
}
