# SPDX-License-Identifier: MIT
"""
What reads say, and what commands do.
"""

from __future__ import annotations

from functools import partial

from powercoord.model import Boot, Command, PowerState
from powercoord.testing.conformance.bench import BOOT, Device
from powercoord.testing.conformance.case import ConformanceCase, needs
from powercoord.testing.conformance.watching import WatchedOperation


class Effects(ConformanceCase):
    """
    On a healthy device.
    """

    async def rule_read_is_the_truth(self) -> None:
        """
        A read says what the device is, whoever changed it, and changes nothing.
        """
        for on in (False, True, False, True):
            self.bench.device.set_power(on)
            self.assertIs(_state(on), await self.perform(None), f"the device is {_word(on)}")
        self.assertEqual([], list(self.bench.device.commands()), "a read changed power")

    async def rule_on(self) -> None:
        """
        An on reaches a machine that is off once, and it goes on.
        """
        await self._hold_effect(Command.ON, before=False, after=True)

    async def rule_off(self) -> None:
        """
        An off reaches a machine that is on once, and it goes off.
        """
        await self._hold_effect(Command.OFF, before=True, after=False)

    async def rule_on_again(self) -> None:
        """
        An on for a machine that is on succeeds and leaves it on: no reset, no cycle.
        """
        await self._hold_no_effect(Command.ON, on=True)

    async def rule_off_again(self) -> None:
        """
        An off for a machine that is off succeeds and leaves it off.
        """
        await self._hold_no_effect(Command.OFF, on=False)

    @needs("obeys_soft")
    async def rule_soft(self) -> None:
        """
        A soft stop reaches a machine whose operating system obeys once, and it goes off.
        """
        if self._can(Command.SOFT):
            self.bench.obeys_soft()
            await self._hold_effect(Command.SOFT, before=True, after=False)

    async def rule_reset(self) -> None:
        """
        A reset reaches a machine that is on once, and leaves it on.
        """
        if self._can(Command.RESET):
            await self._hold_effect(Command.RESET, before=True, after=True)

    async def rule_boot_device(self) -> None:
        """
        Each boot device that the driver has can be chosen; that is announced, and leaves power alone.
        """
        for device in sorted(self.driver.capabilities.boot_devices, key=lambda each: each.value):
            self.bench.device.set_power(False)
            before = len(self.bench.device.commands())
            boot = Boot(device)
            attempt = await self.finish(self.begin(boot), self.longest(boot))
            self.assertIsNone(attempt.error, f"{attempt.what} failed: {attempt.error}")
            self.assertGreater(attempt.operation.announced, 0, f"{attempt.what} was not announced")
            self.assertEqual(set(), {*self.bench.device.commands()[before:]} - {BOOT})
            self.assertFalse(self.bench.device.power(), f"{attempt.what} turned the machine on")

    async def rule_announced_before(self) -> None:
        """
        `sending` is called before the device hears of a change, and a change that it heard of was announced.
        """
        for command in sorted(self.driver.capabilities.commands, key=lambda each: each.value):
            self.bench.device.set_power(command is not Command.ON)
            before = len(self.bench.device.commands())
            heard: list[int] = []
            attempt = self.begin(command, on_sending=partial(self._note_arrived, heard))
            await self.finish(attempt, self.longest(command))
            if len(self.bench.device.commands()) > before and not attempt.operation.announced:
                self.fail(f"{command.value} reached the device and was never announced by sending()")
            if heard and heard[0] > before:
                self.fail(f"{command.value} had reached the device when sending() was called; call it before")

    async def rule_two_operations(self) -> None:
        """
        Operations follow one another on whatever was kept open from the one before.
        """
        for _ in range(3):
            for command, on in ((Command.ON, True), (Command.OFF, False)):
                await self.perform(command)
                await self.hold_power(on)
                self.assertIs(_state(on), await self.perform(None))

    @needs("neighbour")
    async def rule_neighbours(self) -> None:
        """
        Two nodes of one endpoint are told apart, also when both are spoken to at once.
        """
        good, other = self.bench.device, self.bench.neighbour()
        first, second = self.target(good.settings), self.target(other.settings)
        self.assertEqual(
            first.endpoint, second.endpoint, "one device has two endpoints: its limit would fail"
        )
        self.assertNotEqual(first.selector, second.selector, "two nodes have one selector: one lane for both")
        for on in (True, False):
            good.set_power(on)
            other.set_power(not on)
            reads = [self.begin(None, each.settings) for each in (good, other)]
            states = [(await self.finish(read, self.longest(None))).result for read in reads]
            self.assertEqual([_state(on), _state(not on)], states)
        commands = [self.begin(Command.ON, good.settings), self.begin(Command.OFF, other.settings)]
        for attempt in commands:
            await self.finish(attempt, self.longest(Command.ON))
            self.assertIsNone(attempt.error)
        await self.hold_power(True)
        await self.hold_power(False, other)
        self.assertEqual((["on"], ["off"]), (list(good.commands()), list(other.commands())))

    def _note_arrived(self, heard: list[int], operation: WatchedOperation) -> None:
        heard.append(len(self.bench.device.commands()))

    async def hold_power(self, on: bool, device: Device | None = None) -> None:
        """
        Fail unless the device is so, or becomes so in the time that effects have.
        """
        known = device or self.bench.device
        if not await self.until(lambda: known.power() is on, self.bench.effect):
            self.fail(f"the device is not {_word(on)} after {self.bench.effect:g} s")

    async def _hold_effect(self, command: Command, *, before: bool, after: bool) -> None:
        self.bench.device.set_power(before)
        await self.perform(command)
        await self.hold_power(after)
        await self.bench.pause(self.bench.quiet)
        self.assertEqual([command.value], list(self.bench.device.commands()), "what reached the device")

    async def _hold_no_effect(self, command: Command, *, on: bool) -> None:
        self.bench.device.set_power(on)
        await self.perform(command)
        await self.bench.pause(self.bench.quiet)
        self.assertIs(on, self.bench.device.power())
        self.assertLessEqual(set(self.bench.device.commands()), {command.value}, "what reached the device")

    def _can(self, command: Command) -> bool:
        """
        Whether the driver has it; if it has not, that is a part of its capabilities and is no lack.
        """
        return command in self.driver.capabilities.commands


def _state(on: bool) -> PowerState:
    return PowerState.ON if on else PowerState.OFF


def _word(on: bool) -> str:
    return "on" if on else "off"
