# SPDX-License-Identifier: MIT
"""
The calls that are measured, and a bare echo of the same shape for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.protocols.amp import AMP, Command, CommandLocator

from powercoord.api.commands import PowerOn, PowerQuery
from powercoord.api.extensions import Status


def _named(index: int) -> dict[str, Any]:
    name = f"n{index}"
    return {"system_id": name, "hostname": name, "power_type": "fake", "context": {}}


def _as_maas_does(index: int) -> dict[str, Any]:
    """
    MAAS sends all power parameters with each call.
    """
    context = {
        "power_address": f"10.0.{index >> 8}.{index & 255}",
        "power_user": "maas",
        "power_pass": "0123456789",
        "power_driver": "LAN_2_0",
        "power_boot_type": "auto",
        "power_off_mode": "",
        "cipher_suite_id": "3",
        "privilege_level": "OPERATOR",
        "workaround_flags": ["opensesspriv"],
        "k_g": "",
        "mac_address": "52:54:00:12:34:56",
    }
    return _named(index) | {"hostname": f"node-{index}.maas", "context": context}


def _status(index: int) -> dict[str, Any]:
    return {"nodes": [f"n{index}"]}


@frozen
class Shape:
    """
    A command, its arguments for one node, and what an echo answers.
    """

    title: str
    command: type[Command]
    arguments: Callable[[int], dict[str, Any]]
    answer: Mapping[str, Any]


_SEEN = {"state": "off", "observed": "off", "age": 0.0}
_PAGE = b'[{"name":"n4711","driver":"fake","groups":[],"state":"off","age":1.234}]'

SHAPES: Mapping[str, Shape] = {
    "status": Shape("`Status` of one node", Status, _status, {"page": _PAGE}),
    "query": Shape("`PowerQuery`", PowerQuery, _named, _SEEN),
    "maas-query": Shape("`PowerQuery` with MAAS's parameters", PowerQuery, _as_maas_does, _SEEN),
    "on": Shape("`PowerOn`", PowerOn, _named, {}),
    "maas-on": Shape("`PowerOn` with MAAS's parameters", PowerOn, _as_maas_does, {}),
}


def echoes() -> Callable[[], AMP]:
    """
    A plain Twisted AMP whose responders answer the same words each time.
    """

    def responder(shape: Shape) -> Callable[..., Any]:
        answer = dict(shape.answer)
        return lambda **_: answer

    by_name = {shape.command.commandName: shape for shape in SHAPES.values()}

    class Echo(CommandLocator):
        def locateResponder(self, name: bytes) -> Any:
            shape = by_name[name]
            return self._wrapWithSerialization(responder(shape), shape.command)

    return lambda: AMP(locator=Echo())
