# SPDX-License-Identifier: MIT
"""
What must be known about a strip and the outlet that a node hangs on.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, frozen

from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, setting
from powercoord.strict import Moment

#: Names in the power parameters that MAAS sends, and the settings that they become.
CONTEXT_NAMES = {"power_address": "address", "power_pass": "password", "power_id": "outlet"}


def _one_word(_: Any, attribute: Attribute[Any], value: str) -> None:
    """
    What goes into a line must not end it.  The value may be a secret, so the error does not tell it.
    """
    if not value.isprintable() or " " in value:
        raise PowerSettingError(f"{attribute.name} has a space or a control character in it")


def _address(_: Any, __: Attribute[Any], value: str) -> None:
    host, _colon, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise PowerSettingError(f"address '{value[:80]}' is not of the form host:port")


@frozen(kw_only=True)
class StripSettings:
    """
    One outlet of one strip.
    """

    address: str = setting(
        "Address", description="Host name or IP address, and port: `strip1:7001`.", validator=_address
    )
    outlet: str = setting(
        "Outlet", description="The number on the strip.", scope=Scope.NODE, validator=_one_word
    )
    password: str = setting("Password", default="", secret=True, validator=_one_word)
    timeout: Moment = setting(
        "Timeout", default=Moment(5.0), description="How long one operation may take, connecting included."
    )


def from_context(context: Mapping[str, Any]) -> StripSettings:
    """
    Settings from MAAS's power parameters; what else is among them is not ours.

    :raises PowerSettingError: one is missing or makes no sense.
    """
    values: dict[str, Any] = {
        ours: str(context[name]) for name, ours in CONTEXT_NAMES.items() if context.get(name)
    }
    for name, ours in CONTEXT_NAMES.items():
        if ours not in values and ours != "password":
            raise PowerSettingError(f"{name} is missing; it is the strip's {ours}")
    return StripSettings(**values)
