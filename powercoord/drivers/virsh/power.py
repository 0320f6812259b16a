# SPDX-License-Identifier: MIT
"""
What the driver's operations are made of: a look, and a change whose refusal is settled by a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from powercoord.drivers.virsh.gathered import Gathered
from powercoord.drivers.virsh.guests import (
    POWER,
    WORDS,
    GuestState,
    IHypervisor,
    NoSuchGuest,
    Seen,
    WrongState,
)
from powercoord.errors import PowerActionError, PowerError, PowerRefusedError, PowerSettingError
from powercoord.model import Command, PowerState

_WANTED = {Command.ON: PowerState.ON, Command.OFF: PowerState.OFF, Command.SOFT: PowerState.OFF}

#: In these a guest's operating system does not run, so that it hears nothing.
_DEAF = frozenset((GuestState.PAUSED, GuestState.PMSUSPENDED, GuestState.CRASHED))


@define(eq=False)
class Host:
    """
    A hypervisor, and who reads its guests.

    :param name: for what is said.
    """

    name: str
    hypervisor: IHypervisor
    gathered: Gathered
    watchers: set[object] = field(factory=set, init=False)
    _users: int = field(default=0, init=False)

    @property
    def in_use(self) -> bool:
        """
        Whether anybody watches it, or does something with it.
        """
        return bool(self.watchers or self._users)

    @contextmanager
    def used(self) -> Iterator[None]:
        """
        Somebody does something with it.
        """
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    async def read(self, domain: str) -> PowerState:
        """
        Whether a guest is on or off.

        :raises PowerError: that cannot be said.
        """
        seen = await self._look(domain)
        power = POWER.get(seen.state)
        if power is None:
            raise PowerActionError(f"{self.name}: {domain} is in {WORDS[seen.state]}, neither on nor off")
        return power

    async def change(
        self, domain: str, command: Command, leaving: Callable[[], None], stopped: Callable[[], bool]
    ) -> None:
        """
        Have a command accepted.

        :param stopped: whether nothing new may be sent; then a refusal is not looked into.

        :raises PowerError: it was not.
        """
        try:
            guest = await self.hypervisor.find(domain)
            await self.hypervisor.act(guest, command, leaving)
        except NoSuchGuest as error:
            raise self._nobody(domain, str(error)) from None
        except (WrongState, PowerActionError) as error:
            if stopped():
                raise _plain(error) from None
            await self._settle(domain, command, error)

    async def _settle(self, domain: str, command: Command, error: PowerError) -> None:
        """
        What a hypervisor refuses may be so already: others change guests too.
        """
        try:
            seen = await self._look(domain)
        except PowerError:
            raise _plain(error) from None
        if command in _WANTED and POWER.get(seen.state) is _WANTED[command]:
            return
        if command is Command.SOFT and seen.state in _DEAF:
            raise PowerRefusedError(
                f"{self.name}: {domain} is {WORDS[seen.state]} and cannot hear that it shall end;"
                " resume it first, or force it off"
            )
        if command is Command.RESET and POWER.get(seen.state) is PowerState.OFF:
            raise PowerRefusedError(
                f"{self.name}: {domain} is {WORDS[seen.state]}; only what is on can be reset"
            )
        raise _plain(error)

    async def _look(self, domain: str) -> Seen:
        seen = await self.gathered.read(domain)
        if seen is None:
            raise self._nobody(domain, f"{self.name} has no guest {domain}")
        return seen

    def _nobody(self, domain: str, text: str) -> PowerSettingError:
        return PowerSettingError(f"{text}; domain is the name or UUID that 'virsh list --all' shows there")


def _plain(error: PowerError) -> PowerError:
    """
    As others know it. What the guest's state refused may be accepted a moment later.
    """
    return PowerActionError(str(error)) if isinstance(error, WrongState) else error
