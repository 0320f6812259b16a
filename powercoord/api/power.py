# SPDX-License-Identifier: MIT
"""
MAAS's power commands, answered from the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from powercoord.api.batch import checked, node_name, read_fields
from powercoord.api.commands import (
    DescribePowerTypes,
    PowerCycle,
    PowerDriverCheck,
    PowerOff,
    PowerOn,
    PowerQuery,
    SetBootOrder,
)
from powercoord.api.extensions import PowerReset
from powercoord.api.power_types import power_type
from powercoord.api.serving import Later, Responders
from powercoord.errors import (
    BadRequest,
    PowerActionAlreadyInProgress,
    PowerActionFail,
    PowercoordError,
    UnknownPowerType,
)
from powercoord.forms import outcome_form
from powercoord.interfaces import IPowerDriver, IRegistry, ITicket
from powercoord.model import Boot, BootDevice, Node, Observation, PowerState, Request, Verb

# The refusals that a region written for MAAS knows.
_KNOWN_TO_MAAS = (UnknownPowerType, PowerActionFail, PowerActionAlreadyInProgress)
_MAAS_STATES = {PowerState.ON: "on", PowerState.OFF: "off", PowerState.ERROR: "error"}
_FIRMWARE = {"legacy": False, "efi": True}


def alone(shared: Deferred[Any]) -> Deferred[Any]:
    """
    A Deferred that can be cancelled without anything happening to the one it came from.
    """
    mine: Deferred[Any] = Deferred()
    shared.chainDeferred(mine)
    return mine


@define(eq=False)
class PowerDesk:
    """
    Answers commands about one node each.

    :param peer: who asks where the command does not say it.
    :param pxe: whether a bare PowerOn or PowerCycle with a context lets the
        machine boot from the network once, as MAAS's own drivers do.
    """

    _registry: IRegistry
    _drivers: Mapping[str, IPowerDriver]
    _clock: IReactorTime
    _new_id: Callable[[], str]
    _peer: Callable[[], str]
    _pxe: bool = True
    _log: Logger = field(factory=Logger)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {
            PowerOn: partial(self._change, Verb.ON),
            PowerOff: self._off,
            PowerCycle: partial(self._change, Verb.CYCLE),
            PowerReset: partial(self._change, Verb.RESET),
            PowerQuery: self._query,
            SetBootOrder: self._set_boot_order,
            DescribePowerTypes: self._describe,
            PowerDriverCheck: self._check,
        }

    # Changes.

    def _off(self, *, mode: str | None, context: Any, **arguments: Any) -> Any:
        if mode not in (None, "hard", "soft"):
            raise BadRequest("mode: it must be hard or soft")
        soft = mode or (context.get("power_off_mode") if isinstance(context, dict) else None)
        verb = Verb.SOFT_OFF if soft == "soft" else Verb.OFF
        return self._change(verb, context=context, **arguments)

    async def _change(
        self, verb: Verb, *, system_id: str, hostname: str, power_type: str, context: Any, **own: Any
    ) -> dict[str, Any] | Later:
        given = {name: value for name, value in own.items() if value is not None}
        if not given:
            await self._change_for_maas(verb, system_id, power_type, context)
            return {}
        fields = {"request_id": self._new_id(), "requester": self._peer()} | read_fields(given)
        node = self._node(system_id, power_type, context)
        request = checked(Request(node=node.name, verb=verb, door="amp", **fields))
        ticket: ITicket = await self._registry.submit(request)
        answer = {"action": ticket.action, "disposition": ticket.disposition.value}
        if "wait" not in given:
            return answer
        return Later(ticket.wait().addCallback(lambda outcome: answer | {"outcome": outcome_form(outcome)}))

    async def _change_for_maas(self, verb: Verb, system_id: str, power_type: str, context: Any) -> None:
        """
        A change by somebody who knows no errors but MAAS's.
        """
        try:
            node = self._node(system_id, power_type, context)
            boot = self._network_boot(verb, power_type, context)
            await self._registry.submit(self._request(node, verb, boot))
        except _KNOWN_TO_MAAS:
            raise
        except PowercoordError as error:
            raise PowerActionFail(f"{error.code}: {error}") from error

    def _network_boot(self, verb: Verb, power_type: str, context: Mapping[str, Any]) -> Boot | None:
        if not (self._pxe and context and verb in (Verb.ON, Verb.CYCLE)):
            return None
        if BootDevice.PXE not in self._drivers[power_type].capabilities.boot_devices:
            return None
        return Boot(BootDevice.PXE, efi=_FIRMWARE.get(str(context.get("power_boot_type"))))

    def _request(self, node: Node, verb: Verb, boot: Boot | None = None) -> Request:
        return Request(
            node=node.name,
            verb=verb,
            boot=boot,
            request_id=self._new_id(),
            requester=self._peer(),
            door="amp",
        )

    def _node(self, system_id: str, power_type: str, context: Any) -> Node:
        """
        The node that a command is about: described by it, or named from the configuration.
        """
        try:
            name = node_name(system_id)
        except ValueError as error:
            raise BadRequest(f"system_id: {error}") from None
        if not isinstance(context, dict):
            raise BadRequest("context: it must be an object, and may be empty")
        if not context:
            return self._registry.roster.find(name)
        return self._registry.roster.adopt(name, power_type, context)

    async def _set_boot_order(
        self, *, system_id: str, hostname: str, power_type: str, context: Any, order: list[dict[str, Any]]
    ) -> dict[str, Any]:
        try:
            node = self._node(system_id, power_type, context)
            driver = self._drivers[node.target.driver]
            device = BootDevice.PXE if order and order[0].get("mac_address") else BootDevice.DISK
            if order and device in driver.capabilities.boot_devices:
                await self._registry.submit(self._request(node, Verb.BOOT, Boot(device)))
            else:
                self._log.debug(
                    "boot order of {node} left alone: {driver} cannot", node=node.name, driver=driver
                )
        except _KNOWN_TO_MAAS:
            raise
        except PowercoordError as error:
            raise PowerActionFail(f"{error.code}: {error}") from error
        return {}

    # Looking.

    async def _query(
        self, *, system_id: str, hostname: str, power_type: str, context: Any
    ) -> dict[str, Any] | Later:
        try:
            node = self._node(system_id, power_type, context)
            reading = self._registry.query(node.name)
        except PowercoordError as error:
            return {"state": "error", "error_msg": str(error), "observed": PowerState.UNKNOWN.value}
        return Later(alone(reading.addCallbacks(self._reading, _unreadable)))

    def _reading(self, seen: Observation) -> dict[str, Any]:
        return {
            "state": _MAAS_STATES.get(seen.state, "unknown"),
            "error_msg": seen.text or None,
            "observed": seen.state.value,
            "age": None if seen.at is None else max(0.0, self._clock.seconds() - seen.at),
        }

    def _describe(self) -> dict[str, Any]:
        return {"power_types": [power_type(driver) for _, driver in sorted(self._drivers.items())]}

    def _check(self, *, power_type: str) -> dict[str, Any]:
        driver = self._drivers.get(power_type)
        if driver is None:
            known = ", ".join(sorted(self._drivers))
            raise UnknownPowerType(f"no driver {power_type[:64]!r}; there are {known}")
        return {"missing_packages": list(driver.missing_tools())}


def _unreadable(failure: Any) -> dict[str, Any]:
    failure.trap(PowercoordError)
    return {"state": "error", "error_msg": failure.getErrorMessage(), "observed": PowerState.UNKNOWN.value}
