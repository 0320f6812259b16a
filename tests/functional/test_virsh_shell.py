# SPDX-License-Identifier: MIT
"""
Hypervisors through the virsh program, with a real libvirtd and real guests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from powercoord.drivers.virsh.guests import Guest, GuestState, NoSuchGuest, WrongState
from powercoord.drivers.virsh.place import Place
from powercoord.drivers.virsh.settings import VirshSettings
from powercoord.drivers.virsh.shell import shell_hypervisor
from powercoord.errors import PowerAuthError, PowerConnError
from powercoord.model import Command
from tests.functional import sshd_peer
from tests.functional.libvirt_guest import NEVER_OFF, OBEYING, slow
from tests.functional.libvirt_peer import MISSING, LibvirtHost, gone, until


def nothing() -> None:
    """
    Nobody is told that it leaves.
    """


def children(name: str) -> list[int]:
    """
    Our own child processes of a name.
    """
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in mine if Path(f"/proc/{pid}/comm").read_text().strip() == name]


class ShellCase(TestCase):
    """
    A libvirtd, and a hypervisor that is spoken to by virsh.
    """

    timeout = 60
    skip = MISSING

    def setUp(self) -> None:
        self.host = LibvirtHost()
        self.addCleanup(self.host.close)
        self.host.start()

    def place(self, **more: Any) -> Place:
        settings = {"domain": "any", "instance": "session", "socket": self.host.socket, "through_virsh": True}
        return VirshSettings(**settings | more).place()

    def speak(self, place: Place | None = None) -> Any:
        """
        The hypervisor, which leaves no process behind.
        """
        hypervisor = shell_hypervisor(reactor, place or self.place())

        async def close() -> None:
            await hypervisor.close()
            self.assertEqual([], children("virsh"))

        self.addCleanup(lambda: Deferred.fromCoroutine(close()))
        return hypervisor

    async def seen(self, what: Callable[[], bool], why: str) -> None:
        """
        Wait while the reactor turns.
        """
        await deferToThread(until, what, why)


class GuestTests(ShellCase):
    async def test_verbs(self) -> None:
        """
        On, reset, soft-off and off do what they say, to the guest that is meant and to no other.
        """
        guest, other = self.host.define("a", OBEYING), self.host.define("b", OBEYING)
        hypervisor = self.speak()
        mine = await hypervisor.find("a")
        left: list[str] = []

        await hypervisor.act(mine, Command.ON, lambda: left.append("on"))
        await self.seen(lambda: guest.starts() == 1, "it starts")
        await hypervisor.act(mine, Command.RESET, lambda: left.append("reset"))
        await self.seen(lambda: guest.starts() == 2, "it starts again")
        await hypervisor.act(mine, Command.SOFT, lambda: left.append("soft"))
        await self.seen(lambda: guest.state() == "shut off", "it ends")
        graceful = guest.reason()
        await hypervisor.act(mine, Command.ON, nothing)
        await hypervisor.act(mine, Command.OFF, nothing)

        self.assertEqual(Guest("a", UUID(guest.uuid)), mine)
        self.assertEqual(["on", "reset", "soft"], left)
        self.assertEqual("shut off (shutdown)", graceful)
        self.assertEqual(("shut off (destroyed)", False), (guest.reason(), guest.runs()))
        self.assertEqual(("shut off (unknown)", 0), (other.reason(), other.starts()))

    async def test_paused(self) -> None:
        """
        A paused guest is seen as such, and off really ends it.
        """
        guest = self.host.define("paused", NEVER_OFF)
        guest.start()
        guest.pause()
        hypervisor = self.speak()
        seen = (await hypervisor.states(["paused"]))["paused"]
        soft = await self.error(hypervisor.act(seen.guest, Command.SOFT, nothing))
        await hypervisor.act(seen.guest, Command.OFF, nothing)

        self.assertIs(GuestState.PAUSED, seen.state)
        self.assertIsInstance(soft, WrongState)
        self.assertFalse(guest.runs())

    async def test_wrong_state(self) -> None:
        """
        What does not fit the guest's state is told as such, and a guest that is gone as gone.
        """
        guest = self.host.define("off")
        hypervisor = self.speak()
        mine = await hypervisor.find(guest.uuid)
        for command in (Command.OFF, Command.SOFT, Command.RESET):
            self.assertIsInstance(await self.error(hypervisor.act(mine, command, nothing)), WrongState)
        guest.start()
        self.assertIsInstance(await self.error(hypervisor.act(mine, Command.ON, nothing)), WrongState)
        guest.destroy()
        guest.undefine()

        self.assertIsInstance(await self.error(hypervisor.act(mine, Command.ON, nothing)), NoSuchGuest)
        self.assertIsInstance(await self.error(hypervisor.find("off")), NoSuchGuest)
        self.assertEqual({}, await hypervisor.states(["off"]))

    async def test_many(self) -> None:
        """
        Guests are told apart by any name that libvirt allows, also one that is another's number.
        """
        names = ["1", "a b   running", 'it\'s "quoted"', "semi;colon", "tab\\t", "ü", "x" * 60, "-q"]
        guests = {name: self.host.define(f"g{n}") for n, name in enumerate(names)}
        for name, guest in guests.items():
            self.host.virsh("domrename", guest.uuid, f"./{name}"[2:] if name != "-q" else "--new-name=-q")
        self.host.virsh("start", guests["semi;colon"].uuid)
        hypervisor = self.speak()
        seen = await hypervisor.states([*names, "nobody"])
        self.host.virsh("domrename", guests["1"].uuid, "one")
        self.host.virsh("domrename", guests["ü"].uuid, "1")
        again = await hypervisor.states(["1"])

        self.assertEqual(set(names), set(seen))
        for name, guest in guests.items():
            expected = GuestState.RUNNING if name == "semi;colon" else GuestState.SHUTOFF
            self.assertEqual(
                (name, guest.uuid, expected), (name, str(seen[name].guest.uuid), seen[name].state)
            )
        self.assertEqual(guests["ü"].uuid, str(again["1"].guest.uuid))

    async def error(self, work: Any) -> Exception:
        try:
            await work
        except Exception as error:
            return error
        raise AssertionError("no error")
