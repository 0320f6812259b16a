# SPDX-License-Identifier: MIT
"""
The virsh driver in libvirt's own protocol, with a real libvirtd and real guests.

What a guest really is, is asked of libvirt's own tool, of the guest's process and of the guest itself.
"""

from __future__ import annotations

import signal

from twisted.internet.defer import CancelledError, Deferred

from powercoord.drivers.virsh.place import Hypervisor
from powercoord.errors import (
    PowerConnError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import Command, PowerState
from powercoord.strict import Moment
from tests.functional.libvirt_guest import NEVER_OFF, OBEYING
from tests.functional.libvirt_peer import MISSING, LibvirtHost, until
from tests.functional.virsh_driver_case import VirshDriverCase, reactor

skip = MISSING


class GuestTests(VirshDriverCase):
    """
    Guests under QEMU.
    """

    async def test_all_verbs(self) -> None:
        """
        Each verb does to a guest what it says, and nothing where that is so already; a read tells what it is.
        """
        guest = self.host.define("verbs", OBEYING)
        target = self.target(guest.name)
        await self.command(target, Command.OFF)
        self.assertIs(PowerState.OFF, await self.read(target))

        await self.command(target, Command.ON)
        self.assertEqual("running", guest.state())
        self.assertIs(PowerState.ON, await self.read(target))
        guest.wait_started(1)
        await self.command(target, Command.ON)
        self.assertEqual(1, guest.starts())

        await self.command(target, Command.RESET)
        guest.wait_started(2)

        await self.command(target, Command.SOFT)
        await self.seen(target, PowerState.OFF)
        self.assertEqual("shut off (shutdown)", guest.reason())

        await self.command(self.target(guest.uuid), Command.ON)
        await self.command(self.target(guest.uuid), Command.OFF)
        self.assertEqual("shut off (destroyed)", guest.reason())
        self.assertFalse(guest.runs())

    async def test_never_off_and_paused(self) -> None:
        """
        A soft-off is accepted by one that ignores it and refused by one that is paused, whom off ends really.
        """
        guest = self.host.define("stubborn", NEVER_OFF)
        target = self.target(guest.name)
        guest.start()
        await self.command(target, Command.SOFT)
        self.assertIs(PowerState.ON, await self.read(target))

        guest.pause()
        self.assertIs(PowerState.ON, await self.read(target))
        error = await self.error(self.command(target, Command.SOFT))
        self.assertIsInstance(error, PowerRefusedError)
        self.assertIn("stubborn is paused and cannot hear", str(error))
        await self.command(target, Command.OFF)

        self.assertFalse(guest.runs())
        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_crashed(self) -> None:
        """
        A guest that crashed and is kept is on: its process is there, it cannot be started, and off ends it.
        """
        guest = self.host.define("crasher", OBEYING)
        path = self.host.folder / "crasher.xml"
        xml = path.read_text().replace("<on_crash>destroy", "<on_crash>preserve")
        path.write_text(xml.replace("</devices>", "<panic model='isa'/></devices>"))
        self.host.virsh("define", str(path))
        # mov dx,0x505; mov al,1; out dx,al; hlt: tells of a panic, as a kernel does.
        image = b"\xba\x05\x05\xb0\x01\xee\xf4".ljust(510, b"\0") + b"\x55\xaa"
        (self.host.folder / "crasher.img").write_bytes(image)
        target = self.target(guest.name)

        await self.command(target, Command.ON)
        until(lambda: guest.state() == "crashed", "it crashes")
        self.assertIs(PowerState.ON, await self.read(target))
        self.assertTrue(guest.runs())
        await self.command(target, Command.OFF)

        self.assertFalse(guest.runs())
        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_refused(self) -> None:
        """
        A guest that nobody has is a wrong setting, and one that is off cannot be reset.
        """
        nobody = await self.error(self.read(self.target("nobody")))
        unnamed = await self.error(self.command(self.target("nobody"), Command.OFF))
        guest = self.host.define("off", OBEYING)
        off = await self.error(self.command(self.target(guest.name), Command.RESET))

        for error in (nobody, unnamed):
            self.assertIsInstance(error, PowerSettingError)
            self.assertIn("has no guest nobody", str(error))
        self.assertIsInstance(off, PowerRefusedError)
        self.assertIn("off is shut off", str(off))

    async def test_during_a_destroy(self) -> None:
        """
        While a guest is dying, all others are read and changed.
        """
        dying, other = self.host.define("dying", NEVER_OFF), self.host.define("other", NEVER_OFF)
        dying.start()
        await self.read(self.target(dying.name))
        await self.read(self.target(other.name))

        # It cannot hear that it shall end, and libvirt waits for that for ten seconds.
        dying.signal(signal.SIGSTOP)
        off = Deferred.fromCoroutine(self.command(self.target(dying.name), Command.OFF))
        for _ in range(20):
            self.assertIs(PowerState.OFF, await self.read(self.target(other.name)))
        await self.command(self.target(other.name), Command.ON)
        early = not off.called
        dying.signal(signal.SIGCONT)
        await off

        self.assertTrue(early)
        self.assertEqual([False, True], [dying.runs(), other.runs()])

    async def test_renamed(self) -> None:
        """
        A name that is given to another guest means that one from then on.
        """
        first = self.host.define("first", NEVER_OFF)
        second = self.host.define("second", NEVER_OFF)
        second.start()
        target = self.target("first")
        self.assertIs(PowerState.OFF, await self.read(target))

        second.destroy()
        self.host.virsh("domrename", "first", "spare")
        self.host.virsh("domrename", "second", "first")
        second.start()

        self.assertIs(PowerState.ON, await self.read(target))
        await self.command(target, Command.OFF)
        self.assertEqual("shut off", second.state())
        self.assertEqual(0, first.starts())

    async def test_hints(self) -> None:
        """
        Whoever watches a guest is told when something happens to it, and only then.
        """
        guest, other = self.host.define("watched", OBEYING), self.host.define("unwatched", OBEYING)
        hints: list[str] = []
        stops = [
            self.driver.watch(self.target(name), lambda name=name: hints.append(name))
            for name in (guest.name, guest.uuid, other.name)
        ]
        await self.read(self.target(guest.name))

        guest.start()
        await self.read(self.target(guest.name))
        self.assertIn(guest.name, hints)
        self.assertIn(guest.uuid, hints)
        self.assertNotIn(other.name, hints)
        for stop in stops:
            stop()
        hints.clear()
        guest.destroy()
        await self.read(self.target(guest.name))

        self.assertEqual([], hints)

    async def test_hard_cancel(self) -> None:
        """
        A torn down off is carried out all the same, and disturbs nobody on the connection.
        """
        guest, other = self.host.define("torn", NEVER_OFF), self.host.define("calm", NEVER_OFF)
        guest.start()
        target = self.target(guest.name)
        await self.read(target)
        operation = self.operation()
        call = Deferred.fromCoroutine(self.driver.command(target, Command.OFF, operation))
        while not operation.announced:
            await self.wait(0.001)
        call.cancel()
        await self.assertFailure(call, CancelledError)

        self.assertIs(PowerState.OFF, await self.read(self.target(other.name)))
        await self.seen(target, PowerState.OFF)
        await self.wait(0.1)
        self.assertIs(PowerState.OFF, await self.read(target))


class TestDriverTests(VirshDriverCase):
    """
    libvirt's own simulated guests, inside its daemon.
    """

    async def test_all_verbs(self) -> None:
        """
        The test driver's guest obeys, and what it refuses in other words than QEMU is settled all the same.
        """
        self.host = LibvirtHost()
        self.addCleanup(self.host.close)
        self.host.start()
        self.host.keep_test_guests()
        target = self.target("test", hypervisor=Hypervisor.TEST, instance="default")

        self.assertIs(PowerState.ON, await self.read(target))
        await self.command(target, Command.ON)
        await self.command(target, Command.RESET)
        await self.command(target, Command.SOFT)
        self.assertEqual("shut off", self.host.virsh("domstate", "test", uri=self.host.test_uri).strip())
        await self.command(target, Command.SOFT)
        await self.command(target, Command.OFF)
        self.assertIs(PowerState.OFF, await self.read(target))
        await self.command(target, Command.ON)

        self.assertIs(PowerState.ON, await self.read(target))


class LossTests(VirshDriverCase):
    """
    A daemon that dies, hangs, or is not there.
    """

    async def test_restarted(self) -> None:
        """
        A lost connection is opened again by the next need, and then everybody looks again.
        """
        guest = self.host.define("survivor", NEVER_OFF)
        guest.start()
        target = self.target(guest.name)
        hints: list[float] = []
        self.driver.watch(target, lambda: hints.append(reactor.seconds()))
        self.assertIs(PowerState.ON, await self.read(target))
        self.host.kill()
        try:
            error = await self.error(self.read(target))
            self.assertIsInstance(error, PowerConnError)
            self.assertFalse(error.sent)
            while not hints:
                await self.wait(0.05)
        finally:
            self.host.start()
        guest.destroy()
        hints.clear()

        await self.wait(1.0)
        self.assertIs(PowerState.OFF, await self.read(target))
        self.assertTrue(hints)

    async def test_hung(self) -> None:
        """
        A daemon that hangs costs a read its time, and a change that had left is told as one that had.
        """
        guest = self.host.define("hung", NEVER_OFF)
        target, hurried = self.target(guest.name), self.target(guest.name, timeout=Moment(0.5))
        await self.read(target)
        self.host.freeze()
        try:
            error = await self.error(self.read(hurried))
            self.assertIsInstance(error, PowerConnError)
            self.assertFalse(error.sent)
            self.assertIn("no answer within 0.5 s", str(error))
        finally:
            self.host.thaw()

        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_nobody_there(self) -> None:
        """
        A socket that is not there, or not for us, is told as what it is.
        """
        missing = await self.error(self.read(self.target("any", socket="/nonexistent/libvirt-sock")))
        folder = await self.error(self.read(self.target("any", socket="/tmp")))

        self.assertIsInstance(missing, PowerConnError)
        self.assertFalse(missing.sent)
        self.assertIn("no socket /nonexistent/libvirt-sock; is libvirt's daemon", str(missing))
        self.assertIsInstance(folder, PowerConnError)
