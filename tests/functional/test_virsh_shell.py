# SPDX-License-Identifier: MIT
"""
Hypervisors through the virsh program, with a real libvirtd and real guests.
"""

from __future__ import annotations

import signal
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from powercoord.drivers.virsh.guests import Guest, GuestState, NoSuchGuest, WrongState
from powercoord.drivers.virsh.place import Hypervisor, Transport
from powercoord.drivers.virsh.settings import VirshSettings
from powercoord.model import Command
from tests.functional.libvirt_guest import NEVER_OFF
from tests.functional.virsh_driver_case import shared_host
from tests.functional.virsh_shell_case import VirshShellCase, children, nothing, reactor


class GuestTests(VirshShellCase):
    """
    Guests under QEMU.
    """

    def setUp(self) -> None:
        self.host = shared_host(type(self).__module__)

    async def test_verbs(self) -> None:
        """
        On, reset, soft-off and off do what they say, to the guest that is meant and to no other.
        """
        guest, other = self.host.define("one"), self.host.define("two")
        hypervisor = self.speak()
        mine = await hypervisor.find("one")
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

        self.assertEqual(Guest("one", UUID(guest.uuid)), mine)
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
        defined = self.host.define_many([f"g{number}" for number in range(len(names))])
        guests = dict(zip(names, defined, strict=True))
        for name, guest in guests.items():
            self.host.virsh("domrename", guest.uuid, f"--new-name={name}")
        self.host.virsh("start", guests["semi;colon"].uuid)
        hypervisor = self.speak()
        seen = await hypervisor.states([*names, "nobody"])
        self.host.virsh("domrename", guests["1"].uuid, "first")
        self.host.virsh("domrename", guests["ü"].uuid, "1")
        again = await hypervisor.states(["1"])

        self.assertEqual(set(names), set(seen))
        for name, guest in guests.items():
            expected = GuestState.RUNNING if name == "semi;colon" else GuestState.SHUTOFF
            self.assertEqual(
                (name, guest.uuid, expected), (name, str(seen[name].guest.uuid), seen[name].state)
            )
        self.assertEqual(guests["ü"].uuid, str(again["1"].guest.uuid))

    async def test_forty(self) -> None:
        """
        The states of many guests are one command, whose line is longer than any terminal.
        """
        guests = self.host.define_many([f"many{number:02d}" for number in range(40)])
        self.host.virsh("start", guests[7].uuid)
        hypervisor = self.speak()
        await hypervisor.states([guest.name for guest in guests])
        seen = await hypervisor.states([guest.name for guest in guests])

        running = [name for name, each in seen.items() if each.state is GuestState.RUNNING]
        self.assertEqual((40, ["many07"]), (len(seen), running))

    async def test_reads_pass_an_end(self) -> None:
        """
        While a guest is being ended another is read and started.
        """
        dying, other = self.host.define("dying"), self.host.define("other")
        dying.start()
        hypervisor = self.speak()
        seen = await hypervisor.states(["dying", "other"])
        # It cannot hear that it shall end, and libvirt waits for that for ten seconds.
        dying.signal(signal.SIGSTOP)
        ending = Deferred.fromCoroutine(hypervisor.act(seen["dying"].guest, Command.OFF, nothing))
        await hypervisor.act(seen["other"].guest, Command.ON, nothing)
        state = (await hypervisor.states(["other"]))["other"].state
        early = not ending.called
        dying.signal(signal.SIGCONT)
        await ending

        self.assertEqual((GuestState.RUNNING, True), (state, early))
        self.assertTrue(other.runs())

    async def test_hints(self) -> None:
        """
        Who watches is told that a guest has ended, by its name and its UUID, and nothing once he has left.
        """
        guest = self.host.define("watched")
        guest.start()
        hypervisor = self.speak()
        hints: list[frozenset[str]] = []
        leave = hypervisor.watch(hints.append)
        await hypervisor.states(["watched"])
        while not hints:
            # It takes a moment until virsh listens; each event until then is for nobody.
            self.host.virsh("suspend", guest.uuid)
            self.host.virsh("resume", guest.uuid)
            await deferLater(reactor, 0.05)
        await deferToThread(guest.destroy)
        await self.seen(lambda: guest.state() == "shut off", "it is off")
        await deferLater(reactor, 0.1)
        told = list(hints)
        leave()
        self.host.virsh("start", guest.uuid)
        await deferLater(reactor, 0.2)

        self.assertEqual({frozenset(("watched", guest.uuid))}, set(told))
        self.assertEqual([], [hint for hint in hints[len(told) :] if hint])


class TestDriverTests(VirshShellCase):
    """
    libvirt's test driver, inside of virsh itself.
    """

    async def test_local(self) -> None:
        """
        A hypervisor that lives in a virsh keeps its state from one operation to the next.
        """
        place = VirshSettings(
            domain="test", hypervisor=Hypervisor.TEST, transport=Transport.LOCAL, instance="default"
        ).place()
        hypervisor = self.speak(place)
        guest = await hypervisor.find("test")
        states = []
        for command in (Command.OFF, Command.ON, Command.SOFT):
            await hypervisor.act(guest, command, nothing)
            states.append((await hypervisor.states([str(guest.uuid)]))[str(guest.uuid)].state)

        self.assertEqual([GuestState.SHUTOFF, GuestState.RUNNING, GuestState.SHUTOFF], states)
        self.assertEqual(1, len(children("virsh")))
