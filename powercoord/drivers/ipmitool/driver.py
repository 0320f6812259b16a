# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it: an `ipmitool` for each read, two for each change.

# Note [Reached first]

From outside nobody sees when an `ipmitool` has logged in and sends its command.
So before a change another one reads: only when that was answered is the change
announced and sent.  A dead BMC and a refused password are then found out with
nothing sent, and a cancel before that withholds the change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from shutil import which
from typing import Any

from attrs import define, field
from zope.interface import implementer

from powercoord.drivers.children import Children, Ended, Program, find_program, surroundings
from powercoord.drivers.children.children import RESERVE
from powercoord.drivers.children.places import Rank
from powercoord.drivers.ipmi.address import Address
from powercoord.drivers.ipmitool.commandline import (
    BOOT_FLAGS,
    STATUS,
    Pace,
    arguments,
    environment,
    next_boot,
    power,
    wants_efi,
)
from powercoord.drivers.ipmitool.settings import CONTEXT_NAMES, IpmitoolSettings, from_context
from powercoord.drivers.ipmitool.verdict import efi_of, error_of, has_answered, state_of
from powercoord.errors import PowerToolError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState, Target

PROGRAM = "ipmitool"

_RANKS: Mapping[Command, Rank] = {
    Command.OFF: Rank.OFF,
    Command.SOFT: Rank.OFF,
    Command.ON: Rank.CHANGE,
    Command.RESET: Rank.CHANGE,
}
_ONCE = frozenset((Command.SOFT, Command.RESET))


@implementer(IPowerDriver)
@define(eq=False)
class IpmitoolDriver:
    """
    For BMCs that the driver ``ipmi`` cannot please; it costs some hundred times as much.
    """

    name = "ipmitool"
    title = "IPMI by the program ipmitool"
    settings = IpmitoolSettings
    context_names = CONTEXT_NAMES
    capabilities = Capabilities(commands=frozenset(Command), boot_devices=frozenset(BootDevice))

    _reactor: Any
    _children: Children
    _environ: Mapping[str, str] = field(repr=False)

    def target(self, settings: IpmitoolSettings) -> Target:
        """
        The same BMC has the same name as with the driver ``ipmi``, and so the same lane.
        """
        return Target(self.name, Address.parse(settings.address).text, settings.bridge, settings)

    def from_context(self, context: Mapping[str, Any]) -> IpmitoolSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: IpmitoolSettings, command: Command | None) -> float:
        """
        What has not ended by then is ended.
        """
        return settings.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        `ipmitool`, and the program that gives it a process group of its own.
        """
        tools = {PROGRAM: "ipmitool", "setsid": "util-linux"}
        return tuple(package for tool, package in tools.items() if which(tool) is None)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        ended = await self._run(target, STATUS, Rank.READ, operation)
        state = state_of(ended)
        if state is None:
            raise self._error(target, ended, changes=False)
        return state

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        deadline = self._deadline(target, operation)
        await self._reach(target, operation, self._half_way(deadline))
        once = command in _ONCE
        ended = await self._run(target, power(command), _RANKS[command], operation, deadline, once=once)
        if ended.code != 0:
            raise self._error(target, ended, changes=True)

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.

        `ipmitool` sets legacy where EFI is not asked for, so what the BMC has is read first.
        """
        deadline = self._deadline(target, operation)
        wanted = wants_efi(boot, _settings(target).boot_type)
        flags = await self._run(target, BOOT_FLAGS, Rank.READ, operation, self._half_way(deadline))
        if flags.code != 0 and not has_answered(flags):
            raise self._error(target, flags, changes=False)
        efi = efi_of(flags) if wanted is None else wanted
        ended = await self._run(target, next_boot(boot, efi), Rank.CHANGE, operation, deadline)
        if ended.code != 0:
            raise self._error(target, ended, changes=True)

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        await self._children.close()

    async def _reach(self, target: Target, operation: IOperation, until: float) -> None:
        """
        See note [Reached first].
        """
        ended = await self._run(target, STATUS, Rank.READ, operation, until)
        if ended.code != 0 and not has_answered(ended):
            raise self._error(target, ended, changes=False)

    def _half_way(self, deadline: float) -> float:
        now: float = self._reactor.seconds()
        return (now + deadline) / 2

    def _deadline(self, target: Target, operation: IOperation) -> float:
        now: float = self._reactor.seconds()
        return min(operation.deadline, now + _settings(target).timeout)

    async def _run(
        self,
        target: Target,
        words: Sequence[str],
        rank: Rank,
        operation: IOperation,
        deadline: float | None = None,
        *,
        once: bool = False,
    ) -> Ended:
        settings = _settings(target)
        until = self._deadline(target, operation) if deadline is None else deadline
        env = surroundings(self._environ, **environment(settings))
        path = find_program(PROGRAM, env["PATH"])
        if path is None:
            raise PowerToolError("ipmitool is not installed (package ipmitool)")
        pace = Pace.within(until - self._reactor.seconds() - RESERVE, once=once)
        program = Program(argv=(path, *arguments(settings, pace, words)), environment=env)
        return await self._children.run(program, operation, until, rank)

    def _error(self, target: Target, ended: Ended, *, changes: bool) -> Exception:
        settings = _settings(target)
        hidden = (settings.password, settings.k_g)
        return error_of(f"ipmitool {target.endpoint}", ended, hidden, changes=changes)


def _settings(target: Target) -> IpmitoolSettings:
    if not isinstance(target.settings, IpmitoolSettings):
        raise TypeError(f"settings of {target.driver} given to ipmitool")
    return target.settings


def driver(reactor: Any) -> IpmitoolDriver:
    """
    The driver of a process.
    """
    setsid = which("setsid")
    return IpmitoolDriver(reactor, Children(reactor, (setsid,) if setsid else ()), os.environ)
