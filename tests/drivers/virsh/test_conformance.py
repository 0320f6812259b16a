# SPDX-License-Identifier: MIT
"""
The virsh driver keeps the contract of all drivers: in libvirt's protocol, with a daemon on paper.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from powercoord.drivers.virsh import VirshDriver, VirshSettings
from powercoord.drivers.virsh.guests import GuestState
from powercoord.drivers.virsh.hypervisor import NativeHypervisor
from powercoord.drivers.virsh.place import Hypervisor, Place
from powercoord.errors import PowerConnError
from powercoord.interfaces import IPowerDriver
from powercoord.testing.conformance import Bench, Device, DriverConformance
from tests.drivers.virsh.paper_daemon import PaperDaemon

REFUSING, NOBODY = "/run/refusing-sock", "/run/nobody-sock"


class VirshDevice(Device):
    def __init__(self, daemon: PaperDaemon, name: str) -> None:
        self._guest = daemon.guests[name]
        self.settings = VirshSettings(domain=name, hypervisor=Hypervisor.LXC)

    def power(self) -> bool:
        return self._guest.state is not GuestState.SHUTOFF

    def set_power(self, on: bool) -> None:
        self._guest.state = GuestState.RUNNING if on else GuestState.SHUTOFF

    def commands(self) -> Sequence[str]:
        return self._guest.commands


class VirshBench(Bench):
    """
    A daemon with two guests, one that lets nobody in, and one that is not there.
    """

    step = 0.002
    slack = 0.01
    prompt = 0.0
    quiet = 5.0

    def __init__(self) -> None:
        self.clock = self._clock = Clock()
        self._daemon = PaperDaemon(self._clock, latency=0.004)
        self._daemon.add("guest1", "guest2")
        self._refusing = PaperDaemon(self._clock, auth=[2], latency=0.004)
        self._nobody = PaperDaemon(self._clock, dead=PowerConnError("no socket"))
        self.device = VirshDevice(self._daemon, "guest1")
        self.context = {"power_address": "lxc:///system", "power_id": "guest1"}

    def make_driver(self) -> IPowerDriver:
        return VirshDriver(self._clock, self._speak)

    def _speak(self, place: Place, _: bool) -> NativeHypervisor:
        daemons = {REFUSING: self._refusing, NOBODY: self._nobody}
        return daemons.get(place.sockets[0], self._daemon).hypervisor(place)

    def refused(self) -> VirshSettings:
        return VirshSettings(domain="guest1", socket=REFUSING)

    def logins(self) -> int:
        return self._refusing.dials

    def unreachable(self) -> VirshSettings:
        return VirshSettings(domain="guest1", socket=NOBODY)

    def nowhere(self) -> VirshSettings:
        return VirshSettings(domain="nobody", hypervisor=Hypervisor.LXC)

    def neighbour(self) -> Device:
        return VirshDevice(self._daemon, "guest2")

    def mute(self) -> None:
        self._daemon.mute = True

    def lose_answers(self) -> None:
        self._daemon.loses = True

    def unmute(self) -> None:
        self._daemon.mute = self._daemon.loses = False

    def ignores_soft(self) -> None:
        self._daemon.guests["guest1"].obeys = False

    def obeys_soft(self) -> None:
        self._daemon.guests["guest1"].obeys = True


class VirshConformanceTests(DriverConformance, TestCase):
    """
    Every rule of the suite.
    """

    timeout = 60

    async def make_bench(self) -> Bench:
        return VirshBench()
