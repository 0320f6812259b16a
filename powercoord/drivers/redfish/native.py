# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from attrs import Factory, define, field, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from powercoord.certificates import ICertified, ShownCertificate
from powercoord.drivers.redfish.bmc import Bmc, Errand
from powercoord.drivers.redfish.boot import change_boot
from powercoord.drivers.redfish.discovery import Discovery
from powercoord.drivers.redfish.listening import Listening
from powercoord.drivers.redfish.power import change_power, read_power
from powercoord.drivers.redfish.settings import CONTEXT_NAMES, RedfishSettings, from_context
from powercoord.drivers.redfish.waiting import patiently
from powercoord.drivers.web import Counters, Exchange, Place, sockets
from powercoord.drivers.web.look import look
from powercoord.drivers.web.trust_settings import trust_of
from powercoord.errors import OperationCancelled, PowerConnError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver, IPowerHints
from powercoord.model import Boot, BootDevice, Command, PowerState, Target

T = TypeVar("T")
Script = Callable[[Discovery, str, Errand], Coroutine[Deferred[Any], Any, T]]


@frozen(eq=False)
class Service:
    """
    One Redfish service: what there is, and what it says by itself.
    """

    systems: Discovery
    listening: Listening

    async def close(self) -> None:
        """
        Give everything back.
        """
        self.listening.stop()
        await self.systems.bmc.close()


@implementer(IPowerDriver, IPowerHints, ICertified)
@define(eq=False)
class RedfishDriver:
    """
    Redfish services, each with one connection, one login and one operation at a time.

    Every operation may be cancelled, politely and hard, at any time. A politely cancelled
    one ends at once unless a change is on its way; then it waits for its answer. A hard
    cancel closes the connection; the login survives it.
    """

    name = "redfish"
    title = "Redfish"
    settings = RedfishSettings
    capabilities = Capabilities(
        commands=frozenset(Command),
        boot_devices=frozenset(BootDevice),
    )
    context_names: ClassVar[Mapping[str, str]] = CONTEXT_NAMES

    _reactor: Any
    _endpoint: Callable[[Place], IStreamClientEndpoint]
    counters: Counters = Factory(Counters)
    _services: dict[tuple[object, ...], Service] = field(factory=dict, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def target(self, settings: RedfishSettings) -> Target:
        """
        A service may have several systems.
        """
        return Target(self.name, Place.parse(settings.address).text, settings.node_id, settings)

    def from_context(self, context: Mapping[str, Any]) -> RedfishSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: RedfishSettings, command: Command | None) -> float:
        """
        Login, discovery and tasks included, nothing takes longer than the timeout.
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
        state = await self._perform(target, operation, read_power)
        self._service(self._settings(target)).listening.may_begin()
        return state

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

    def watch(self, target: Target, hint: Callable[[], None]) -> Callable[[], None]:
        """
        See `IPowerHints`: by server-sent events, where they are wanted and offered.
        """
        settings = self._settings(target)
        if not settings.events or self._closed:
            return _nothing
        return self._service(settings).listening.add(target.selector, hint)

    async def certificate(self, target: Target) -> ShownCertificate:
        """
        See `ICertified`.
        """
        settings = self._settings(target)
        place, trust = Place.parse(settings.address), trust_of(settings)
        return await look(self._reactor, self._endpoint, place, trust, settings.timeout)

    async def close(self) -> None:
        """
        End all sessions and connections, all at once.
        """
        self._closed = True
        services, self._services = self._services, {}
        await gatherResults([Deferred.fromCoroutine(each.close()) for each in services.values()])

    async def _perform(self, target: Target, operation: IOperation, script: Script[T]) -> T:
        settings = self._settings(target)
        if self._closed:
            raise PowerConnError(f"{target.endpoint}: closed by us")
        if operation.cancelled:
            raise OperationCancelled
        systems = self._service(settings).systems
        until = min(operation.deadline, self._reactor.seconds() + settings.timeout)
        turns = systems.bmc.turns
        await patiently(self._reactor, turns.acquire(), operation, until, systems.bmc.what)
        try:
            return await script(systems, target.selector, Errand(operation, until))
        finally:
            turns.release()

    def _settings(self, target: Target) -> RedfishSettings:
        if not isinstance(target.settings, RedfishSettings):
            raise TypeError(f"settings of {target.driver} given to {self.name}")
        return target.settings

    def _service(self, settings: RedfishSettings) -> Service:
        """
        The service that these settings speak of; with another password it is another.
        """
        place, trust = Place.parse(settings.address), trust_of(settings)
        key = place, trust, settings.username, settings.password
        if key not in self._services:
            exchange = Exchange(self._reactor, place, trust, self._endpoint, counters=self.counters)
            systems = Discovery(Bmc(self._reactor, exchange, settings.username, settings.password))
            self._services[key] = Service(systems, Listening(systems.bmc, systems.place))
        return self._services[key]


def _nothing() -> None:
    """
    There is nothing to stop.
    """


def driver(reactor: Any) -> RedfishDriver:
    """
    The driver of a process; its connections are opened when they are needed.
    """
    return RedfishDriver(reactor, sockets(reactor))
