# SPDX-License-Identifier: MIT
"""
What Redfish's resources say, as far as power is concerned: DSP0266 and the schema ComputerSystem.

All of it comes from a stranger: whatever is not as the schema has it is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from powercoord.errors import PowerActionError
from powercoord.model import PowerState

#: Values of ResetType that we know (schema Resource, ResetType).
RESET_TYPES = (
    "On",
    "ForceOff",
    "GracefulShutdown",
    "GracefulRestart",
    "ForceRestart",
    "Nmi",
    "ForceOn",
    "PushPowerButton",
    "PowerCycle",
    "Suspend",
    "Pause",
    "Resume",
    "FullPowerCycle",
)

_ALLOWABLE = "@Redfish.AllowableValues"


def parse(body: bytes, what: str) -> Mapping[str, Any]:
    """
    A resource's JSON.

    :raises PowerActionError: it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PowerActionError(f"{what}: the answer is no JSON object")
    return found


def path_in(value: object) -> str:
    """
    The path on its server that a link leads to; empty if it is no link that we would follow.
    """
    if isinstance(value, Mapping):
        value = value.get("@odata.id")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return path if path.startswith("/") and not path.startswith("//") else ""


def table(resource: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """
    What is in a table in a table; empty if one is missing.
    """
    for name in names:
        inner = resource.get(name)
        resource = inner if isinstance(inner, Mapping) else {}
    return resource


def words(value: object) -> tuple[str, ...]:
    """
    The texts of a list.
    """
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def text(value: object) -> str:
    """
    A text, or nothing.
    """
    return value if isinstance(value, str) else ""


def reset_types(values: tuple[str, ...]) -> frozenset[str]:
    """
    Those that we know, also written in one piece, as in Supermicro's "GracefulShutdownGracefulRestart".
    """
    return frozenset(known for value in values for known in _taken_apart(value))


def _taken_apart(value: str) -> tuple[str, ...]:
    found: list[str] = []
    while value:
        known = next((each for each in _LONGEST_FIRST if value.startswith(each)), None)
        if known is None:
            return ()
        found.append(known)
        value = value.removeprefix(known)
    return tuple(found)


_LONGEST_FIRST = sorted(RESET_TYPES, key=len, reverse=True)


@frozen
class Root:
    """
    The service root: where everything begins.
    """

    systems: str
    sessions: str
    events: str

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> Root:
        """
        Read it; sessions are named directly, or else have their usual name below their service.
        """
        sessions = path_in(table(resource, "Links").get("Sessions"))
        service = path_in(resource.get("SessionService"))
        if not sessions and service:
            sessions = service.rstrip("/") + "/Sessions"
        return cls(path_in(resource.get("Systems")), sessions, path_in(resource.get("EventService")))


def members(resource: Mapping[str, Any]) -> Iterator[str]:
    """
    Paths of a collection's members.
    """
    found = resource.get("Members")
    for each in found if isinstance(found, list) else ():
        if path := path_in(each):
            yield path


@frozen
class System:
    """
    One machine.

    :param state: its PowerState in the BMC's word; empty if it has none to tell.
    :param target: where its reset action is; empty if it has none.
    :param action_info: where that is described; empty if it is not.
    :param allowed: reset types that it lists with its action; empty if it does not.
    :param settings: where what shall be after the next start is; empty if it is the system itself.
    :param boot_targets: what it may boot from; empty if it does not say.
    """

    path: str
    id: str
    uuid: str
    state: str
    target: str
    action_info: str
    allowed: frozenset[str]
    settings: str
    etag: str
    boot: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, path: str, resource: Mapping[str, Any], etag: str = "") -> System:
        """
        Read it.
        """
        action = table(resource, "Actions", "#ComputerSystem.Reset")
        return cls(
            path=path,
            id=text(resource.get("Id")),
            uuid=text(resource.get("UUID")),
            state=text(resource.get("PowerState")),
            target=path_in(action.get("target")),
            action_info=path_in(action.get("@Redfish.ActionInfo")),
            allowed=reset_types(words(action.get("ResetType" + _ALLOWABLE))),
            settings=path_in(table(resource, "@Redfish.Settings").get("SettingsObject")),
            etag=etag or text(resource.get("@odata.etag")),
            boot=table(resource, "Boot"),
        )

    @property
    def boot_targets(self) -> tuple[str, ...]:
        """
        What it may boot from, as far as it says.
        """
        return words(self.boot.get("BootSourceOverrideTarget" + _ALLOWABLE))

    def is_called(self, name: str) -> bool:
        """
        Whether a person may mean it by this.
        """
        mine = (self.id, self.uuid.lower(), self.path.rstrip("/"), self.path.rstrip("/").rpartition("/")[2])
        return bool(name) and (name in mine or name.lower() == self.uuid.lower() or name.rstrip("/") in mine)

    def power(self) -> PowerState | None:
        """
        On or off, or None while it is neither, or nobody knows.

        A paused machine has power. HPE's Gen11 says Reset, Unknown or null while it starts.
        """
        return _STATES.get(self.state)


_STATES = {"On": PowerState.ON, "Paused": PowerState.ON, "Off": PowerState.OFF}


def action_info(resource: Mapping[str, Any]) -> frozenset[str]:
    """
    The reset types of an ActionInfo resource.
    """
    parameters = resource.get("Parameters")
    for each in parameters if isinstance(parameters, list) else ():
        if isinstance(each, Mapping) and each.get("Name") == "ResetType":
            return reset_types(words(each.get("AllowableValues")))
    return frozenset()
