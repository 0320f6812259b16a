# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from powercoord.drivers.virsh.errand import Errand
from powercoord.drivers.virsh.gathered import Gathered
from powercoord.drivers.virsh.guests import IHypervisor
from powercoord.drivers.virsh.hypervisor import NativeHypervisor
from powercoord.drivers.virsh.place import Place, Transport
from powercoord.drivers.virsh.power import Host
from powercoord.drivers.virsh.settings import CONTEXT_NAMES, VirshSettings, from_context
from powercoord.drivers.virsh.shell import shell_hypervisor
from powercoord.drivers.virsh.ssh import SshDial
from powercoord.drivers.virsh.unix import UnixDial
from powercoord.errors import PowerConnError, PowerSettingError, PowerUnsupportedError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver, IPowerHints
from powercoord.model import Boot, Command, PowerState, Target

#: What children are told of our environment, and where a session's daemon listens.
_ENVIRONMENT = ("HOME", "PATH", "SSH_AUTH_SOCK", "USER", "LOGNAME", "XDG_RUNTIME_DIR")

#: Hypervisors that are remembered though nobody uses them now; callers can name any.
_MANY = 1000

_log = Logger(namespace="powercoord.virsh")

Speaks = Callable[[Place, bool], IHypervisor]


@implementer(IPowerDriver, IPowerHints)
@define(eq=False)
class VirshDriver:
    """
    Guests of libvirt, one connection for all of a hypervisor.

    What has been sent is not called back: a politely cancelled operation ends at once only before
    that, else with its answer. A hard cancel drops the answer of that one operation, and what became
    of it is unknown; the connection and all other operations on it go on.

    :param speaks: makes what speaks to a hypervisor, in libvirt's own protocol if the second is true.
    :param many: hypervisors that are remembered though nobody uses them.
    """

    name = "virsh"
    title = "Virsh (libvirt)"
    settings = VirshSettings
    #: A boot device is part of a guest's definition, and that is its owner's; see the decision about it.
    #: Reads gather, see `powercoord.drivers.virsh.gathered`; a few changes wait for each other inside.
    capabilities = Capabilities(commands=frozenset(Command), at_once=16)
    context_names = CONTEXT_NAMES

    _clock: IReactorTime
    _speaks: Speaks
    _runtime_dir: str = ""
    _many: int = _MANY
    _hosts: dict[tuple[Place, bool], Host] = field(factory=dict, init=False)
    _closed: bool = field(default=False, init=False)

    def target(self, settings: VirshSettings) -> Target:
        """
        The endpoint is the hypervisor, the selector its guest.
        """
        place = settings.place(self._runtime_dir)
        if settings.native and not place.sockets:
            raise PowerSettingError(f"socket is missing: {place.name} does not say where its daemon listens")
        return Target(self.name, place.name, settings.selector, settings)

    def from_context(self, context: Mapping[str, Any]) -> VirshSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: VirshSettings, command: Command | None) -> float:
        """
        Connecting included, nothing takes longer than the timeout.
        """
        return settings.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        None for the socket of this host; whoever is reached otherwise says what is missing for that.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        settings, host = self._host(target)
        errand: Errand[PowerState] = self._errand(target, settings, operation, "read")
        with host.used():
            return await errand.run(host.read(target.selector))

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        settings, host = self._host(target)
        errand: Errand[None] = self._errand(target, settings, operation, command.value)
        with host.used():
            await errand.run(
                host.change(target.selector, command, errand.leaving, lambda: operation.cancelled)
            )

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        Nothing is changed in a guest's definition.
        """
        raise PowerUnsupportedError(
            f"{target.endpoint}: boot devices stand in the definition of {target.selector}; use 'virsh edit'"
        )

    def watch(self, target: Target, hint: Callable[[], None]) -> Callable[[], None]:
        """
        See `IPowerHints`: lifecycle events, and a hint to all when a lost connection is there again.
        """
        _, host = self._host(target)

        def tell(names: frozenset[str]) -> None:
            if not names or target.selector in names:
                hint()

        stop = host.hypervisor.watch(tell)
        host.watchers.add(tell)

        def no_more() -> None:
            host.watchers.discard(tell)
            stop()

        return no_more

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        self._closed = True
        hosts, self._hosts = list(self._hosts.values()), {}
        await gatherResults([Deferred.fromCoroutine(_closing(host)) for host in hosts])

    def _make_room(self) -> None:
        """
        Forget those that nobody uses, when there are too many.
        """
        if len(self._hosts) < self._many:
            return
        unused = [key for key, host in self._hosts.items() if not host.in_use]
        for key in unused:
            closing = Deferred.fromCoroutine(_closing(self._hosts.pop(key)))
            closing.addErrback(lambda failure: _log.failure("closing a hypervisor", failure))

    def _errand(
        self, target: Target, settings: VirshSettings, operation: IOperation, doing: str
    ) -> Errand[Any]:
        what = f"{target.endpoint}: {doing} of {target.selector}"
        return Errand(self._clock, operation, what, settings.timeout)

    def _host(self, target: Target) -> tuple[VirshSettings, Host]:
        settings = target.settings
        if not isinstance(settings, VirshSettings):
            raise TypeError(f"settings of {target.driver} given to {self.name}")
        if self._closed:
            raise PowerConnError(f"{target.endpoint}: not spoken to any more, because the coordinator stops")
        key = settings.place(self._runtime_dir), settings.native
        host = self._hosts.get(key)
        if host is None:
            hypervisor = self._speaks(*key)
            host = Host(key[0].name, hypervisor, Gathered(self._clock, hypervisor))
            self._make_room()
            self._hosts[key] = host
        return settings, host


async def _closing(host: Host) -> None:
    await host.hypervisor.close()


def _speak(reactor: Any, environment: Mapping[str, str], place: Place, native: bool) -> IHypervisor:
    if not native:
        return shell_hypervisor(reactor, place)
    if place.transport is Transport.SSH:
        return NativeHypervisor.at(reactor, place, SshDial(reactor, place, environment))
    return NativeHypervisor.at(reactor, place, UnixDial(reactor, place.sockets))


def driver(reactor: Any, environment: Mapping[str, str] = os.environ) -> VirshDriver:
    """
    The driver of a process; what it needs is opened when it is needed.
    """
    known = {name: environment[name] for name in _ENVIRONMENT if name in environment}
    known["LC_ALL"] = "C"
    return VirshDriver(reactor, partial(_speak, reactor, known), known.get("XDG_RUNTIME_DIR", ""))
