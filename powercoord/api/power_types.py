# SPDX-License-Identifier: MIT
"""
A driver in the schema of MAAS's DescribePowerTypes, from which a region draws its forms.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from powercoord.interfaces import IPowerDriver
from powercoord.settings import Described, context_names, describe


def power_type(driver: IPowerDriver) -> dict[str, Any]:
    """
    One driver with its settings, under the names that its ``from_context`` reads.

    Settings that have no such name can not be described by a caller, and are
    left out here.
    """
    known = {ours: theirs for theirs, ours in context_names(driver).items()}
    described = [(known[each.name], each) for each in describe(driver.settings) if each.name in known]
    return {
        "driver_type": "power",
        "name": driver.name,
        "description": driver.title,
        "chassis": False,
        "can_probe": False,
        "can_set_boot_order": bool(driver.capabilities.boot_devices),
        "queryable": driver.capabilities.queryable,
        "missing_packages": list(driver.missing_tools()),
        "fields": [_field(name, each) for name, each in described],
    }


def _field(name: str, described: Described) -> dict[str, Any]:
    setting = described.setting
    several = isinstance(described.default, list | tuple | frozenset)
    return {
        "name": name,
        "label": setting.label,
        "required": described.required,
        "field_type": _field_type(name, described, several),
        "choices": [list(choice) for choice in setting.choices],
        "default": [_plain(each) for each in described.default] if several else _plain(described.default),
        "scope": setting.scope.value,
        "secret": setting.secret,
    }


def _field_type(name: str, described: Described, several: bool) -> str:
    if described.setting.choices:
        return "multiple_choice" if several else "choice"
    if described.setting.secret:
        return "password"
    return "ip_address" if name == "power_address" else "string"


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    return "" if value is None else str(value)
