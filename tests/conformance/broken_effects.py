# SPDX-License-Identifier: MIT
"""
Drivers that do something else on a healthy device, or leave something behind.
"""

from __future__ import annotations

import os
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, ClassVar

from zope.interface import implementer

from powercoord.errors import PowerRefusedError
from powercoord.interfaces import IOperation, IPowerHints
from powercoord.model import Boot, Command, PowerState, Target
from powercoord.testing.driver import FakeMachine, FakeSettings
from tests.conformance.breaking import breaks
from tests.conformance.fake_bench import NAME, PASSWORD, GuardedDriver


@breaks("read_is_the_truth", "the device is off")
class Guessing(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        await super().read(target, operation)
        return PowerState.ON


@breaks("read_is_the_truth", "called sending()")
class Announcing(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        operation.sending()
        return await super().read(target, operation)


@breaks("read_is_the_truth", "a read changed power")
class Meddling(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        self.machine(NAME).commands.append((0.0, "on"))
        return await super().read(target, operation)


class Instead(GuardedDriver):
    """
    Sends another command than it was asked to.
    """

    asked: Command
    sends: tuple[Command, ...] = ()

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        for each in self.sends if command is self.asked else (command,):
            await super().command(target, each, operation)


@breaks("on", "what reached the device")
class Twice(Instead):
    asked, sends = Command.ON, (Command.ON, Command.ON)


@breaks("on", "not on after")
class Idle(Instead):
    asked = Command.ON


@breaks("off", "what reached the device")
class Gentle(Instead):
    asked, sends = Command.OFF, (Command.SOFT,)


@breaks("soft", "what reached the device")
class Harsh(Instead):
    asked, sends = Command.SOFT, (Command.OFF,)


@breaks("reset", "not on after")
class Cutting(Instead):
    asked, sends = Command.RESET, (Command.OFF,)


@breaks("reset", "what reached the device")
class Cycling(Instead):
    asked, sends = Command.RESET, (Command.OFF, Command.ON)


@breaks("on_again", "already on")
class Literal(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        if command is Command.ON and self.machine(NAME).on:
            raise PowerRefusedError("already on")
        await super().command(target, command, operation)


@breaks("on_again", "what reached the device")
class Eager(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        reset = command is Command.ON and self.machine(NAME).on
        await super().command(target, Command.RESET if reset else command, operation)


@breaks("off_again", "already off")
class LiteralOff(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        if command is Command.OFF and not self.machine(NAME).on:
            raise PowerRefusedError("already off")
        await super().command(target, command, operation)


@breaks("boot_device", "was not announced")
class Quiet(GuardedDriver):
    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        return None


@breaks("boot_device", "on")
class Starting(GuardedDriver):
    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        await super().set_boot(target, boot, operation)
        await super().command(target, Command.ON, operation)


@breaks("announced_before", "call it before")
class Late(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        self.machine(NAME).commands.append((0.0, command.value))
        await super().command(target, command, operation)


@breaks("announced_before", "never announced")
class Secretive(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        self.machine(NAME).commands.append((0.0, command.value))


@breaks("two_operations", "second time")
class OnceOnly(GuardedDriver):
    used = False

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        if self.used:
            raise PowerRefusedError("a second time")
        self.used = True
        await super().command(target, command, operation)


@breaks("neighbours", "two endpoints")
class Splitting(GuardedDriver):
    def target(self, settings: FakeSettings) -> Target:
        return Target(self.name, f"fake:{settings.address}/{settings.outlet}", settings.outlet, settings)


@breaks("neighbours", "one selector")
class Lumping(GuardedDriver):
    def target(self, settings: FakeSettings) -> Target:
        return Target(self.name, f"fake:{settings.address}", "", settings)


@breaks("neighbours", "PowerState.O")
class Mixing(GuardedDriver):
    """
    Keeps what the endpoint's last asker named.
    """

    last: FakeMachine

    def _machine(self, target: Target) -> FakeMachine:
        found = super()._machine(target)
        self.last = getattr(self, "last", found)
        return self.last


@breaks("made_without_opening", "open files, timers, and children")
class Hasty(GuardedDriver):
    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.timer = self.clock.callLater(60.0, int)

    async def close(self) -> None:
        self.timer.cancel()
        await super().close()


@breaks("close", "timers that run")
class Ticking(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        self.clock.callLater(60.0, int)
        return await super().read(target, operation)


@breaks("close", "files that are open")
class Leaking(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        os.dup(1)
        return await super().read(target, operation)


class Parent(GuardedDriver):
    """
    Runs a child process while it reads.
    """

    words: tuple[str, ...] = ("sh", "-c", "read never")
    children: ClassVar[list[Any]] = []

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        self.begin()
        return await super().read(target, operation)

    def begin(self) -> None:
        self.children.append(Popen(self.words, stdin=PIPE))
        words = Path("/proc", str(self.children[-1].pid), "cmdline")
        while not words.read_bytes():
            pass  # its program is being put in place; no clock of the test waits for that

    @classmethod
    def bury(cls) -> None:
        while cls.children:
            child = cls.children.pop()
            child.kill()
            child.communicate()


@breaks("close", "child processes that live")
class Orphaning(Parent):
    pass


@breaks("secrets", "the words of a child process")
class Careless(Parent):
    words = ("sh", "-c", "read never", PASSWORD)

    async def close(self) -> None:
        self.bury()
        await super().close()


@implementer(IPowerHints)
class Hinting(GuardedDriver):
    """
    Tells of every read, and minds nobody who has stopped watching.
    """

    hint: Any = None

    def watch(self, target: Target, hint: Any) -> Any:
        self.hint = hint
        return lambda: None

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        if self.hint is not None:
            self.hint()
        return await super().read(target, operation)


@breaks("hints", "after watching was ended")
class Importunate(Hinting):
    pass


@breaks("hints", "opened something")
class Polling(Hinting):
    def watch(self, target: Target, hint: Any) -> Any:
        return self.clock.callLater(60.0, hint).cancel


@breaks("close_again", "a closed driver was asked")
class Reopening(GuardedDriver):
    async def close(self) -> None:
        return None


@breaks("close_during", "goes on after close()")
class Lingering(GuardedDriver):
    async def close(self) -> None:
        self.closed = True
