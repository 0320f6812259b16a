# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.certificates import ICertified, ShownCertificate
from powercoord.drivers.amt.device import Device
from powercoord.drivers.amt.settings import CONTEXT_NAMES, AmtSettings, from_context
from powercoord.drivers.amt.talk import Talk
from powercoord.drivers.web import Bounds, Counters, Exchange, Place, sockets
from powercoord.drivers.web.digest import Digest
from powercoord.drivers.web.look import look
from powercoord.drivers.web.trust_settings import trust_of
from powercoord.errors import PowerConnError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState, Target

T = TypeVar("T")
_log = Logger()

#: An answer of AMT has some kilobytes; and its connections are few, so that one is not kept for long.
BOUNDS = Bounds(body=1 << 18, head=1 << 14, idle=4.0)
_MANY = 10_000


@implementer(IPowerDriver, ICertified)
@define(eq=False)
class AmtDriver:
    """
    WS-Management with HTTP digest, over a connection that is kept while it is used.

    Every operation may be cancelled, politely and hard, at any time. A politely cancelled one ends at once
    unless a change is on its way; then it waits for its answer, and sends nothing more. A hard cancel
    closes the connection.

    :param endpoint: makes the endpoint of a place, without TLS.
    :param random: that many bytes that nobody can guess.
    :param counters: what happened on the wire.
    :param most: as many devices are remembered.
    """

    name = "amt"
    title = "Intel AMT"
    settings = AmtSettings
    context_names = CONTEXT_NAMES
    capabilities = Capabilities(commands=frozenset(Command), boot_devices=frozenset(BootDevice))

    _clock: Any
    _endpoint: Callable[[Place], IStreamClientEndpoint]
    _random: Callable[[int], bytes] = field(repr=False)
    counters: Counters = Factory(Counters)
    most: int = _MANY
    _devices: dict[AmtSettings, Device] = field(factory=dict, init=False, repr=False)
    _leaving: set[Deferred[None]] = field(factory=set, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def target(self, settings: AmtSettings) -> Target:
        """
        A device is one machine.
        """
        return Target(self.name, settings.endpoint, "", settings)

    def from_context(self, context: Mapping[str, Any]) -> AmtSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: AmtSettings, command: Command | None) -> float:
        """
        Logging in and all messages included, nothing takes longer than the timeout.
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
        return await self._perform(target, operation, Talk.read_power)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        await self._perform(target, operation, lambda talk: talk.change_power(command))

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        await self._perform(target, operation, lambda talk: talk.set_boot(boot))

    async def certificate(self, target: Target) -> ShownCertificate:
        """
        See `ICertified`.
        """
        settings = self._settings(target)
        return await look(self._clock, self._endpoint, settings.place, trust_of(settings), settings.timeout)

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        self._closed = True
        devices, self._devices = self._devices, {}
        closing = [Deferred.fromCoroutine(device.close()) for device in devices.values()]
        await gatherResults([*closing, *self._leaving])

    async def _perform(
        self, target: Target, operation: IOperation, script: Callable[[Talk], Awaitable[T]]
    ) -> T:
        settings = self._settings(target)
        if self._closed:
            raise PowerConnError(f"{settings.place.text}: the driver is closed")
        until = min(operation.deadline, self._clock.seconds() + settings.timeout)
        device = self._device(settings)
        await device.enter(operation, until)
        try:
            return await script(Talk(device, operation, until))
        finally:
            device.leave()

    def _settings(self, target: Target) -> AmtSettings:
        settings = target.settings
        if not isinstance(settings, AmtSettings):
            raise TypeError(f"settings of {target.driver} given to {self.name}")
        return settings

    def _device(self, settings: AmtSettings) -> Device:
        """
        What is known of a device; with other settings, nothing.
        """
        found = self._devices.get(settings)
        if found is None:
            self._make_room()
            found = self._devices[settings] = self._new(settings)
        return found

    def _make_room(self) -> None:
        """
        Forget one that nobody speaks to.
        """
        if len(self._devices) >= self.most:
            idle = next((key for key, device in self._devices.items() if not device.busy), None)
            if idle is not None:
                self._leave(self._devices.pop(idle))

    def _leave(self, device: Device) -> None:
        """
        Close one in the background; `close` waits for it.
        """

        def over(result: object) -> None:
            self._leaving.discard(leaving)
            if isinstance(result, Failure):
                _log.failure("closing a device that is forgotten", result)

        leaving = Deferred.fromCoroutine(device.close())
        self._leaving.add(leaving)
        leaving.addBoth(over)

    def _new(self, settings: AmtSettings) -> Device:
        place = settings.place
        exchange = Exchange(self._clock, place, trust_of(settings), self._endpoint, BOUNDS, self.counters)
        digest = Digest(settings.username, settings.password, lambda: self._random(16).hex())
        return Device(place.text, self._clock, exchange, digest)


def driver(reactor: Any) -> AmtDriver:
    """
    The driver of a process; nothing is opened yet.
    """
    return AmtDriver(reactor, sockets(reactor), os.urandom)
