# SPDX-License-Identifier: MIT
"""
The virsh driver through a real ssh, to a real sshd, to a real libvirtd.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from powercoord.drivers.virsh import driver
from powercoord.drivers.virsh.packets import REMOTE, Kind, Packet, Packets
from powercoord.drivers.virsh.place import Hypervisor, Transport
from powercoord.drivers.virsh.procedures import Procedure, read_auth
from powercoord.drivers.virsh.ssh import far_end
from powercoord.errors import PowerAuthError, PowerConnError, PowerToolError
from powercoord.model import Command, PowerState, Target
from powercoord.strict import Moment
from tests.functional import libvirt_peer, sshd_peer
from tests.functional.libvirt_guest import OBEYING
from tests.functional.libvirt_peer import gone
from tests.functional.sshd_peer import Sshd
from tests.functional.virsh_driver_case import VirshDriverCase, reactor

skip = libvirt_peer.MISSING or sshd_peer.MISSING


def processes(*words: str) -> list[int]:
    """
    The processes whose command line has all of these in it.
    """
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words) and not gone(int(folder.name)):
            found.append(int(folder.name))
    return found


class SshTests(VirshDriverCase):
    """
    libvirt's test driver at the far end, whose guest keeps its state.
    """

    def setUp(self) -> None:
        super().setUp()
        self.sshd = Sshd()
        self.addCleanup(self.sshd.close)
        self.sshd.start()

    def far(self, **settings: Any) -> Target:
        """
        The guest, by ssh.
        """
        usual = {
            "transport": Transport.SSH,
            "address": f"127.0.0.1:{self.sshd.port}",
            "username": self.sshd.user,
            "identity_file": str(self.sshd.key),
            "known_hosts": str(self.sshd.known_hosts),
            "hypervisor": Hypervisor.TEST,
            "instance": "default",
        }
        return self.target("test", **{**usual, **settings})

    def children(self) -> list[int]:
        return processes("ssh", f"-p\0{self.sshd.port}\0")

    def far_ends(self) -> list[int]:
        return processes("nc\0-U\0", self.host.socket)

    async def none_left(self) -> None:
        """
        Neither here nor there; what sshd started is told by the daemon's "are you there" at the latest.
        """
        for _ in range(300):
            if not self.children() and not self.far_ends():
                return
            await self.wait(0.05)
        raise AssertionError(f"left here: {self.children()}, there: {self.far_ends()}")

    async def test_all_verbs(self) -> None:
        """
        All verbs go over one connection, of which nothing is left, here or there, once the driver is closed.
        """
        target = self.far()
        self.assertIs(PowerState.ON, await self.read(target))
        for command, state in (
            (Command.RESET, PowerState.ON),
            (Command.SOFT, PowerState.OFF),
            (Command.ON, PowerState.ON),
            (Command.OFF, PowerState.OFF),
        ):
            await self.command(target, command)
            self.assertIs(state, await self.read(target))
        await self.together(self.read(target) for _ in range(40))
        self.assertEqual(1, self.sshd.logins())
        self.assertEqual(1, len(self.children()))
        await self.driver.close()

        self.assertEqual([], self.children())
        await self.none_left()

    async def test_real_guest(self) -> None:
        """
        A guest under QEMU is started, and ends when it is asked to, as on this host.
        """
        guest = self.host.define("far", OBEYING)
        target = self.far(hypervisor=Hypervisor.QEMU, instance="session")
        target = self.driver.target(evolve(target.settings, domain=guest.uuid))
        await self.command(target, Command.ON)
        guest.wait_started()
        await self.command(target, Command.SOFT)
        await self.seen(target, PowerState.OFF)

        self.assertEqual("shut off (shutdown)", guest.reason())

    def test_first_socket(self) -> None:
        """
        Of several sockets at the far end the first that is there is spoken to.
        """
        shell = subprocess.Popen(
            ["/bin/sh", "-c", far_end(("/nonexistent/libvirt-sock", self.host.socket))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(shell.wait)
        self.addCleanup(shell.kill)
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(Packet(REMOTE, Procedure.AUTH_LIST, Kind.CALL, 7, 0).encode())
        shell.stdin.flush()
        (answer,) = Packets().feed(shell.stdout.read(36))
        shell.stdin.close()
        shell.stdout.close()

        self.assertEqual((7, [0]), (answer.serial, read_auth(answer.body)))

    async def test_not_let_in(self) -> None:
        """
        A key that does not open is told as a refused login, and so is a host key that is not the known one.
        """
        key = await self.error(self.read(self.far(identity_file=str(self.sshd.wrong_key))))
        host = await self.error(self.read(self.far(known_hosts=str(self.sshd.wrong_known_hosts))))
        unknown = await self.error(self.read(self.far(known_hosts="/dev/null")))

        self.assertIsInstance(key, PowerAuthError)
        self.assertIn("Permission denied (publickey)", str(key))
        self.assertIsInstance(host, PowerAuthError)
        self.assertIn("its host key is", str(host))
        self.assertIsInstance(unknown, PowerAuthError)
        self.assertIn("its host key is not known", str(unknown))
        self.assertEqual(0, self.sshd.logins())

    async def test_nobody_there(self) -> None:
        """
        A socket that is not there at the far end, and a host where no sshd is, are told as what they are.
        """
        socket = await self.error(self.read(self.far(socket="/nonexistent/libvirt-sock")))
        self.sshd.stop()
        sshd = await self.error(self.read(self.far()))

        self.assertIsInstance(socket, PowerConnError)
        self.assertIn("libvirt's socket is not there; is its daemon running?", str(socket))
        self.assertIsInstance(sshd, PowerConnError)
        self.assertIn("Connection refused", str(sshd))
        self.assertFalse(socket.sent or sshd.sent)

    async def test_cut(self) -> None:
        """
        A connection that breaks is opened again by the next need, and those who watch look again.
        """
        target = self.far()
        await self.read(target)
        hints: list[None] = []
        self.driver.watch(target, lambda: hints.append(None))
        self.sshd.cut()
        while not hints:
            await self.wait(0.05)

        await self.read(target)
        self.assertEqual(2, self.sshd.logins())

    async def test_torn_down_while_connecting(self) -> None:
        """
        Who is torn down while ssh connects leaves no child, and nobody at the far end.
        """
        call = Deferred.fromCoroutine(self.read(self.far()))
        await self.wait(0.02)
        self.assertEqual(1, len(self.children()))
        call.cancel()
        await self.assertFailure(call, CancelledError)

        await self.none_left()

    async def test_closed_while_connecting(self) -> None:
        """
        When closing has ended, no child is left of what was just connecting.
        """
        call = Deferred.fromCoroutine(self.read(self.far()))
        await self.wait(0.02)
        self.assertEqual(1, len(self.children()))
        await self.driver.close()

        self.assertEqual([], self.children())
        await self.assertFailure(call, PowerConnError)
        await self.none_left()

    async def test_too_late(self) -> None:
        """
        Time that runs out while ssh connects to one who says nothing ends the child, too.
        """
        error = await self.error(self.read(self.far(timeout=Moment(0.05))))

        self.assertIsInstance(error, PowerConnError)
        self.assertFalse(error.sent)
        await self.none_left()

    async def test_child_killed(self) -> None:
        """
        A child that is killed takes along what it left at the far end, though nobody tells that.
        """
        await self.read(self.far())
        self.assertEqual(1, len(self.far_ends()))
        os.kill(self.children()[0], signal.SIGKILL)

        await self.none_left()

    async def test_no_ssh(self) -> None:
        """
        Where there is no ssh, that is told as a missing tool.
        """
        bare = driver(reactor, {"PATH": "/nonexistent"})
        self.addCleanup(lambda: Deferred.fromCoroutine(bare.close()))

        error = await self.error(bare.read(self.far(), self.operation()))

        self.assertIsInstance(error, PowerToolError)
        self.assertIn("install openssh-client", str(error))
