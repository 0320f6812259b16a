# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from zope.interface import implementer

from powercoord.errors import (
    PowerActionError,
    PowerConnError,
    PowerSettingError,
    PowerUnsupportedError,
)
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target
from powercoord_example.exchange import Exchange
from powercoord_example.settings import CONTEXT_NAMES, StripSettings, from_context

_STATES = {"ON": PowerState.ON, "OFF": PowerState.OFF}
_WORDS = {Command.ON: "ON", Command.OFF: "OFF"}


@implementer(IPowerDriver)
@define(eq=False)
class StripDriver:
    """
    Network power strips.

    A strip cuts power and gives it back: it cannot ask an operating system to stop, nor reset without
    cutting.  What is not among the capabilities is never asked for: a soft-off becomes an off, a reset is
    refused by the coordinator.
    """

    name = "strip"
    title = "Network power strip"
    settings = StripSettings
    context_names = CONTEXT_NAMES
    capabilities = Capabilities(commands=frozenset(_WORDS))

    _reactor: Any
    _exchanges: set[Exchange] = field(factory=set, init=False)
    _closed: bool = field(default=False, init=False)

    def target(self, settings: StripSettings) -> Target:
        """
        The strip is the endpoint, which all of its nodes share; the outlet tells them apart.
        """
        return Target(self.name, settings.address, settings.outlet, settings)

    def from_context(self, context: Mapping[str, Any]) -> StripSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: StripSettings, command: Command | None) -> float:
        """
        Connecting, logging in and asking have one time together.
        """
        return float(settings.timeout)

    def missing_tools(self) -> Sequence[str]:
        """
        It needs no program.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        ``ON`` or ``OFF``; everything else is an error, and never a guess.
        """
        answer = await self._ask(target, operation, f"STATE {target.selector}", changes=False)
        if answer not in _STATES:
            raise PowerConnError(f"strip {target.endpoint}: '{answer}' is no power state")
        return _STATES[answer]

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        Returning means that the strip said OK, not that the machine has started.
        """
        if command not in _WORDS:
            raise PowerUnsupportedError(f"strip {target.endpoint}: a strip has no {command.value}")
        answer = await self._ask(target, operation, f"TURN {target.selector} {_WORDS[command]}", changes=True)
        if answer == "BUSY":
            raise PowerActionError(f"strip {target.endpoint}: outlet {target.selector} is busy just now")
        if answer != "OK":
            raise PowerConnError(f"strip {target.endpoint}: '{answer}' is no answer to a command", sent=True)

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        Never asked for: the capabilities have no boot devices.
        """
        raise PowerUnsupportedError(f"strip {target.endpoint}: a strip knows nothing of boot devices")

    async def close(self) -> None:
        """
        Hang up wherever we are talking.
        """
        self._closed = True
        for exchange in tuple(self._exchanges):
            exchange.stop()

    async def _ask(self, target: Target, operation: IOperation, request: str, *, changes: bool) -> str:
        settings = target.settings
        if not isinstance(settings, StripSettings):
            raise TypeError(f"settings of {target.driver} given to {self.name}")
        if self._closed:
            raise PowerConnError(f"strip {target.endpoint}: the driver was closed")
        exchange = Exchange(self._reactor, settings, operation, request, changes)
        self._exchanges.add(exchange)
        try:
            answer = await exchange.run()
        finally:
            self._exchanges.discard(exchange)
        if answer == "NONE":
            raise PowerSettingError(f"strip {target.endpoint} has no outlet '{target.selector}'")
        return answer


def driver(reactor: Any) -> StripDriver:
    """
    What the entry point names: makes the one driver of a process.
    """
    return StripDriver(reactor)
