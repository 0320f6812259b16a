# SPDX-License-Identifier: MIT
"""
The whole service in a process of its own, as `twist powercoord` starts it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from benchmarks.bmcs import LOGIN
from benchmarks.child import ROOT

_HEAD = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[drivers.ipmi]
username = "{username}"
password = {{ file = "password" }}
cipher_suites = [3]
"""
_NODE = """
[nodes.n{index}]
driver = "ipmi"
address = "{address}"
"""


@frozen
class Memory:
    """
    Of one process, in bytes: its share of what is shared (PSS), and all that is resident (RSS).
    """

    pss: int
    rss: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """
        What the kernel says now.
        """
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
        return cls(sizes["Pss"], sizes["Rss"])


@frozen
class Service:
    """
    A service that answers at a local socket.

    :param ready_after: seconds from its start to the socket.
    """

    pid: int
    socket: Path
    ready_after: float


@contextmanager
def service(addresses: Sequence[str]) -> Iterator[Service]:
    """
    A service that owns nodes n0, n1, … with a BMC each.
    """
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        config = _configure(folder, addresses)
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "twisted", "--log-level", "warn", "powercoord", "--config", str(config)],
            cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _await(process, folder / "amp.sock", began + 60)
            yield Service(process.pid, folder / "amp.sock", time.monotonic() - began)
        finally:
            process.terminate()
            process.wait(30)


def _configure(folder: Path, addresses: Sequence[str]) -> Path:
    username, password = LOGIN
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    config = folder / "powercoord.toml"
    nodes = (_NODE.format(index=index, address=address) for index, address in enumerate(addresses))
    config.write_text(_HEAD.format(folder=folder, username=username) + "".join(nodes))
    return config


def _await(process: subprocess.Popen[bytes], socket: Path, deadline: float) -> None:
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the service did not open its socket; its output says why")
        time.sleep(0.02)
