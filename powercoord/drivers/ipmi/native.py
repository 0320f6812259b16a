# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from socket import AddressFamily
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from powercoord.drivers.ipmi.ask import Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.counters import Counters
from powercoord.drivers.ipmi.datagrams import Datagrams
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.errand import Errand
from powercoord.drivers.ipmi.fleet import Bounds, Fleet
from powercoord.drivers.ipmi.power import change_boot, change_power, read_power
from powercoord.drivers.ipmi.resolve import Resolver
from powercoord.drivers.ipmi.settings import CONTEXT_NAMES, POWER_DRIVERS, IpmiSettings, from_context
from powercoord.errors import PowerConnError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState, Target

T = TypeVar("T")
_MANY = 100_000


@implementer(IPowerDriver)
@define(eq=False)
class IpmiDriver:
    """
    IPMI 2.0 (and 1.5 where allowed) on one socket per address family.

    Every operation may be cancelled, politely and hard, at any time. A politely cancelled
    one ends at once unless a change is on its way; then it waits for its answer, and
    repeats nothing. A hard cancel takes the session with it.
    """

    name = "ipmi"
    title = "IPMI"
    settings = IpmiSettings
    context_choices = MappingProxyType({"power_driver": POWER_DRIVERS})
    context_names = CONTEXT_NAMES
    capabilities = Capabilities(
        commands=frozenset(Command),
        boot_devices=frozenset(BootDevice),
    )

    _reactor: Any
    _fleet: Fleet
    _resolver: Resolver
    _logins: dict[str, tuple[IpmiSettings, Login]] = field(factory=dict, init=False)

    @property
    def counters(self) -> Counters:
        """
        What happened on the wire.
        """
        return self._fleet.counters

    def target(self, settings: IpmiSettings) -> Target:
        """
        A BMC has one node.
        """
        login = Login.of(settings)
        endpoint = login.address.text
        self._remember(endpoint, settings, login)
        return Target(self.name, endpoint, "", settings)

    def from_context(self, context: Mapping[str, Any]) -> IpmiSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: IpmiSettings, command: Command | None) -> float:
        """
        Session set-up included, nothing takes longer than the timeout.
        """
        return settings.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        It needs no tools.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        return await self._perform(target, operation, read_power)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        await self._perform(target, operation, partial(change_power, wanted=command))

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        await self._perform(target, operation, partial(change_boot, wanted=boot))

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        await self._fleet.close()

    def _perform(
        self, target: Target, operation: IOperation, script: Callable[[Bmc, Login], Script[T]]
    ) -> Deferred[T]:
        settings, login = self._login(target)
        now = self._fleet.clock.seconds()
        if operation.deadline <= now:
            raise PowerConnError(f"BMC {target.endpoint}: no time is left; nothing was sent")
        deadline = min(operation.deadline, now + settings.timeout)
        errand = Errand(login, script, deadline, operation)
        if login.peer is not None:
            return self._fleet.perform(login.peer, errand)
        return Deferred.fromCoroutine(self._find(errand))

    async def _find(self, errand: Errand[T]) -> T:
        peer = await self._resolver.peer(errand.login.address, errand.deadline, errand.operation)
        return await self._fleet.perform(peer, errand)

    def _login(self, target: Target) -> tuple[IpmiSettings, Login]:
        """
        What the wire needs to know of the settings, worked out once.
        """
        found = self._logins.get(target.endpoint)
        if found is not None and found[0] is target.settings:
            return found
        settings = target.settings
        if not isinstance(settings, IpmiSettings):
            raise TypeError(f"settings of {target.driver} given to {self.name}")
        return self._remember(target.endpoint, settings, Login.of(settings))

    def _remember(self, endpoint: str, settings: IpmiSettings, login: Login) -> tuple[IpmiSettings, Login]:
        if len(self._logins) >= _MANY:
            self._logins.clear()
        self._logins[endpoint] = found = settings, login
        return found


def _listen(reactor: Any, fleet: Fleet, family: AddressFamily) -> Datagrams:
    datagrams = Datagrams(reactor, fleet.received, fleet.unreachable, fleet.crowded, family)
    datagrams.open()
    return datagrams


def driver(reactor: Any, bounds: Bounds | None = None) -> IpmiDriver:
    """
    The driver of a process; its sockets are opened when they are needed.
    """
    fleet = Fleet(
        clock=reactor,
        listen=partial(_listen, reactor),
        entropy=Entropy(os.urandom),
        bounds=bounds or Bounds(),
    )

    def names() -> IHostnameResolver:
        found: IHostnameResolver = reactor.nameResolver
        return found

    return IpmiDriver(reactor, fleet, Resolver(reactor, names))
