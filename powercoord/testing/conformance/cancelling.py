# SPDX-License-Identifier: MIT
"""
The two ways to stop an operation, tried at every moment of it.

The moments are turns of the reactor (or of the clock) from the operation's begin, on a driver that has no
session yet, so that those of its making are among them; and the moment of `IOperation.sending` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import CancelledError

from powercoord.errors import OperationCancelled, PowerConnError, PowerError
from powercoord.model import Boot, Command, PowerState
from powercoord.testing.conformance.bench import BOOT
from powercoord.testing.conformance.case import ConformanceCase, needs
from powercoord.testing.conformance.watching import Attempt, WatchedOperation


class Cancelling(ConformanceCase):
    """
    Whatever the moment, the device hears of nothing afterwards, and the driver works on.
    """

    _before: int = 0

    async def rule_polite_cancel_of_a_read(self) -> None:
        """
        A read that is politely cancelled ends at once with `OperationCancelled`, whatever it was about.
        """
        for moment in await self._moments(None):
            attempt = await self._begin_until(None, moment)
            if not attempt.over:
                attempt.operation.cancel()
                await self._hold_cancelled_at_once(attempt, moment)
            await self._hold_works_on([], moment)

    async def rule_polite_cancel_of_a_change(self) -> None:
        """
        A change that is politely cancelled sends nothing new: it never left, or it waits for its answer.
        """
        for moment in await self._moments(Command.ON):
            attempt = await self._begin_until(Command.ON, moment)
            announced, over = attempt.operation.announced, attempt.over
            attempt.operation.cancel()
            if not over:
                await self._hold_cancelled(attempt, announced, moment)
            self._hold_nothing_new(attempt, announced, moment)
            await self._hold_works_on(["on"] if announced else [], moment)

    async def rule_polite_cancel_while_announcing(self) -> None:
        """
        A polite cancel out of `sending` is obeyed: the driver tells the truth about whether it left.
        """
        for command in self._changes():
            await self._fresh(command is not Command.ON)
            attempt = self.begin(command, on_sending=WatchedOperation.cancel)
            await self.finish(attempt, self.longest(command))
            await self.bench.pause(self.bench.quiet)
            arrived = self._arrived()
            self.assertLessEqual(len(arrived), 1, f"{command.value} was sent again after a cancel")
            if attempt.error is None:
                self.assertEqual([command.value], list(arrived), "it succeeded and did not arrive")
            else:
                self.assertIsInstance(attempt.error, PowerError | OperationCancelled)
            await self._hold_works_on([command.value], 0)

    async def rule_cancelled_before(self) -> None:
        """
        An operation that was cancelled before it began sends nothing.
        """
        for command in (None, *self._changes()):
            await self._fresh(command is not Command.ON)
            await self._hold_cancelled_at_once(self.begin(command, cancelled=True), 0)
            await self._hold_works_on([], 0)

    async def rule_hard_cancel_of_a_read(self) -> None:
        """
        A read that is torn down ends there and then.
        """
        for moment in await self._moments(None):
            attempt = await self._begin_until(None, moment)
            self._tear_down(attempt, moment)
            await self._hold_works_on([], moment)

    async def rule_hard_cancel_of_a_change(self) -> None:
        """
        A change that is torn down ends there and then, and nothing more is sent.
        """
        for moment in await self._moments(Command.ON):
            attempt = await self._begin_until(Command.ON, moment)
            announced = attempt.operation.announced
            self._tear_down(attempt, moment)
            await self._hold_works_on(["on"] if announced else [], moment)
            self._hold_nothing_new(attempt, announced, moment)

    async def rule_cancel_of_a_boot_device(self) -> None:
        """
        The choice of a boot device, which may take several steps, is stopped as any change is.
        """
        for device in sorted(self.driver.capabilities.boot_devices, key=lambda each: each.value)[:1]:
            for moment in await self._moments(Boot(device)):
                for polite in (True, False):
                    attempt = await self._begin_until(Boot(device), moment)
                    announced = attempt.operation.announced
                    if not polite:
                        self._tear_down(attempt, moment)
                    elif not attempt.over:
                        attempt.operation.cancel()
                        await self._hold_cancelled(attempt, announced, moment)
                    self._hold_nothing_new(attempt, announced, moment)
                    await self.bench.pause(self.bench.quiet)
                    arrived = self._arrived()
                    self.assertLessEqual(set(arrived), {BOOT} if announced else set(), "what arrived")
                    await self._hold_works_on(arrived, moment)

    @needs("mute")
    async def rule_cancel_in_silence(self) -> None:
        """
        While a device is silent, a polite cancel ends at once what has not left, and a hard one everything.
        """
        for command in (None, Command.ON):
            for polite in (True, False):
                await self._fresh(False)
                self.bench.mute()
                attempt = await self._begin_until(command, 3)
                announced = attempt.operation.announced
                if polite:
                    attempt.operation.cancel()
                    await self._hold_cancelled(attempt, announced, 3)
                else:
                    self._tear_down(attempt, 3)
                self.bench.unmute()
                await self._hold_works_on([], 3)

    @needs("lose_answers")
    async def rule_polite_cancel_after_sending(self) -> None:
        """
        A change that left and is not answered ends by its own time, says that it left, and is not repeated.
        """
        for command in self._changes():
            await self._fresh(command is not Command.ON)
            self.bench.lose_answers()
            attempt = self.begin(command)
            await self._until_arrived(attempt)
            seen = self._arrived()
            self.assertFalse(attempt.over, f"{command.value} ended before its answer: {attempt.error}")
            attempt.operation.cancel()
            await self.finish(attempt, self.longest(command))
            await self.bench.pause(self.bench.quiet)
            self.assertIsInstance(attempt.error, PowerConnError | OperationCancelled)
            self.assertTrue(attempt.sent, f"{command.value} left, and its error says it did not")
            self.assertEqual(seen, self._arrived(), "it was sent again after a cancel")
            self.bench.unmute()

    def _changes(self) -> list[Command]:
        return sorted(self.driver.capabilities.commands, key=lambda command: command.value)

    async def _moments(self, what: Command | Boot | None) -> Sequence[int]:
        """
        The turns after whose number to cancel: the first ones, and some of all the others.
        """
        await self._fresh(False)
        attempt = self.begin(what)
        turns = 0
        while not attempt.over:
            await self.bench.turn()
            turns += 1
        await self.finish(attempt, self.longest(what))
        self.assertIsNone(attempt.error, f"{attempt.what} failed on a healthy device: {attempt.error}")
        return list(spread(turns, self.bench.most_steps))

    async def _fresh(self, on: bool) -> None:
        """
        A new driver, which has no session yet, and a device that is so.
        """
        await self.close(self.driver)
        self.driver = self.bench.make_driver()
        self.bench.device.set_power(on)
        self._before = len(self.bench.device.commands())

    def _arrived(self) -> list[str]:
        """
        What reached the device since it was made fresh.
        """
        return list(self.bench.device.commands()[self._before :])

    async def _until_arrived(self, attempt: Attempt) -> None:
        await self.until(lambda: bool(self._arrived()) or attempt.over, self.longest(Command.ON))

    async def _begin_until(self, what: Command | Boot | None, moment: int) -> Attempt:
        await self._fresh(False)
        attempt = self.begin(what)
        for _ in range(moment):
            if attempt.over:
                break
            await self.bench.turn()
        return attempt

    async def _hold_cancelled(self, attempt: Attempt, announced: int, moment: int) -> None:
        if announced:
            await self._hold_waits_for_its_answer(attempt, moment)
        else:
            await self._hold_cancelled_at_once(attempt, moment)

    async def _hold_cancelled_at_once(self, attempt: Attempt, moment: int) -> None:
        where = f"{attempt.what} cancelled politely after {moment} turns, before anything left"
        await self.until(lambda: attempt.over, self.bench.prompt)
        self.assertTrue(attempt.over, f"{where}, has not ended {self.bench.prompt:g} s later")
        self.assertIsInstance(attempt.error, OperationCancelled, f"{where}, ended so: {attempt.error!r}")
        self.assertFalse(attempt.sent, f"{where}, says that it was sent")
        self.assertEqual(0, attempt.operation.announced, f"{where}, announced something afterwards")

    async def _hold_waits_for_its_answer(self, attempt: Attempt, moment: int) -> None:
        await self.finish(attempt, self.longest(Command.ON))
        if attempt.error is not None:
            where = f"{attempt.what} cancelled politely after {moment} turns, when it had left"
            self.assertIsInstance(attempt.error, OperationCancelled | PowerError, where)
            self.assertTrue(attempt.sent, f"{where}, says that it had not")

    def _hold_nothing_new(self, attempt: Attempt, announced: int, moment: int) -> None:
        self.assertEqual(
            announced,
            attempt.operation.announced,
            f"{attempt.what} cancelled after {moment} turns announced something afterwards",
        )

    def _tear_down(self, attempt: Attempt, moment: int) -> None:
        if attempt.over:
            return
        attempt.call.cancel()
        where = f"{attempt.what} torn down after {moment} turns"
        self.assertTrue(attempt.over, f"{where} does not end there and then")
        assert attempt.failure is not None, f"{where} returned as if it had worked"
        self.hear(attempt.failure)
        expected = CancelledError | OperationCancelled | PowerError
        self.assertIsInstance(attempt.error, expected, f"{where} ended so: {attempt.error!r}")

    async def _hold_works_on(self, may_arrive: list[str], moment: int) -> None:
        """
        Nothing but this has reached the device, nothing more does, and the driver reads the truth.
        """
        await self.bench.pause(self.bench.quiet)
        arrived = self._arrived()
        self.assertIn(arrived, [[], may_arrive], f"what arrived, cancelled after {moment} turns")
        state = await self.perform(None)
        on = self.bench.device.power()
        self.assertIs(PowerState.ON if on else PowerState.OFF, state, f"read after a cancel at turn {moment}")
        self.assertEqual(arrived, self._arrived(), "something arrived long afterwards")


def spread(last: int, most: int) -> Iterator[int]:
    """
    Up to ``most`` of the numbers from 0 to ``last``: the first half one by one, the others evenly.
    """
    if last < most:
        yield from range(last + 1)
        return
    first = most // 2
    yield from range(first)
    rest = most - first
    yield from sorted({first + (last - first) * at // max(1, rest - 1) for at in range(rest)})
