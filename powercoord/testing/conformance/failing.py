# SPDX-License-Identifier: MIT
"""
How operations fail: with the right error, the truth about what left, one attempt, and in time.
"""

from __future__ import annotations

from typing import Any

from powercoord.errors import PowerAuthError, PowerConnError, PowerError, PowerRefusedError, PowerSettingError
from powercoord.model import Command
from powercoord.testing.conformance.case import ConformanceCase, needs
from powercoord.testing.conformance.watching import Attempt

#: Of the shortest time that an operation takes at most: a deadline that must come first.
_SOON = 1 / 3


class Failing(ConformanceCase):
    """
    On a device that is not well, or not there.
    """

    @needs("refused")
    async def rule_wrong_password(self) -> None:
        """
        A refused password is `PowerAuthError` after one attempt to log in, and nothing has left.
        """
        settings = self.bench.refused()
        for command in (None, Command.ON):
            before = self.bench.logins()
            attempt = await self.finish(self.begin(command, settings), self.longest(command, settings))
            self.hold_error(attempt, PowerAuthError, sent=False)
            self.assertEqual(before + 1, self.bench.logins(), "attempts to log in; accounts lock")
        self.hold_untouched()

    @needs("refused")
    async def rule_right_password_after_wrong(self) -> None:
        """
        A refused password harms only who has it: the right one works before and after, the wrong one never.
        """
        for settings, works in ((None, True), (self.bench.refused(), False), (None, True)):
            attempt = await self.finish(self.begin(None, settings), self.longest(None, settings))
            if works:
                self.assertIsNone(attempt.error, f"the right password does not work: {attempt.error}")
            else:
                self.hold_error(attempt, PowerAuthError, sent=False)

    @needs("unreachable")
    async def rule_nobody_there(self) -> None:
        """
        An endpoint where nobody is is `PowerConnError`, in time, and nothing has left.
        """
        settings = self.bench.unreachable()
        for command in (None, Command.ON):
            attempt = await self.finish(self.begin(command, settings), self.longest(command, settings))
            self.hold_error(attempt, PowerConnError, sent=False)

    @needs("nowhere")
    async def rule_unknown_node(self) -> None:
        """
        A node that the endpoint does not have is an error for a person, which names it; others are untouched.
        """
        settings = self.bench.nowhere()
        selector = self.target(settings).selector
        for command in (None, Command.ON):
            attempt = await self.finish(self.begin(command, settings), self.longest(command, settings))
            self.hold_error(attempt, (PowerSettingError, PowerRefusedError), sent=False)
            self.assertIn(selector, str(attempt.error), "the error does not name the node")
        self.hold_untouched()

    @needs("mute")
    async def rule_silence(self) -> None:
        """
        Silence is `PowerConnError` by the time that worst_case tells, with a session and without.
        """
        for warm in (False, True):
            if warm:
                await self.perform(None)
            self.bench.mute()
            for command in (None, Command.ON):
                attempt = await self.finish(self.begin(command), self.longest(command))
                self.hold_error(attempt, PowerConnError, sent=bool(attempt.operation.announced))
            self.bench.unmute()
        self.hold_untouched()
        await self.perform(None)

    @needs("mute")
    async def rule_deadline(self) -> None:
        """
        The operation's deadline ends it, if that comes before the driver's own time.
        """
        self.bench.mute()
        for command in (None, Command.ON):
            soon = self.longest(command) * _SOON
            attempt = await self.finish(self.begin(command, within=soon), soon)
            self.hold_error(attempt, PowerConnError, sent=bool(attempt.operation.announced))

    async def rule_no_time_left(self) -> None:
        """
        With its deadline past, an operation sends nothing and ends at once.
        """
        attempt = await self.finish(self.begin(Command.ON, within=0.0), self.bench.prompt)
        self.hold_error(attempt, PowerConnError, sent=False)
        await self.bench.pause(self.bench.quiet)
        self.hold_untouched()

    @needs("lose_answers")
    async def rule_lost_answer(self) -> None:
        """
        A change whose answer is lost says that it left; a soft stop and a reset leave only once.
        """
        self.bench.lose_answers()
        for command in sorted(self.driver.capabilities.commands, key=lambda each: each.value):
            self.bench.device.set_power(command is not Command.ON)
            before = len(self.bench.device.commands())
            attempt = await self.finish(self.begin(command), self.longest(command))
            arrived = list(self.bench.device.commands()[before:])
            self.assertEqual({command.value}, set(arrived), "what reached the device")
            if command in (Command.SOFT, Command.RESET):
                self.assertEqual(1, len(arrived), f"{command.value} was repeated; it must leave once")
            self.hold_error(attempt, PowerConnError, sent=True)

    def hold_error(self, attempt: Attempt, kind: Any, *, sent: bool) -> None:
        """
        It failed so, in one line that says something, and tells the truth about what left.
        """
        self.assertIsInstance(attempt.error, kind, f"{attempt.what} ended so: {attempt.error!r}")
        text = str(attempt.error)
        self.assertTrue(text.strip(), f"{attempt.what}: the error has no text")
        self.assertNotIn("\n", text, f"{attempt.what}: an error is one line")
        self.assertIs(sent, attempt.sent, f"{attempt.what}: what the error says of having been sent: {text}")
        if not sent and isinstance(attempt.error, PowerConnError):  # others are answers: it knows
            self.assertEqual(0, attempt.operation.announced, f"{attempt.what} was announced, and never sent")
        assert isinstance(attempt.error, PowerError)

    def hold_untouched(self) -> None:
        """
        The good device has heard of no command.
        """
        self.assertEqual([], list(self.bench.device.commands()), "what reached the device")
