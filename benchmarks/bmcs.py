# SPDX-License-Identifier: MIT
"""
Fleets of BMCs to measure against: OpenIPMI's `ipmi_sim`, and our own simulator in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address

from attrs import frozen

from benchmarks.child import ROOT
from powercoord.testing.ipmi_sim import IpmiSimFleet
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME

#: Both simulators know this user.
LOGIN = (USERNAME, PASSWORD)


@frozen
class Bmcs:
    """
    Where they listen, each as ``host:port``, and what they are called in a table.
    """

    title: str
    addresses: Sequence[str]


@contextmanager
def by_ipmi_sim(count: int, base: str = "127.90.0.1") -> Iterator[Bmcs]:
    """
    BMCs that nobody here wrote. Each read of a power state starts a shell.
    """
    with IpmiSimFleet(count=count, base=base) as fleet:
        processes = len(fleet.pids)
        title = f"{count:,} BMCs of `ipmi_sim` in {processes} process{'es' if processes > 1 else ''}"
        yield Bmcs(title, [f"{bmc.address}:{bmc.port}" for bmc in fleet.bmcs])


@contextmanager
def by_ourselves(count: int, base: str = "127.91.0.1") -> Iterator[Bmcs]:
    """
    BMCs of `powercoord.sim`, which answer at once.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "powercoord.sim", "--bmcs", str(count), "--base", base, "--port", "0"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready"):
            raise RuntimeError(f"powercoord.sim did not start: {line!r}")
        port = line.split()[-1]
        hosts = [str(IPv4Address(base) + index) for index in range(count)]
        yield Bmcs(f"{count:,} BMCs of `powercoord.sim` in one process", [f"{host}:{port}" for host in hosts])
    finally:
        process.terminate()
        process.communicate()
