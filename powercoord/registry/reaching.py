# SPDX-License-Identifier: MIT
"""
What the verbs share: command a state, then see it.

No command is trusted: what counts is what is read afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from powercoord.errors import (
    PowerUnsupportedError,
    PowerUnverified,
)
from powercoord.model import (
    Command,
    Done,
    Failed,
    How,
    Outcome,
    Phase,
    PowerState,
    Unknown,
)
from powercoord.registry.followup import caller_of
from powercoord.registry.footing import Footing
from powercoord.registry.running import Running
from powercoord.registry.starts_slot import StartSlot
from powercoord.registry.stoppable import Stopped
from powercoord.views import ActionView


@define(eq=False, kw_only=True)
class Reaching(Running):
    """
    What the verbs share: command a state, then see it.

    :param _asked: for a turn to start.
    :param _slot: held from its command to start until it is over.
    :param _told: when it was last told to start.
    """

    _asked: Deferred[StartSlot] | None = field(default=None, init=False)
    _slot: StartSlot | None = field(default=None, init=False)
    _told: float = field(default=-inf, init=False)
    _seen_on: bool = field(default=False, init=False)
    footing: Footing = field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.footing = Footing(self)

    def view(self) -> ActionView:
        """
        What an outsider may see of it.
        """
        waits_for = "" if self._asked is None else self.world.starts.obstacle(self._asked)
        waits_for = self.footing.waits_for or waits_for
        return evolve(super().view(), waits_for=waits_for)

    async def bring(self, command: Command, wanted: PowerState) -> Outcome | None:
        """
        Command a state and wait to see it; ``None`` once it is seen.

        The command is given once.  It is given again only when its answer was
        lost and a read shows that it had no effect.
        """
        if self.sent_before(command.value):
            self.looked_after(command.value)
            await self.enter(Phase.VERIFYING, command.value)
            if await self.took_effect(wanted):
                return None
            if self.deadline() <= self.world.clock.seconds():
                return self.unseen(wanted)
        for _ in range(1 + self.node.timing.retries):
            if not await self._may_be_sent(command):
                break
            await self.enter(Phase.SENT, command.value)
            accepted = await self._send(command)
            if accepted:
                await self.commanded()
            await self.enter(Phase.VERIFYING, command.value)
            limit = self.deadline if accepted else self.lost_limit()
            if await self.steps.until(wanted, limit):
                return None
            if self.deadline() <= self.world.clock.seconds():
                break
        return self.unseen(wanted)

    async def seen_before(self) -> PowerState | None:
        """
        What the node is before anything is sent; None where nobody can read it (see `Capabilities`).
        """
        return await self.steps.patient_read() if self.world.readable(self.node) else None

    async def took_effect(self, wanted: PowerState) -> bool:
        """
        Whether what may have been sent before a restart is seen, a little while given.
        """
        if await self.seen_before() is wanted:
            return True
        return await self.steps.until(wanted, self.lost_limit())

    def unseen(self, wanted: PowerState) -> Outcome:
        """
        How it ends when the wanted state did not come in time.
        """
        seen = self.world.sightings.last(self.node.name)
        limit = round(self.world.clock.seconds() - self.turn(), 1)
        if seen.state in (PowerState.ON, PowerState.OFF):
            text = f"{self.node.name}: still {seen.state.value} after {limit:g} s, wanted {wanted.value}"
            return Failed(PowerUnverified.__name__, text, retryable=True, timeout=limit)
        return Unknown(f"{self.node.name}: commanded {wanted.value}, and not readable since: {seen.text}")

    async def switch_on(self, looked_at: float | None = None) -> Outcome | None:
        """
        Wait for the turn to start, set the boot device, bring it on.

        One that may have been sent before a restart may be starting: it takes
        its slot before anything else, unless what it requires went off meanwhile.
        One that went off again while it waited waits once more.

        :param looked_at: when it was seen off; None: now.
        """
        asked = self.world.clock.seconds() if looked_at is None else looked_at
        begun = self.sent_before("on")
        while True:
            if not begun:
                await self.footing.make()
            slot = await self._start_slot(begun=begun)
            try:
                self.may_start()
                if not await self.footing.holds():
                    if begun:
                        begun, asked = False, -inf
                        self.looked_after("on")
                    continue
                if not begun and self.world.clock.seconds() > asked:
                    asked = self.world.clock.seconds()
                    if await self.seen_before() is PowerState.ON:
                        return Done(How.EXTERNAL, PowerState.ON, text="came on while it waited for its turn")
                if (begun or self._may_come_on() <= self.world.clock.seconds()) and self.footing.lean():
                    return await self._start(slot, begun=begun)
            finally:
                self._give_back(slot)

    async def _start_slot(self, *, begun: bool) -> StartSlot:
        """
        The turn to start; who has not been off for long enough waits for that first, without a slot.
        """
        if not begun:
            await self.steps.pause_until(self._may_come_on())
        return await self.steps.wait_for(lambda: self._ask_to_start(begun=begun))

    def _ask_to_start(self, *, begun: bool) -> Deferred[StartSlot]:
        caller = next((caller_of(waiter.request) for waiter in self.waiters), "")
        self._asked = self.world.starts.acquire(self.node.groups, self.node.start_watts, caller, begun=begun)
        return self._asked

    def _may_come_on(self) -> float:
        return self.world.sightings.off_since(self.node.name) + self.node.timing.minimum_off

    async def _start(self, slot: StartSlot, *, begun: bool) -> Outcome | None:
        """
        Have it come on, with its boot device set before.
        """
        if not begun:
            await self.enter(Phase.ADMITTED, "on")
            if self.wish.boot is not None:
                await self.enter(Phase.SENT, "boot")
                await self.set_boot()
        self._slot = slot
        ended = await self.bring(Command.ON, PowerState.ON)
        self._seen_on = ended is None
        return ended

    async def _may_be_sent(self, command: Command) -> bool:
        """
        Wait for the time between two starts, if it must be told again; False: there is none left for that.

        :raises PowerRequirementError: others need it to be as it is, or what it requires has gone off.
        """
        self.footing.check(command)
        while self._slot is not None and not self._slot.may_be_told():
            if self.deadline() <= self.world.clock.seconds():
                return False
            await self.steps.pause(self.node.timing.poll)
        return True

    async def _send(self, command: Command) -> bool:
        """
        Send it; what may have been told to start counts as starting from then on.
        """
        try:
            accepted = await self.steps.command(command)
        except Stopped:
            if self.steps.sent:
                self._told_to_start()
            raise
        self._told_to_start()
        return accepted

    def _told_to_start(self) -> None:
        if self._slot is not None:
            self._told = self.world.clock.seconds()
            self._slot.commanded()

    def _give_back(self, slot: StartSlot) -> None:
        """
        A node that was told to start, and not seen on, may come on as long as anything that is late.
        """
        self._slot = None
        if self._seen_on:
            self.world.starts.seen_on(slot)
        else:
            late = self._told + self.node.timing.settle - self.world.clock.seconds()
            self.world.starts.release_in(slot, late)

    def may_start(self) -> None:
        """
        Waiting for a turn is no failure: the node's own time counts from here.
        """
        if not self.begun_before("on"):
            self.turn_came()

    async def set_boot(self) -> None:
        """
        Set the boot device that was asked for, if the driver can.
        """
        boot = self.wish.boot
        if boot is None:
            raise AssertionError(f"{self.id} sets a boot device without one")
        driver = self.world.driver(self.node.target.driver)
        if boot.device not in driver.capabilities.boot_devices:
            raise PowerUnsupportedError(f"driver {driver.name} cannot set boot device {boot.device.value}")
        if not await self.steps.set_boot(boot) and not await self.steps.set_boot(boot):
            raise PowerUnverified(f"boot device {boot.device.value}: no answer to the command, twice")

    def can(self, command: Command) -> bool:
        """
        Whether this kind of BMC knows a command.
        """
        return command in self.world.driver(self.node.target.driver).capabilities.commands

    def lost_limit(self) -> Callable[[], float]:
        """
        Until when a command is looked for whose answer is not known.
        """
        patience = self.world.clock.seconds() + self.node.timing.settle
        return lambda: min(patience, self.deadline())
