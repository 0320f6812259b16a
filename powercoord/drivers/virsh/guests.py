# SPDX-License-Identifier: MIT
"""
A hypervisor as the driver sees it, however it is spoken to.
"""
# ruff: noqa: N805 - methods of an Interface have no self.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from uuid import UUID

from attrs import frozen
from zope.interface import Interface

from powercoord.errors import PowerFatalError, PowerRefusedError
from powercoord.model import Command, PowerState


class GuestState(IntEnum):
    """
    What libvirt says of a guest, with its numbers (virDomainState).
    """

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


#: The words of virsh.
WORDS: Mapping[GuestState, str] = MappingProxyType(
    {
        GuestState.NOSTATE: "no state",
        GuestState.RUNNING: "running",
        GuestState.BLOCKED: "idle",
        GuestState.PAUSED: "paused",
        GuestState.SHUTDOWN: "in shutdown",
        GuestState.SHUTOFF: "shut off",
        GuestState.CRASHED: "crashed",
        GuestState.PMSUSPENDED: "pmsuspended",
    }
)

#: A paused, sleeping or dying guest still owns its memory and its disks, so it is on. So does a crashed one,
#: kept as it is until somebody ends it (``on_crash=preserve``): it cannot be started, only off ends it. One
#: that crashed and is gone is "shut off". No state is no answer.
POWER: Mapping[GuestState, PowerState] = MappingProxyType(
    {
        GuestState.RUNNING: PowerState.ON,
        GuestState.BLOCKED: PowerState.ON,
        GuestState.PAUSED: PowerState.ON,
        GuestState.SHUTDOWN: PowerState.ON,
        GuestState.PMSUSPENDED: PowerState.ON,
        GuestState.SHUTOFF: PowerState.OFF,
        GuestState.CRASHED: PowerState.ON,
    }
)


@frozen
class Guest:
    """
    One guest. Its name can be given to another; its UUID cannot.
    """

    name: str
    uuid: UUID


@frozen
class Seen:
    """
    A guest, and what it was when somebody looked.
    """

    guest: Guest
    state: GuestState


class NoSuchGuest(PowerFatalError):
    """
    The hypervisor has no guest of that name or UUID.
    """


class WrongState(PowerRefusedError):
    """
    The hypervisor says that the guest is not in a state for that; nothing was changed.
    """


class IHypervisor(Interface):
    """
    One hypervisor, spoken to for all of its guests. Its methods may be called at once, any number of times.

    All ``async`` methods open what they need, and raise what `IPowerDriver` may raise, and the two
    errors above. Cancelling the Deferred of one ends that one, and disturbs no other: what has left is
    not called back by that, its answer is dropped.
    """

    async def states(domains: Sequence[str]) -> Mapping[str, Seen]:
        """
        What these guests are, by the name or UUID that was asked for; whom it does not know is missing.

        One call to the hypervisor, however many they are.
        """

    async def find(domain: str) -> Guest:
        """
        Who is called that just now; asked for before each command, because names change hands.

        :raises NoSuchGuest: nobody.
        """

    async def act(guest: Guest, command: Command, leaving: Callable[[], None]) -> None:
        """
        Start (``ON``), end (``OFF``), ask to end (``SOFT``) or reset (``RESET``) a guest.

        :param leaving: is called right before the first byte of the change leaves, and not if none does.
        :raises WrongState: "already running", "not running".
        :raises NoSuchGuest: it is gone.
        """

    def watch(hint: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """
        Call ``hint`` when a guest may have changed, until the result is called.

        Opens nothing.

        :param hint: is given the names and UUIDs that the guest is known by; none: it may be any.
        """

    async def close() -> None:
        """
        Give back all that is open, within seconds.
        """
