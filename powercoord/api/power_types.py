# SPDX-License-Identifier: MIT
"""
A driver in the schema of MAAS's DescribePowerTypes, from which a region draws its forms.
"""

from __future__ import annotations

from typing import Any

from powercoord.interfaces import IPowerDriver
from powercoord.kinds import context_choices, context_default, kind_of
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
        "fields": [_field(driver, name, each) for name, each in described],
    }


def _field(driver: IPowerDriver, name: str, described: Described) -> dict[str, Any]:
    setting, kind = described.setting, kind_of(described)
    choices = context_choices(driver, name, described)
    return {
        "name": name,
        "label": setting.label,
        "required": described.required,
        "field_type": _field_type(name, kind, setting.secret, bool(choices)),
        "choices": [list(choice) for choice in choices],
        "default": context_default(driver, name, described),
        "scope": setting.scope.value,
        "secret": setting.secret,
    }


def _field_type(name: str, kind: str, secret: bool, chosen: bool) -> str:
    """
    One of the types that MAAS's forms have: a number or a time is a text there, and a yes or no a choice.
    """
    if chosen:
        return "multiple_choice" if kind == "choices" else "choice"
    if secret:
        return "password"
    return "ip_address" if name == "power_address" else "string"
