# SPDX-License-Identifier: MIT
"""
What becomes of hypervisors through the virsh program when libvirtd goes, hangs, or is behind ssh.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from powercoord.drivers.virsh.guests import GuestState
from powercoord.drivers.virsh.place import Transport
from powercoord.errors import PowerAuthError, PowerConnError
from powercoord.model import Command
from tests.functional import sshd_peer
from tests.functional.libvirt_peer import MISSING, LibvirtHost, gone
from tests.functional.virsh_driver_case import shared_host
from tests.functional.virsh_shell_case import VirshShellCase, children, nothing, reactor


class LossTests(VirshShellCase):
    """
    A libvirtd that is stopped, killed and frozen.
    """

    def setUp(self) -> None:
        self.host = LibvirtHost()
        self.addCleanup(self.host.close)
        self.host.start()

    async def test_libvirtd_comes_back(self) -> None:
        """
        While libvirtd is away everything fails and nothing is sent; then the same shells go on.
        """
        guest = self.host.define("stays")
        hypervisor = self.speak()
        mine = await hypervisor.find("stays")
        await hypervisor.states(["stays"])
        shells = set(children("virsh"))
        self.host.stop()
        read = await self.error(hypervisor.states(["stays"]))
        change = await self.error(hypervisor.act(mine, Command.ON, nothing))
        self.host.start()
        seen = await hypervisor.states(["stays"])
        await hypervisor.act(mine, Command.ON, nothing)

        self.assertEqual(GuestState.SHUTOFF, seen["stays"].state)
        self.assertTrue(guest.runs())
        self.assertEqual(shells, set(children("virsh")))
        for error in (read, change):
            assert isinstance(error, PowerConnError)
            self.assertFalse(error.sent)

    async def test_never_there(self) -> None:
        """
        Where nobody listens nothing leaves, and the text says where that is.
        """
        hypervisor = self.speak(self.place(socket="/nowhere/libvirt-sock"))
        error = await self.error(hypervisor.states(["any"]))

        assert isinstance(error, PowerConnError)
        self.assertFalse(error.sent)
        self.assertIn("/nowhere/libvirt-sock': No such file", str(error))

    async def test_dies_half_way(self) -> None:
        """
        When the connection breaks under a command nobody knows what became of it, and the error says so.
        """
        guest = self.host.define("half")
        guest.start()
        hypervisor = self.speak()
        mine = await hypervisor.find("half")
        # It cannot hear that it shall end, and libvirt waits for that for ten seconds.
        guest.signal(signal.SIGSTOP)
        reactor.callLater(0.1, self.host.kill)
        error = await self.error(hypervisor.act(mine, Command.OFF, nothing))

        assert isinstance(error, PowerConnError)
        self.assertTrue(error.sent)

    async def test_shell_dies_half_way(self) -> None:
        """
        The same when the shell itself is killed, and the next one works.
        """
        self.host.define("shell")
        hypervisor = self.speak()
        mine = await hypervisor.find("shell")
        self.host.freeze()

        def kill() -> None:
            for pid in children("virsh"):
                os.kill(pid, signal.SIGKILL)

        reactor.callLater(0.1, kill)
        error = await self.error(hypervisor.act(mine, Command.ON, nothing))
        self.host.thaw()
        again = await hypervisor.find("shell")

        assert isinstance(error, PowerConnError)
        self.assertTrue(error.sent)
        self.assertEqual(mine, again)

    async def test_hard_cancel(self) -> None:
        """
        Cancelling kills the shell that hangs, and it is reaped; others are not disturbed.
        """
        self.host.define("hangs")
        hypervisor = self.speak()
        await hypervisor.states(["hangs"])
        mine = await hypervisor.find("hangs")
        (reading, acting) = sorted(children("virsh"))
        self.host.freeze()
        work = Deferred.fromCoroutine(hypervisor.act(mine, Command.ON, nothing))
        await deferLater(reactor, 0.1)
        work.cancel()
        failure = self.failureResultOf(work)
        await self.seen(lambda: gone(acting), "the shell ends")
        await deferLater(reactor, 0.05)
        left = children("virsh")
        self.host.thaw()

        self.assertIsInstance(failure.value, CancelledError)
        self.assertEqual([reading], left)
        self.assertEqual({"hangs"}, set(await hypervisor.states(["hangs"])))

    async def test_close_while_it_hangs(self) -> None:
        """
        Closing ends at once what hangs.
        """
        hypervisor = self.speak()
        await hypervisor.states(["nobody"])
        self.host.freeze()
        work = Deferred.fromCoroutine(hypervisor.states(["nobody"]))
        work.addErrback(lambda failure: failure.trap(PowerConnError) and None)
        started = reactor.seconds()
        await hypervisor.close()
        await work
        self.host.thaw()

        self.assertLess(reactor.seconds() - started, 5.0)
        self.assertIsInstance(await self.error(hypervisor.states(["nobody"])), PowerConnError)


class SshTests(VirshShellCase):
    """
    libvirtd behind ssh.
    """

    skip = MISSING or sshd_peer.MISSING

    def setUp(self) -> None:
        self.host = shared_host(type(self).__module__)
        self.sshd = sshd_peer.Sshd()
        self.addCleanup(self.sshd.close)
        self.sshd.start()

    def through(self, transport: Transport, key: Path, known_hosts: Path) -> object:
        return self.place(
            transport=transport,
            address=f"127.0.0.1:{self.sshd.port}",
            username=self.sshd.user,
            identity_file=str(key),
            known_hosts=str(known_hosts),
        )

    async def test_power(self) -> None:
        """
        A guest behind ssh is started and ended, and no ssh outlives its virsh.
        """
        guest = self.host.define("far")
        hypervisor = self.speak(self.through(Transport.SSH, self.sshd.key, self.sshd.known_hosts))
        mine = await hypervisor.find("far")
        await hypervisor.act(mine, Command.ON, nothing)
        started = guest.runs()
        await hypervisor.act(mine, Command.OFF, nothing)
        await hypervisor.close()
        await self.seen(lambda: not self.sshd.sessions(), "ssh ends")

        self.assertEqual((True, False), (started, guest.runs()))

    async def test_killed(self) -> None:
        """
        The ssh of a virsh that is killed ends too.
        """
        hypervisor = self.speak(self.through(Transport.SSH, self.sshd.key, self.sshd.known_hosts))
        await hypervisor.states(["nobody"])
        for pid in children("virsh"):
            os.kill(pid, signal.SIGKILL)
        await self.seen(lambda: not self.sshd.sessions(), "ssh ends")

    async def test_refused(self) -> None:
        """
        A key that does not fit, or a host key that is not the known one, is no matter of trying again.
        """
        for key, known_hosts, words in (
            (self.sshd.wrong_key, self.sshd.known_hosts, "does not let us in"),
            (self.sshd.key, self.sshd.wrong_known_hosts, "host key is not the known one"),
        ):
            for transport in (Transport.SSH, Transport.LIBSSH, Transport.LIBSSH2):
                hypervisor = self.speak(self.through(transport, key, known_hosts))
                error = await self.error(hypervisor.states(["any"]))
                self.assertIsInstance(error, PowerAuthError, str(error))
                self.assertIn(words, str(error))

    async def test_libssh(self) -> None:
        """
        libvirt's own ssh clients reach it too.
        """
        for transport in (Transport.LIBSSH, Transport.LIBSSH2):
            hypervisor = self.speak(self.through(transport, self.sshd.key, self.sshd.known_hosts))
            self.assertEqual({}, await hypervisor.states(["nobody"]))
            await hypervisor.close()
