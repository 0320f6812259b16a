# SPDX-License-Identifier: MIT
"""
Drivers that are wrong about themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from attrs import define, field, frozen

from powercoord.errors import PowerError, PowerSettingError
from powercoord.interfaces import Capabilities, IOperation
from powercoord.model import Command, PowerState, Target
from powercoord.settings import Scope, setting
from powercoord.testing.driver import FakeSettings
from tests.conformance.breaking import breaks
from tests.conformance.fake_bench import PASSWORD, GuardedDriver


@breaks("interface", "small letters")
class Shouting(GuardedDriver):
    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.name = "Network Strip"


@breaks("interface", "no title")
class Untitled(GuardedDriver):
    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.title = " "


@breaks("interface", "turn on and off")
class Unable(GuardedDriver):
    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.capabilities = Capabilities(frozenset({Command.OFF}))


def _with(kind: type[Any]) -> Any:
    return kind(address="bmc1", outlet="1", password=PASSWORD)


class OtherSettings(GuardedDriver):
    """
    One whose settings class is its own, and otherwise right.
    """

    kind: type[Any]

    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.settings = self.kind


@frozen(kw_only=True)
class PlainField:
    address: str = setting("Address")
    outlet: str = setting("Outlet", scope=Scope.NODE)
    password: str = field(default="", repr=False)


@breaks("settings", "not made with powercoord.settings.setting", _with(PlainField))
class Undeclared(OtherSettings):
    kind = PlainField


@frozen(kw_only=True)
class Nameless:
    address: str = setting("Address")
    outlet: str = setting("", scope=Scope.NODE)
    password: str = setting("Password", default="", secret=True)


@breaks("settings", "outlet: no label", _with(Nameless))
class Unlabelled(OtherSettings):
    kind = Nameless


@define(kw_only=True)
class Mutable:
    address: str = setting("Address")
    outlet: str = setting("Outlet", scope=Scope.NODE)
    password: str = setting("Password", default="", secret=True)


@breaks("settings", "not frozen", _with(Mutable))
class Thawed(OtherSettings):
    kind = Mutable


@frozen(kw_only=True)
class Chosen:
    address: str = setting("Address")
    outlet: str = setting("Outlet", default="x", choices=(("1", "One"), ("2", "Two")))
    password: str = setting("Password", default="", secret=True)


@breaks("choices", "outlet", _with(Chosen))
class Undecided(OtherSettings):
    kind = Chosen


@frozen(kw_only=True)
class Open:
    address: str = setting("Address")
    outlet: str = setting("Outlet", scope=Scope.NODE)
    password: str = setting("Password", default="")


@breaks("secret_settings", "declare it secret=True", _with(Open))
class Indiscreet(OtherSettings):
    kind = Open


@breaks("secret_settings", "stands in a repr")
class Revealing(GuardedDriver):
    def target(self, settings: FakeSettings) -> Target:
        return Target(self.name, f"fake:{settings.password}@{settings.address}", settings.outlet, settings)


@breaks("worst_case", "is 0")
class Optimist(GuardedDriver):
    def worst_case(self, settings: FakeSettings, command: Command | None) -> float:
        return 0.0


@breaks("worst_case", "is inf")
class Pessimist(GuardedDriver):
    def worst_case(self, settings: FakeSettings, command: Command | None) -> float:
        return inf


@frozen(kw_only=True)
class Patient(FakeSettings):
    timeout: float = setting("Timeout", default=10.0)


@breaks("worst_case", "less than the timeout", _with(Patient))
class Forgetful(OtherSettings):
    kind = Patient


@breaks("target", "!= ")
class Restless(GuardedDriver):
    asked = 0

    def target(self, settings: FakeSettings) -> Target:
        self.asked += 1
        return Target(self.name, f"fake:{settings.address}:{self.asked}", settings.outlet, settings)


@breaks("tools", "strip-tools")
class Lacking(GuardedDriver):
    def missing_tools(self) -> Sequence[str]:
        return ["strip-tools"]


@breaks("context", "something else of power_pass")
class Deaf(GuardedDriver):
    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        return super().from_context({**context, "power_pass": ""})


@breaks("context", "names that DescribePowerTypes lacks")
class Undescribed(GuardedDriver):
    context_names: Mapping[str, str] = {"power_address": "address"}


@frozen(kw_only=True)
class Encrypted(FakeSettings):
    tls: bool = setting("TLS", default=True)


@breaks("context", "from_context does not read tls", _with(Encrypted))
class Truthy(OtherSettings):
    """
    Takes the word "false" for true.
    """

    kind = Encrypted
    context_names: Mapping[str, str] = {
        "power_address": "address",
        "outlet": "outlet",
        "power_pass": "password",
        "tls": "tls",
    }

    def from_context(self, context: Mapping[str, Any]) -> Encrypted:
        plain = super().from_context(context)
        tls = bool(context.get("tls", True))
        return Encrypted(address=plain.address, outlet=plain.outlet, password=plain.password, tls=tls)


@breaks("context", "context_names names settings that are none")
class Misled(GuardedDriver):
    context_names: Mapping[str, str] = {
        "power_address": "address",
        "outlet": "socket",
        "power_pass": "password",
    }


@breaks("context_lacks", "takes a context")
class Inventive(GuardedDriver):
    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        return super().from_context({"power_address": "192.0.2.1", **context})


@breaks("context_lacks", "does not name what is missing")
class Vague(GuardedDriver):
    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        try:
            return super().from_context(context)
        except PowerSettingError:
            raise PowerSettingError("something is missing") from None


@breaks("unknown_parameters", "power_off_mode")
class Strict(GuardedDriver):
    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        unknown = set(context) - {"power_address", "power_pass", "outlet"}
        if unknown:
            raise PowerSettingError(f"unknown: {sorted(unknown)}")
        return super().from_context(context)


@breaks("secrets", "an error or the log")
class Talkative(GuardedDriver):
    def refusal(self, target: Target) -> Exception:
        settings: Any = target.settings
        return PowerError(f"password {settings.password} was refused")


@breaks("secrets", "an error or the log")
class Remembering(GuardedDriver):
    """
    Its error is clean, and the one that it came from is not.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        try:
            raise ValueError(f"cannot log in with {PASSWORD}")
        except ValueError as error:
            raise PowerError("cannot log in") from error


@breaks("secrets", "an error or the log")
class Blunt(GuardedDriver):
    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        if not context.get("power_address"):
            raise PowerSettingError(f"power_address is missing: {dict(context)}")
        return super().from_context(context)
