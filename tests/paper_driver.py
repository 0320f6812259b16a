# SPDX-License-Identifier: MIT
"""
A driver that exists on paper only: it has settings and times, and does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import Attribute, frozen
from zope.interface import implementer

from powercoord.errors import PowerSettingError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState, Target
from powercoord.settings import Scope, setting


def _no_spaces(_instance: object, attribute: Attribute[str], value: str) -> None:
    if " " in value:
        raise ValueError(f"{attribute.name} must have no spaces")


_LEVELS = (("user", "User"), ("operator", "Operator"))
_QUIRKS = (("slow", "Slow"), ("odd", "Odd"))


@frozen
class PaperSettings:
    """
    What a paper BMC must be told.
    """

    address: str = setting("Address", validator=_no_spaces)
    port: int = setting("Port", default=623)
    username: str = setting("Account", default="")
    password: str = setting("Password", default="", secret=True)
    level: str = setting(
        "Privilege", default="operator", choices=(("user", "User"), ("operator", "Operator"))
    )
    quirks: frozenset[str] = setting(
        "Quirks", default=frozenset(), choices=(("slow", "Slow"), ("odd", "Odd"))
    )
    patience: float = setting("Patience", default=10.0)
    key: str | None = setting("Key", default=None, secret=True)
    plug: str = setting("Plug", default="", scope=Scope.NODE)


@implementer(IPowerDriver)
class PaperDriver:
    """
    Declares everything and does nothing.
    """

    name = "paper"
    title = "Paper"
    settings = PaperSettings
    capabilities = Capabilities(frozenset(Command), frozenset(BootDevice))

    def target(self, settings: PaperSettings) -> Target:
        if settings.address == "nowhere":
            raise PowerSettingError("address 'nowhere' is no place")
        return Target(self.name, f"{settings.address}:{settings.port}", settings.plug, settings)

    def from_context(self, context: Mapping[str, Any]) -> PaperSettings:
        if "power_address" not in context:
            raise PowerSettingError("power_address is missing")
        return PaperSettings(
            address=context["power_address"],
            username=context.get("power_user", ""),
            password=context.get("power_pass", ""),
            plug=context.get("outlet", ""),
        )

    def worst_case(self, settings: PaperSettings, command: Command | None) -> float:
        return settings.patience

    def missing_tools(self) -> Sequence[str]:
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        raise NotImplementedError

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        raise NotImplementedError

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def paper(_reactor: Any) -> PaperDriver:
    """
    The factory that an entry point would name.
    """
    return PaperDriver()
