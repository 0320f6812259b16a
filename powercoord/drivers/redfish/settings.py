# SPDX-License-Identifier: MIT
"""
What must be known about a BMC that speaks Redfish.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import Attribute, frozen

from powercoord.drivers.web import Place
from powercoord.drivers.web.trust_settings import (
    ca_file_setting,
    legacy_tls_setting,
    pin_setting,
    trust_of,
)
from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, read_context, setting
from powercoord.strict import Moment


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    Place.parse(value)


def _check_header(_: Any, attribute: Attribute[Any], value: str) -> None:
    if any(ord(letter) < 32 for letter in value):
        raise PowerSettingError(f"{attribute.name} has a control character in it")
    if attribute.name == "username" and ":" in value:
        raise PowerSettingError("username has a colon in it, which HTTP cannot tell from the password's")


@frozen(kw_only=True)
class RedfishSettings:
    """
    One system of one BMC, and how to log in there.
    """

    address: str = setting(
        "Address",
        description="Host name or IP address, with `:port` if it is not 443; IPv6 as `[address]:port`."
        " `http://` before it for a service without TLS, which then hears the password in clear text.",
        validator=_check_address,
    )
    username: str = setting("User name", validator=_check_header)
    password: str = setting("Password", secret=True, validator=_check_header)
    node_id: str = setting(
        "Node ID",
        default="",
        scope=Scope.NODE,
        description="Id or UUID of the system, where the BMC has several.",
    )
    ca_file: str = ca_file_setting()
    pin: str = pin_setting()
    legacy_tls: bool = legacy_tls_setting()
    timeout: Moment = setting(
        "Timeout",
        default=Moment(20.0),
        description="How long one operation may take, login included; then the BMC counts as dead.",
    )
    events: bool = setting(
        "Events",
        default=False,
        description="Whether the BMC is asked to tell by itself when power changes, where it offers that"
        " (server-sent events); one more connection.",
    )

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        trust_of(self)


#: MAAS's power parameters, and which of ours each becomes. A CA file is this machine's, not a caller's.
CONTEXT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "power_address": "address",
        "power_user": "username",
        "power_pass": "password",
        "node_id": "node_id",
        "power_pin": "pin",
    }
)
_NEEDED = {
    "power_address": "the BMC",
    "power_user": "the account",
    "power_pass": "the account's password",
}


def from_context(context: Mapping[str, Any]) -> RedfishSettings:
    """
    Settings from MAAS's power parameters.

    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    return RedfishSettings(**read_context(context, CONTEXT_NAMES, _NEEDED))
