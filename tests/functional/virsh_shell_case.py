# SPDX-License-Identifier: MIT
"""
What tests of hypervisors through the virsh program share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from powercoord.drivers.virsh.place import Place
from powercoord.drivers.virsh.settings import VirshSettings
from powercoord.drivers.virsh.shell import ShellHypervisor, shell_hypervisor
from powercoord.errors import PowercoordError
from tests.functional.libvirt_peer import MISSING, LibvirtHost, until

reactor: Any = global_reactor


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


class VirshShellCase(TestCase):
    """
    No virsh is left behind.
    """

    timeout = 60
    skip = MISSING
    host: LibvirtHost

    def place(self, **more: Any) -> Place:
        """
        The host's own libvirtd, or the way to it that is said.
        """
        words = {"domain": "any", "instance": "session", "socket": self.host.socket, "through_virsh": True}
        return VirshSettings(**words | more).place()

    def speak(self, place: Place | None = None) -> ShellHypervisor:
        """
        The hypervisor through virsh.
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

    async def error(self, work: Coroutine[Any, Any, object]) -> PowercoordError:
        """
        What it fails with.
        """
        try:
            await work
        except PowercoordError as error:
            return error
        raise AssertionError("it did not fail")
