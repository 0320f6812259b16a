# SPDX-License-Identifier: MIT
"""
A hypervisor in libvirt's own protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from powercoord.drivers.virsh import procedures
from powercoord.drivers.virsh.conversation import Conversation, Refusal
from powercoord.drivers.virsh.guests import Guest, IHypervisor, NoSuchGuest, Seen
from powercoord.drivers.virsh.line import Dial, Line
from powercoord.drivers.virsh.login import meaning, misread
from powercoord.drivers.virsh.place import Place
from powercoord.drivers.virsh.procedures import ErrorCode, Procedure
from powercoord.drivers.virsh.xdr import Malformed
from powercoord.errors import PowerUnsupportedError
from powercoord.model import Command

T = TypeVar("T")
#: As `VirshSettings.selector` writes it.
_UUID_LENGTH = 36

_Hint = Callable[[frozenset[str]], None]


@implementer(IHypervisor)
@define(eq=False)
class NativeHypervisor:
    """
    One line to the daemon, and what is known of the guests behind it.

    A name is believed only together with the answer to the question: guests can be renamed.
    """

    _line: Line
    _hints: dict[object, _Hint]
    _known: dict[str, Guest] = field(factory=dict, init=False)
    _known_to: Conversation | None = field(default=None, init=False)
    _one_by_one: bool = field(default=False, init=False)

    @classmethod
    def at(cls, clock: IReactorTime, place: Place, dial: Dial) -> NativeHypervisor:
        """
        One at a place; nothing is opened yet.
        """
        hints: dict[object, _Hint] = {}

        def tell(names: frozenset[str]) -> None:
            for hint in tuple(hints.values()):
                hint(names)

        return cls(Line(clock, place.name, place.daemon_uri, dial, tell, lambda: bool(hints)), hints)

    async def states(self, domains: Sequence[str]) -> Mapping[str, Seen]:
        """
        See `IHypervisor`.
        """
        conversation = await self._conversation()
        guests = [guest for domain in domains if (guest := self._known.get(domain))]
        if len(guests) == len(domains):
            found = await self._look(conversation, guests)
            if all(domain in found for domain in domains):
                return {domain: found[domain] for domain in domains}
        # Somebody is new, gone, or has another name now.
        everybody = await self._look(conversation, ())
        self._known = {name: seen.guest for name, seen in everybody.items()}
        return {domain: everybody[domain] for domain in domains if domain in everybody}

    async def find(self, domain: str) -> Guest:
        """
        See `IHypervisor`.
        """
        conversation = await self._conversation()
        uuid = _uuid(domain)
        procedure, argument = (
            (Procedure.DOMAIN_LOOKUP_BY_NAME, procedures.name_argument(domain))
            if uuid is None
            else (Procedure.DOMAIN_LOOKUP_BY_UUID, procedures.uuid_argument(uuid))
        )
        try:
            return self._read(
                conversation, procedures.read_guest, await conversation.call(procedure, argument)
            )
        except Refusal as refusal:
            if refusal.error.code == ErrorCode.NO_DOMAIN:
                raise NoSuchGuest(f"{self._line.name} has no guest {domain}") from None
            raise meaning(refusal, f"{self._line.name}: looking for {domain}") from None

    async def act(self, guest: Guest, command: Command, leaving: Callable[[], None]) -> None:
        """
        See `IHypervisor`.
        """
        conversation = await self._conversation()
        try:
            await conversation.call(
                procedures.OF_COMMAND[command], procedures.guest_with_flags(guest), leaving
            )
        except Refusal as refusal:
            raise meaning(refusal, f"{self._line.name}: {command.value} of {guest.name}") from None

    def watch(self, hint: _Hint) -> Callable[[], None]:
        """
        See `IHypervisor`.
        """
        key = object()
        self._hints[key] = hint

        def stop() -> None:
            self._hints.pop(key, None)

        return stop

    async def close(self) -> None:
        """
        See `IHypervisor`.
        """
        self._hints.clear()
        await self._line.close()

    async def _conversation(self) -> Conversation:
        """
        What was known on another line is not believed on this one.
        """
        conversation = await self._line.conversation()
        if conversation is not self._known_to:
            self._known_to, self._known, self._one_by_one = conversation, {}, False
        return conversation

    async def _look(self, conversation: Conversation, guests: Sequence[Guest]) -> dict[str, Seen]:
        """
        In one call; a guest that is gone empties the answer.

        None in particular: all. Those who are busy dying keep the answer to that waiting.
        """
        try:
            if self._one_by_one:
                return await self._each(conversation, guests)
            arguments = procedures.stats_arguments(guests)
            body = await conversation.call(Procedure.CONNECT_GET_ALL_DOMAIN_STATS, arguments)
            return _by_name(self._read(conversation, procedures.read_stats, body))
        except Refusal as refusal:
            error = meaning(refusal, f"{self._line.name}: reading states")
        if isinstance(error, NoSuchGuest):
            return {}
        if isinstance(error, PowerUnsupportedError) and not self._one_by_one:
            self._one_by_one = True
            return await self._look(conversation, guests)
        raise error

    async def _each(self, conversation: Conversation, guests: Sequence[Guest]) -> dict[str, Seen]:
        """
        Where a hypervisor has no call for many (all but QEMU and the test driver, in some versions).
        """
        if not guests:
            body = await conversation.call(Procedure.CONNECT_LIST_ALL_DOMAINS, procedures.list_arguments())
            guests = self._read(conversation, procedures.read_list, body)
        found: list[Seen] = []
        for guest in guests:
            body = await conversation.call(Procedure.DOMAIN_GET_STATE, procedures.guest_with_flags(guest))
            found.append(Seen(guest, self._read(conversation, procedures.read_state, body)))
        return _by_name(found)

    def _read(self, conversation: Conversation, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return read(body)
        except Malformed as error:
            conversation.fail(misread(self._line.name, error))
            raise misread(self._line.name, error) from None


def _by_name(many: Iterable[Seen]) -> dict[str, Seen]:
    """
    By all that they can be asked for.
    """
    many = list(many)
    return {seen.guest.name: seen for seen in many} | {str(seen.guest.uuid): seen for seen in many}


def _uuid(domain: str) -> UUID | None:
    try:
        return UUID(domain) if len(domain) == _UUID_LENGTH else None
    except ValueError:
        return None
