# SPDX-License-Identifier: MIT
"""
A person does it: the driver says what is wanted, and never that it was done.

Power cannot be read, so an action on such a node waits until its time is over,
or until somebody says what came of it (``powercoord resolve``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import Attribute, define, field, frozen
from twisted.logger import Logger
from zope.interface import implementer

from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerConnError,
    PowerSettingError,
    PowerUnsupportedError,
)
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target
from powercoord.settings import Scope, setting

_SECONDS = 1.0

#: MAAS has nothing to say of such a node; these are our own words.
CONTEXT: Mapping[str, str] = MappingProxyType({"place": "place", "who": "who"})


def _check_place(_: Any, attribute: Attribute[Any], value: str) -> None:
    if not value.strip() or not value.isprintable():
        raise PowerSettingError(
            f"{attribute.name} must say in one line where the node is, as 'rack 4, unit 12'"
        )


@frozen(kw_only=True)
class ManualSettings:
    """
    A node, and where a person finds it.
    """

    place: str = setting(
        "Place",
        scope=Scope.NODE,
        description="Where the node is, such as `rack 4, unit 12`; no two nodes are in one place.",
        validator=_check_place,
    )
    who: str = setting("Who", default="", description="Who can change its power, and how to reach them.")


@implementer(IPowerDriver)
@define(eq=False)
class ManualDriver:
    """
    Writes into the log what a person is to do.
    """

    name = "manual"
    title = "Manual"
    settings = ManualSettings
    context_names = CONTEXT
    capabilities = Capabilities(commands=frozenset((Command.ON, Command.OFF)), queryable=False)

    _clock: Any
    _closed: bool = field(default=False, init=False)
    _log: Logger = field(factory=lambda: Logger(namespace="powercoord.drivers.manual"), init=False)

    def target(self, settings: ManualSettings) -> Target:
        """
        Each place is an endpoint of its own.
        """
        return Target(self.name, f"manual: {settings.place}", "", settings)

    def from_context(self, context: Mapping[str, Any]) -> ManualSettings:
        """
        MAAS says nothing about such a node, so a caller must tell its place.
        """
        if not context.get("place"):
            raise PowerSettingError("place is missing; it says where a person finds the node")
        return ManualSettings(place=str(context["place"]), who=str(context.get("who") or ""))

    def worst_case(self, settings: ManualSettings, command: Command | None) -> float:
        """
        To write a line takes no time; how long the person takes is the action's time.
        """
        return _SECONDS

    def missing_tools(self) -> Sequence[str]:
        """
        It needs no tools.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        Nobody can tell.
        """
        self._check(operation)
        raise PowerActionError(f"{_settings(target).place}: only a person can see whether it is on")

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        Say what is wanted; that it was said is all that is accepted.
        """
        self._check(operation)
        if command not in self.capabilities.commands:
            raise PowerUnsupportedError(f"a person is asked for on and off only, not for {command.value}")
        settings = _settings(target)
        operation.sending()
        self._log.warn(
            "a person must turn {power} what is at {place}{who}; then: powercoord resolve",
            power=command.value,
            place=settings.place,
            who=f" (ask {settings.who})" if settings.who else "",
        )

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        raise PowerUnsupportedError("a person sets the boot device at the console; nothing can be sent")

    async def close(self) -> None:
        """
        There is nothing to give back.
        """
        self._closed = True

    def _check(self, operation: IOperation) -> None:
        if operation.cancelled:
            raise OperationCancelled("cancelled before a person was told")
        if self._closed or operation.deadline <= self._clock.seconds():
            raise PowerConnError("nobody was told: the driver is closed, or there was no time left")


def _settings(target: Target) -> ManualSettings:
    if not isinstance(target.settings, ManualSettings):
        raise TypeError(f"settings of {target.driver} given to manual")
    return target.settings


def driver(reactor: Any) -> ManualDriver:
    """
    The driver of a process.
    """
    return ManualDriver(reactor)
