# SPDX-License-Identifier: MIT
"""
What a driver leaves behind: nothing that runs, nothing that is open, and no secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from operator import le, sub
from pathlib import Path
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from powercoord.errors import OperationCancelled, PowerError
from powercoord.interfaces import IPowerHints
from powercoord.model import Command
from powercoord.testing.conformance.bench import Absent
from powercoord.testing.conformance.case import ConformanceCase, needs

_DESCRIPTORS = Path("/proc/self/fd")
_PROCESSES = Path("/proc")


class Ending(ConformanceCase):
    """
    `close`, and what must never be seen.
    """

    async def rule_made_without_opening(self) -> None:
        """
        Making a driver and asking it for targets opens no file and starts no timer.
        """
        await self.bench.pause(self.bench.quiet)
        before = self._open()
        another = self.bench.make_driver()
        another.target(self.bench.device.settings)
        now = self._open()
        await self.close(another)
        self.assertEqual(before, now, "open files, timers, and children")

    async def rule_close(self) -> None:
        """
        After `close` no file of the driver is open, no timer of it runs, and no child of it lives.
        """
        await self._live()  # what opens once for a process, say the reactor's own pipe, is not the driver's
        await self.bench.pause(self.bench.quiet)
        before = self._open()
        self.driver = self.bench.make_driver()
        await self._live()
        await self.until(lambda: all(map(le, self._open(), before)), self.bench.effect)
        files, timers, children = map(sub, self._open(), before)
        self.assertLessEqual(children, 0, "child processes that live after close()")
        self.assertLessEqual(files, 0, "files that are open after close()")
        self.assertLessEqual(timers, 0, "timers that run after close()")

    async def rule_hints(self) -> None:
        """
        Where a driver provides `IPowerHints`: watching opens nothing, and once it is ended no hint comes.
        """
        if not IPowerHints.providedBy(self.driver):
            return
        await self.perform(None)
        await self.bench.pause(self.bench.quiet)
        hints: list[int] = []
        before = self._open()
        stop = cast(IPowerHints, self.driver).watch(self.target(), partial(hints.append, 1))
        self.assertEqual(before, self._open(), "watch() opened something")
        stop()
        seen = len(hints)
        for on in (True, False):
            self.bench.device.set_power(on)
            await self.perform(None)
            await self.bench.pause(self.bench.quiet)
        self.assertEqual(seen, len(hints), "a hint came after watching was ended")

    async def _live(self) -> None:
        for command in (Command.ON, None, Command.OFF):
            await self.perform(command)
        await self.close(self.driver)

    async def rule_close_again(self) -> None:
        """
        Closing twice does no harm, and a closed driver refuses with an error instead of opening anew.
        """
        await self.perform(None)
        await self.close(self.driver)
        attempt = await self.finish(self.begin(None), self.longest(None))
        self.assertIsInstance(attempt.error, PowerError, "a closed driver was asked to read")

    async def rule_close_during(self) -> None:
        """
        `close` ends what is under way, and waits for nobody.
        """
        await self._hold_close_during()

    @needs("mute")
    async def rule_close_in_silence(self) -> None:
        """
        `close` ends within seconds, also while a device is silent.
        """
        self.bench.mute()
        await self._hold_close_during()
        self.bench.unmute()

    async def rule_secrets(self) -> None:
        """
        Errors, logs, and what a child process is called with have no secret in them, whatever goes wrong.
        """
        await self._hold_argv()
        for settings in self._unfortunate():
            for command in (None, Command.ON):
                await self.finish(self.begin(command, settings), self.longest(command, settings))
        context = dict(self.bench.context)
        for name in context:
            for value in (None, "", "\0", "nonsense " * 40):
                self._listen_to_context({**context, name: value})

    def _unfortunate(self) -> Iterator[Any]:
        for ability in (self.bench.refused, self.bench.unreachable, self.bench.nowhere):
            try:
                yield ability()
            except Absent:
                continue
        try:
            self.bench.mute()
        except Absent:
            return
        yield None
        self.bench.unmute()

    def _listen_to_context(self, context: dict[str, Any]) -> None:
        try:
            self.driver.from_context(context)
        except PowerError:
            self.hear(Failure())

    async def _hold_argv(self) -> None:
        """
        Look at every turn of an operation at what our children were started with: all on the machine see it.
        """
        for command in (Command.ON, None):
            attempt = self.begin(command)
            while not attempt.over:
                self.hold_secrets("the words of a child process", list(_children()))
                await self.bench.turn()
            await self.finish(attempt, self.longest(command))

    async def _hold_close_during(self) -> None:
        attempts = [self.begin(None), self.begin(Command.ON)]
        for _ in range(3):
            await self.bench.turn()
        await self.close(self.driver)
        over = await self.until(lambda: all(attempt.over for attempt in attempts), self.bench.prompt)
        self.assertTrue(over, "an operation goes on after close()")
        for attempt in attempts:
            if attempt.failure is not None:
                self.hear(attempt.failure)
                self.assertIsInstance(attempt.error, PowerError | OperationCancelled)

    def _open(self) -> tuple[int, int, int]:
        """
        How many files are open in this process, how many timers run, and how many children it has.
        """
        files = len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else 0
        return files, len(_timers(self.bench.clock)), len(list(_children()))


def _timers(clock: IReactorTime) -> list[Any]:
    return [call for call in clock.getDelayedCalls() if call.active()]


def _children() -> Iterator[str]:
    """
    What every descendant of this process was called with.
    """
    waiting = [str(os.getpid())]
    while waiting:
        pid = waiting.pop()
        try:
            found = Path(_PROCESSES, pid, "task", pid, "children").read_text("ascii").split()
            words = [Path(_PROCESSES, child, "cmdline").read_bytes() for child in found]
        except OSError:
            continue  # it has ended meanwhile, or this system has no such files
        waiting += found
        yield from (word.decode(errors="replace").replace("\0", " ") for word in words)
