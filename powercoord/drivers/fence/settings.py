# SPDX-License-Identifier: MIT
"""
What must be known about a device that a fence agent switches.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import Attribute, frozen

from powercoord.drivers.fence.agents import USUAL_FOLDER, full_name
from powercoord.errors import PowerSettingError
from powercoord.nearest import nearest
from powercoord.settings import Scope, setting
from powercoord.strict import Moment, Scalars

NO_OPTIONS = Scalars(MappingProxyType({}))

# Agents put these into command lines of their own, at the far end of an ssh connection too, mostly unquoted.
_ADDRESS = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]{0,252}")
_DANGEROUS = re.compile(r"[\x00-\x1f\x7f;|&$`<>\\\"']")

#: Options that a caller may set. Others can name programs, files or ssh options: a way to run things here.
CALLERS_MAY = frozenset(
    (
        *("auth", "cipher", "community", "inet4_only", "inet6_only", "ipport", "lanplus", "missing_as_off"),
        *("power_wait", "privlvl", "secure", "snmp_auth_prot", "snmp_priv_prot", "snmp_sec_level"),
        *("snmp_version", "ssh", "ssl", "ssl_secure", "switch", "target"),
    )
)


def _check_agent(_: Any, __: Attribute[Any], value: str) -> None:
    full_name(value)


def _check_folder(_: Any, __: Attribute[Any], value: str) -> None:
    if not value.startswith("/") or "/../" in f"{value}/":
        raise PowerSettingError(f"folder '{value}' must be an absolute path without '..'")


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    if value and not _ADDRESS.fullmatch(value):
        raise PowerSettingError(
            f"address '{value[:80]}' is not understood; right would be a host name or IP address"
            " (a port is the option 'ipport')"
        )


def _check_word(_: Any, attribute: Attribute[Any], value: str) -> None:
    found = _DANGEROUS.search(value)
    if found is not None:
        raise PowerSettingError(
            f"{attribute.name} has {found[0]!r} in it, which an agent may take for a command"
        )
    if value.startswith("-"):
        raise PowerSettingError(f"{attribute.name} begins with '-', which an agent may take for an option")


def _check_password(_: Any, attribute: Attribute[Any], value: str) -> None:
    if any(mark in value for mark in "\r\n\0"):
        raise PowerSettingError(f"{attribute.name} has more than one line; an agent reads one")


@frozen(kw_only=True)
class FenceAgentSettings:
    """
    One plug of one device, and the agent that switches it.
    """

    agent: str = setting(
        "Agent",
        description="Name of the fence agent, with or without `fence_`.",
        validator=_check_agent,
    )
    address: str = setting(
        "Address",
        default="",
        description="Host name or IP address of the device, where the agent needs one.",
        validator=_check_address,
    )
    username: str = setting("User name", default="", validator=_check_word)
    password: str = setting("Password", default="", secret=True, validator=_check_password)
    plug: str = setting(
        "Plug",
        default="",
        scope=Scope.NODE,
        description="Which outlet, blade or guest of the device, as the agent calls it.",
        validator=_check_word,
    )
    options: Scalars = setting(
        "Options",
        default=NO_OPTIONS,
        secret=True,
        description="All else that the agent takes, by its own names. Values may be secrets from a file or"
        " the environment.",
    )
    timeout: Moment = setting(
        "Timeout",
        default=Moment(25.0),
        description="How long one run of the agent may take; then it is ended.",
    )
    folder: str = setting(
        "Folder",
        default=USUAL_FOLDER,
        description="Where the agents are.",
        validator=_check_folder,
    )


#: What a caller may send, and which setting it becomes. MAAS has no such power type; these are in its manner.
CONTEXT: Mapping[str, str] = MappingProxyType(
    {
        "fence_agent": "agent",
        "power_address": "address",
        "power_user": "username",
        "power_pass": "password",
        "power_id": "plug",
        "fence_options": "options",
    }
)


def from_context(context: Mapping[str, Any]) -> FenceAgentSettings:
    """
    Settings from what a caller sends; ``fence_options`` is a table, or words ``name=value``.

    :raises PowerSettingError: one is missing or makes no sense, or is not a caller's to decide.
    """
    values: dict[str, Any] = {}
    for key, name in CONTEXT.items():
        value = context.get(key)
        if value not in (None, "", {}):
            values[name] = _options(value) if name == "options" else str(value)
    if "agent" not in values:
        raise PowerSettingError("fence_agent is missing; it names the fence agent")
    return FenceAgentSettings(**values)


def _options(value: Any) -> Scalars:
    if isinstance(value, str):
        value = dict(word.partition("=")[::2] for word in value.split())
    if not isinstance(value, Mapping):
        raise PowerSettingError("fence_options must be a table, or words name=value")
    for name, each in value.items():
        if name not in CALLERS_MAY:
            near = nearest(str(name), CALLERS_MAY)
            hint = f"did you mean '{near}'?" if near else f"these are: {', '.join(sorted(CALLERS_MAY))}"
            raise PowerSettingError(f"fence option '{str(name)[:60]}' is not a caller's to set; {hint}")
        if not isinstance(each, str | int | float):
            raise PowerSettingError(f"fence option '{name}' must be a string, a number or a boolean")
        if isinstance(each, str) and _DANGEROUS.search(each):
            raise PowerSettingError(f"fence option '{name}' has a character that may be taken for a command")
    return Scalars(MappingProxyType(dict(value)))
