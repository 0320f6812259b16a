# SPDX-License-Identifier: MIT
"""
The virsh driver keeps the contract of all drivers: through the virsh program, with one on paper.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from twisted.trial.unittest import TestCase

from powercoord.drivers.virsh import VirshDriver, VirshSettings
from powercoord.drivers.virsh.guests import GuestState
from powercoord.drivers.virsh.place import Place, Transport
from powercoord.drivers.virsh.shell import ShellHypervisor, shell_hypervisor
from powercoord.interfaces import IPowerDriver
from powercoord.model import Command
from powercoord.testing.conformance import Bench, Device, DriverConformance
from tests.drivers.virsh.paper_virsh import CHANGES, PaperHost, PaperReactor

WORDS = {"start": Command.ON, "destroy": Command.OFF, "shutdown": Command.SOFT, "reset": Command.RESET}
REFUSED = "error: failed to connect to the hypervisor\nerror: authentication failed: no\n"
NOBODY = "error: failed to connect to the hypervisor\nerror: unable to connect to server: No route to host\n"


def settings(name: str, address: str = "here") -> VirshSettings:
    return VirshSettings(domain=name, transport=Transport.TLS, address=address)


class VirshDevice(Device):
    def __init__(self, host: PaperHost, name: str) -> None:
        self._host = host
        self._uuid = next(uuid for uuid, known in host.names.items() if known == name)
        self.settings = settings(name)

    def power(self) -> bool:
        return self._host.states[self._uuid] is not GuestState.SHUTOFF

    def set_power(self, on: bool) -> None:
        self._host.states[self._uuid] = GuestState.RUNNING if on else GuestState.SHUTOFF

    def commands(self) -> Sequence[str]:
        words = [line.split() for line in self._host.done]
        return [WORDS[word].value for word, *rest in words if word in CHANGES and self._uuid in rest]


class ShellBench(Bench):
    """
    A hypervisor with two guests, one that lets nobody in, and one that is not there.
    """

    step = 0.002
    slack = 0.01
    prompt = 0.0
    quiet = 5.0

    def __init__(self) -> None:
        self.clock = self._reactor = PaperReactor()
        self._host = self._reactor.host
        self._host.latency, self._host.obeys = 0.004, False
        for number, name in enumerate(("guest1", "guest2"), 1):
            self._host.add(name, str(UUID(int=number)))
        self._refusing = PaperHost(unreachable=REFUSED, latency=0.004)
        self._reactor.others = {
            "qemu+tls://refusing/": self._refusing,
            "qemu+tls://nobody/": PaperHost(unreachable=NOBODY, latency=0.004),
        }
        self.device = VirshDevice(self._host, "guest1")
        self.context = {"power_address": "qemu+tls://here/system", "power_id": "guest1"}
        self._folder = tempfile.mkdtemp()
        program = Path(self._folder) / "virsh"
        program.touch()
        program.chmod(stat.S_IRWXU)

    def make_driver(self) -> IPowerDriver:
        return VirshDriver(self._reactor, self._speak)

    def _speak(self, place: Place, _: bool) -> ShellHypervisor:
        return shell_hypervisor(self._reactor, place, {"PATH": self._folder})

    async def stop(self) -> None:
        shutil.rmtree(self._folder)

    def refused(self) -> VirshSettings:
        return settings("guest1", "refusing")

    def logins(self) -> int:
        return self._refusing.dials

    def unreachable(self) -> VirshSettings:
        return settings("guest1", "nobody")

    def nowhere(self) -> VirshSettings:
        return settings("nobody")

    def neighbour(self) -> Device:
        return VirshDevice(self._host, "guest2")

    def mute(self) -> None:
        self._host.mute = True

    def lose_answers(self) -> None:
        self._host.loses = True

    def unmute(self) -> None:
        self._host.mute = self._host.loses = False

    def obeys_soft(self) -> None:
        self._host.obeys = True


class ShellConformanceTests(DriverConformance, TestCase):
    """
    Every rule of the suite.
    """

    timeout = 60

    async def make_bench(self) -> Bench:
        return ShellBench()
