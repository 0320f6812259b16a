# SPDX-License-Identifier: MIT
"""
What is installed: every driver with all that its settings class says, and those that do not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from powercoord.api.extensions import ListDrivers
from powercoord.api.serving import Responders
from powercoord.forms import Form
from powercoord.interfaces import IPowerDriver
from powercoord.kinds import kind_of, written
from powercoord.settings import Described, context_names, describe


@frozen
class DriverDesk:
    """
    Answers which drivers there are.

    :param broken: those that are installed and do not work, with the reason.
    :param origins: the packages that they come from.
    """

    _drivers: Mapping[str, IPowerDriver]
    _broken: Mapping[str, str]
    _origins: Mapping[str, str]

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {ListDrivers: self._list}

    def _list(self) -> dict[str, Any]:
        good = [
            driver_form(driver, self._origins.get(name, "")) for name, driver in sorted(self._drivers.items())
        ]
        bad = [{"name": name, "reason": reason} for name, reason in sorted(self._broken.items())]
        return {"drivers": good, "broken": bad}


def driver_form(driver: IPowerDriver, origin: str) -> Form:
    """
    One driver and its settings.
    """
    contexts = {ours: theirs for theirs, ours in context_names(driver).items()}
    able = driver.capabilities
    return {
        "name": driver.name,
        "title": driver.title,
        "from": origin,
        "missing_tools": list(driver.missing_tools()),
        "commands": sorted(command.value for command in able.commands),
        "at_once": able.at_once,
        "boot_devices": sorted(device.value for device in able.boot_devices),
        "settings": [_setting_form(each, contexts.get(each.name)) for each in describe(driver.settings)],
    }


def _setting_form(described: Described, context: str | None) -> Form:
    setting, kind = described.setting, kind_of(described)
    return {
        "name": described.name,
        "label": setting.label,
        "description": setting.description,
        "type": kind,
        "required": described.required,
        "default": None if setting.secret else written(described.default, kind),
        "secret": setting.secret,
        "scope": setting.scope.value,
        "choices": [list(choice) for choice in setting.choices],
        "context": context,
    }
