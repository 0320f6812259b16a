# SPDX-License-Identifier: MIT
"""
Reading the guests of one hypervisor: our driver, a virsh for each read, and libvirt-python in threads.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen

from benchmarks.child import Child
from benchmarks.cost import Samples, Stopwatch, load
from benchmarks.table import Table, figure
from tests.functional.libvirt_peer import LibvirtHost, libvirt_host, program

PEER = "virsh, one process per guest"
_COLUMNS = ("what", "wall, ms for all", "of virsh's", "CPU, ms/guest", "read", "load")


@frozen
class Size:
    """
    How much is measured.

    :param rounds: how often all guests are read in a repetition, where that is quick.
    """

    guests: int
    repetitions: int
    rounds: int


FULL = Size(guests=40, repetitions=5, rounds=25)
TINY = Size(guests=4, repetitions=1, rounds=2)


@define
class Comparison:
    """
    All repetitions at one hypervisor.
    """

    host: LibvirtHost
    size: Size
    profile: Path | None
    library: bool = field(default=True, init=False)
    samples: Samples = field(factory=Samples, init=False)
    _guests: list[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._guests = [self.host.define(f"guest{number}").uuid for number in range(self.size.guests)]

    def virsh(self) -> None:
        """
        A process for each, eight at once, as a driver does that runs one for each command.
        """
        command = [str(program("virsh")), "-q", "-c", self.host.uri, "domstate"]
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        watch, read = Stopwatch(resource.RUSAGE_CHILDREN), 0
        waiting, running = list(self._guests), list[subprocess.Popen[str]]()
        while waiting or running:
            while waiting and len(running) < 8:
                words = [*command, waiting.pop()]
                running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment))
            read += running.pop(0).communicate()[0].strip() == "shut off"
        self._keep(PEER, {**watch.cost().form(), "read": read, "rounds": 1})

    def ours(self) -> None:
        """
        Our driver, in libvirt's own protocol and through shells of virsh that are kept.
        """
        for name, through_virsh, rounds in (
            ("libvirt's protocol", False, self.size.rounds),
            ("shells of virsh", True, max(1, self.size.rounds // 10)),
        ):
            with Child("hypervisors_worker", self.profile) as child:
                child.ask("open", socket=self.host.socket, guests=self._guests, through_virsh=through_virsh)
                self._keep(f"powercoord, {name}, all at once", child.ask("together", rounds=rounds))
                self._keep(f"powercoord, {name}, one by one", child.ask("one_by_one", rounds=rounds))
                child.ask("close")

    def theirs(self) -> None:
        """
        libvirt-python, where it is installed.
        """
        with Child("hypervisors_worker", self.profile) as child:
            self.library = child.ask("open_library", uri=self.host.uri)["there"]
            if self.library:
                answer = child.ask("threads", rounds=self.size.rounds, guests=self._guests)
                self._keep("libvirt-python, a read each in ten threads", answer)
                answer = child.ask("library_all", rounds=self.size.rounds)
                self._keep("libvirt-python, one call for all in a thread", answer)
                child.ask("close_library")

    def _keep(self, name: str, answer: dict[str, float]) -> None:
        cpu = (answer["user"] + answer["system"]) / answer["rounds"] / self.size.guests
        self.samples.add(
            name, wall=1e3 * answer["wall"] / answer["rounds"], cpu=1e3 * cpu, read=answer["read"]
        )

    def table(self, began: float) -> Table:
        """
        The medians.
        """
        table = Table(f"State of {self.size.guests} guests of one `libvirtd`", _COLUMNS)
        peer = self.samples.of(PEER, "wall")
        for name in self.samples.names():
            wall = self.samples.of(name, "wall")
            table.add(
                name,
                figure(wall),
                f"{wall / peer:.4f}",
                figure(self.samples.of(name, "cpu")),
                f"{self.samples.of(name, 'read', min):.0f} of {self.size.guests}",
                f"{self.samples.of(name, 'load'):.1f}",
            )
        table.notes.append(
            f"Medians of {self.size.repetitions} interleaved repetitions on connections that are open. CPU is"
            " that of the process that asks: of all its children with one virsh per guest, without the kept"
            f" shells, and never the daemon's. Load average {began:.2f} before, {load():.2f} after."
        )
        if not self.library:
            table.notes.append(
                "libvirt-python is not installed, so its rows are missing: there is no wheel of it, and"
                " building it needs libvirt-dev."
            )
        return table


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Guests under QEMU that are off: whether they are on is nothing to who reads their state.
    """
    size = TINY if tiny else FULL
    with libvirt_host() as host:
        comparison, began = Comparison(host, size, profile), load()
        for _ in range(size.repetitions):
            comparison.virsh()
            comparison.ours()
            comparison.theirs()
        yield comparison.table(began)
