# SPDX-License-Identifier: MIT
"""
FreeIPMI's `ipmipower`, as it is used: one process for a sweep, or one for each node.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from benchmarks.bmcs import LOGIN
from benchmarks.cost import Cost, Stopwatch

# `ipmi_sim` has suite 3 only, and needs the workaround: "privilege level cannot be obtained" without it.
_CONFIGURATION = """\
username {}
password {}
driver-type LAN_2_0
cipher-suite-id 3
workaround-flags opensesspriv
"""


@frozen
class Swept:
    """
    What it cost, and how many nodes were read.
    """

    cost: Cost
    read: int


@frozen
class Ipmipower:
    """
    The program, with a configuration file: no password in a process list.
    """

    _folder: Path

    def sweep(self, addresses: Sequence[str]) -> Swept:
        """
        One process reads them all.
        """
        watch = Stopwatch(resource.RUSAGE_CHILDREN)
        done = subprocess.run(self._command(",".join(addresses)), capture_output=True, text=True, check=False)
        return Swept(watch.cost(), _read(done.stdout))

    def one_by_one(self, addresses: Sequence[str], at_once: int) -> Swept:
        """
        A process for each, some at once.
        """
        watch, running = Stopwatch(resource.RUSAGE_CHILDREN), deque[subprocess.Popen[str]]()
        read = 0
        for address in addresses:
            if len(running) == at_once:
                read += _read(running.popleft().communicate()[0])
            running.append(subprocess.Popen(self._command(address), stdout=subprocess.PIPE, text=True))
        while running:
            read += _read(running.popleft().communicate()[0])
        return Swept(watch.cost(), read)

    def _command(self, addresses: str) -> list[str]:
        return ["ipmipower", "--config-file", str(self._folder / "freeipmi.conf"), "-h", addresses, "--stat"]


def _read(output: str) -> int:
    return sum(line.endswith((": on", ": off")) for line in output.splitlines())


def available() -> bool:
    """
    Is it installed?
    """
    return shutil.which("ipmipower") is not None


@contextmanager
def ipmipower() -> Iterator[Ipmipower]:
    """
    The program with a configuration file in a folder that goes away.
    """
    with TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "freeipmi.conf"
        path.touch(mode=0o600)
        path.write_text(_CONFIGURATION.format(*LOGIN))
        yield Ipmipower(Path(folder))
