# SPDX-License-Identifier: MIT
"""
How a driver declares what it needs to know about a node.

A driver's settings are a frozen attrs class whose fields are made with
`setting`.  From that one declaration come the configuration's keys, MAAS's
``DescribePowerTypes`` and the reference in the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from attrs import NOTHING, Attribute, field, fields, frozen, resolve_types

from powercoord.errors import PowerSettingError

_METADATA = "powercoord.setting"
_SECRETIVE = re.compile(r"pass|secret|token|community|key|_kg|credential", re.IGNORECASE)


class Scope(Enum):
    """
    Whether all nodes of one BMC share the value, or each has its own.
    """

    BMC = "bmc"
    NODE = "node"


class SecretText(str):
    """
    A text in a table of many that is a secret; it does not show in a ``repr``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """
        As a secret field's: not at all.
        """
        return "'…'"


@frozen
class Setting:
    """
    One thing that a driver must or may be told.

    :param choices: the values allowed, with a label each; empty: any.
    """

    label: str
    description: str = ""
    secret: bool = False
    scope: Scope = Scope.BMC
    choices: tuple[tuple[str, str], ...] = ()


@frozen
class Described:
    """
    A setting together with what its field says: name, type, default.
    """

    name: str
    setting: Setting
    type: Any
    required: bool
    default: Any


def setting(
    label: str,
    *,
    default: Any = NOTHING,
    description: str = "",
    secret: bool = False,
    scope: Scope = Scope.BMC,
    choices: tuple[tuple[str, str], ...] = (),
    converter: Callable[[Any], Any] | None = None,
    validator: Callable[[Any, Attribute[Any], Any], Any] | None = None,
) -> Any:
    """
    Declare one field of a driver's settings class.

    A secret never shows in a ``repr``.
    """
    return field(
        default=default,
        converter=converter,
        validator=validator,
        repr=not secret,
        kw_only=True,
        metadata={_METADATA: Setting(label, description, secret, scope, choices)},
    )


def sounds_secret(name: str) -> bool:
    """
    Whether a key that somebody else defines is likely to hold a secret.
    """
    return _SECRETIVE.search(name) is not None and not name.endswith(("_file", "_path", "_script"))


def describe(settings: type) -> tuple[Described, ...]:
    """
    List the settings that an attrs class declares, in their order, with the types themselves.
    """
    resolve_types(settings)
    return tuple(
        Described(
            name=attribute.name,
            setting=attribute.metadata[_METADATA],
            type=attribute.type,
            required=attribute.default is NOTHING,
            default=None if attribute.default is NOTHING else attribute.default,
        )
        for attribute in fields(settings)
        if _METADATA in attribute.metadata
    )


# What MAAS calls settings that most drivers have, so that what a region sends comes back under the same name.
_MAAS_NAMES = {
    "address": "power_address",
    "username": "power_user",
    "password": "power_pass",
    "boot_type": "power_boot_type",
}


def context_names(driver: Any) -> Mapping[str, str]:
    """
    The names that a driver's ``from_context`` reads, and the setting that each becomes.

    A driver says so itself, in an attribute ``context_names``; without one, its settings go by MAAS's usual
    names for them, else by their own.
    """
    told: Mapping[str, str] = getattr(driver, "context_names", {})
    return told or {_MAAS_NAMES.get(each.name, each.name): each.name for each in describe(driver.settings)}


def read_context(
    context: Mapping[str, Any],
    names: Mapping[str, str],
    needed: Mapping[str, str],
    reads: Mapping[str, Callable[[Any], Any]] | None = None,
) -> dict[str, Any]:
    """
    The settings that a caller's parameters give, by name; an empty value is as none.

    :param names: for each name in a context the setting that it becomes.
    :param needed: names in a context that must be there, and what each of them names.
    :param reads: how a value is read that is more than a text, by the name in the context.
    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    for name, what in needed.items():
        if context.get(name) in (None, ""):
            raise PowerSettingError(f"{name} is missing; it names {what}")
    values: dict[str, Any] = {}
    for name, ours in names.items():
        value = context.get(name)
        if value in (None, ""):
            continue
        try:
            values[ours] = (reads or {}).get(name, str)(value)
        except (ValueError, TypeError, KeyError):
            shown = "set to what" if sounds_secret(name) else f"{value!r}, which"
            raise PowerSettingError(f"{name} is {shown} makes no sense") from None
    return values
