# SPDX-License-Identifier: MIT
"""
A hypervisor through the virsh program, where libvirt's own protocol does not reach: ESX, VirtualBox, TLS ….

Several are kept running, because starting one costs more than a hundred of its
answers: see `powercoord.drivers.virsh.shell_lane`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from shutil import which
from types import MappingProxyType
from typing import Any

from attrs import define, field
from zope.interface import implementer

from powercoord.drivers.virsh import shell_lists
from powercoord.drivers.virsh.guests import Guest, IHypervisor, NoSuchGuest, Seen
from powercoord.drivers.virsh.place import Hypervisor, Place, Transport
from powercoord.drivers.virsh.shell_child import Program, Shell
from powercoord.drivers.virsh.shell_events import Events, Hint
from powercoord.drivers.virsh.shell_framing import Answer
from powercoord.drivers.virsh.shell_lane import Lane
from powercoord.drivers.virsh.shell_meanings import failed
from powercoord.drivers.virsh.shell_ssh import SshScript
from powercoord.drivers.virsh.shell_uri import environment, uri
from powercoord.errors import PowerActionError, PowerToolError, PowerUnsupportedError
from powercoord.model import Command

#: A shell does one thing after the other. A read waits as long as the guest it asks about is being ended, and
#: an end takes seconds, so there are two for the one and four for the other.
READERS, ACTORS = 2, 4

#: All are asked for by UUID: a name could be taken for another guest's number.
WORDS_OF: Mapping[Command, str] = MappingProxyType(
    {Command.ON: "start", Command.OFF: "destroy", Command.SOFT: "shutdown", Command.RESET: "reset"}
)


@implementer(IHypervisor)
@define(eq=False)
class ShellHypervisor:
    """
    What is known of the guests, and who is asked about them.

    :param script: the ssh that libvirt runs, taken away at the end.
    """

    _name: str
    _reading: Lane
    _acting: Lane
    _events: Events
    _script: SshScript
    _known: dict[str, Guest] = field(factory=dict, init=False)
    _by_table: bool = field(default=False, init=False)

    async def states(self, domains: Sequence[str]) -> Mapping[str, Seen]:
        """
        See `IHypervisor`.
        """
        return await self._states(self._reading, domains)

    async def find(self, domain: str) -> Guest:
        """
        See `IHypervisor`. Whoever acts does not wait behind reads.
        """
        seen = (await self._states(self._acting, [domain])).get(domain)
        if seen is None:
            raise NoSuchGuest(f"{self._name} has no guest {domain}")
        return seen.guest

    async def act(self, guest: Guest, command: Command, leaving: Callable[[], None]) -> None:
        """
        See `IHypervisor`.
        """
        answer = await self._acting.ask(f"{WORDS_OF[command]} {guest.uuid}", leaving=leaving)
        self._check(answer, changes=True)

    def watch(self, hint: Hint) -> Callable[[], None]:
        """
        See `IHypervisor`.
        """

        def tell(names: frozenset[str]) -> None:
            guests = {self._known[name] for name in names if name in self._known}
            hint(names | {str(guest.uuid) for guest in guests})

        return self._events.watch(tell)

    async def close(self) -> None:
        """
        See `IHypervisor`.
        """
        await self._events.close()
        await self._reading.close()
        await self._acting.close()
        self._script.remove()

    async def _states(self, lane: Lane, domains: Sequence[str]) -> Mapping[str, Seen]:
        """
        Who is known is asked for by UUID, and believed only if the name still fits.
        """
        if not self._by_table and all(domain in self._known for domain in domains):
            seen = await self._by_stats(lane, {domain: self._known[domain] for domain in domains})
            if seen is not None:
                return seen
        if not self._by_table:
            await self._list(lane)
            known = {domain: self._known[domain] for domain in domains if domain in self._known}
            seen = await self._by_stats(lane, known)
            if seen is not None:
                return seen
        if self._by_table:
            return await self._by_listing(lane, domains)
        raise PowerActionError(f"{self._name}: guests came, went or were renamed while they were asked for")

    async def _list(self, lane: Lane) -> None:
        answer = await lane.ask(shell_lists.LISTING)
        self._check(answer)
        self._know(shell_lists.guests(answer.lines))

    async def _by_stats(self, lane: Lane, wanted: Mapping[str, Guest]) -> Mapping[str, Seen] | None:
        """
        In one call; None if the guests are not what they were, or if it cannot be asked like that.
        """
        guests = sorted(set(wanted.values()), key=lambda guest: guest.uuid)
        if not guests:
            return {}
        answer = await lane.ask(*shell_lists.stats(guests))
        try:
            self._check(answer)
        except NoSuchGuest:
            return None
        except PowerUnsupportedError:
            self._by_table = True
            return None
        seen = shell_lists.states(answer.lines, guests)
        return None if seen is None else {domain: seen[guest.uuid] for domain, guest in wanted.items()}

    async def _by_listing(self, lane: Lane, domains: Sequence[str]) -> Mapping[str, Seen]:
        answer = await lane.ask(shell_lists.LISTING, shell_lists.TABLE)
        self._check(answer)
        self._know(shell_lists.guests(answer.lines))
        seen = shell_lists.table(answer.lines)
        return {domain: seen[self._known[domain].uuid] for domain in domains if domain in self._known}

    def _know(self, guests: Sequence[Guest]) -> None:
        # A guest whose name is the UUID of another is found by its own UUID only.
        self._known = {guest.name: guest for guest in guests} | {str(guest.uuid): guest for guest in guests}

    def _check(self, answer: Answer, *, changes: bool = False) -> None:
        if answer.failed:
            raise failed(self._name, answer.errors, changes=changes)
        self._events.reachable()


def shell_hypervisor(reactor: Any, place: Place, ours: Mapping[str, str] = os.environ) -> ShellHypervisor:
    """
    The hypervisor at a place; nothing is started yet.
    """
    script = SshScript(place)

    def program() -> Program:
        path = which("virsh", path=ours.get("PATH"))
        if path is None:
            raise PowerToolError(f"{place.name}: the program virsh is missing; install libvirt-clients")
        return Program(path, uri(place, script.path()), environment(ours))

    def start() -> Shell:
        shell = Shell(reactor, _marker)
        program().spawn(reactor, shell)
        return shell

    # The guests of libvirt's test driver live in the one process that has made them up.
    alone = place.transport is Transport.LOCAL and place.hypervisor is Hypervisor.TEST
    acting = Lane(reactor, place.name, 1 if alone else ACTORS, start)
    reading = acting if alone else Lane(reactor, place.name, READERS, start)
    return ShellHypervisor(place.name, reading, acting, Events(reactor, program), script)


def _marker() -> str:
    return secrets.token_hex(16)
