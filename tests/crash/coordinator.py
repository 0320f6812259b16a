# SPDX-License-Identifier: MIT
"""
A coordinator's folder and its lives in it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, field

from tests.crash.failpoint import Failpoint
from tests.crash.life import Life, Nurse

CONFIGURATION = """\
[server]
state_dir = "{folder}/state"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[drivers.ipmi]
username = "admin"
password = {{ file = "password" }}
timeout = {timeout}

[timing]
action = "30s"
soft = "20s"
force = "20s"
poll = "{poll}s"
poll_longest = "{poll_longest}s"
settle = "{settle}s"
minimum_off = "100ms"

[groups.rack]
max_starting = 4
settle = "50ms"

"""
NODE = """\
[nodes."{name}"]
driver = "ipmi"
address = "{address}"
groups = ["rack"]

"""


def configure(
    folder: Path,
    addresses: Mapping[str, str],
    *,
    timeout: float = 1.0,
    poll: float = 0.05,
    settle: float = 0.7,
) -> None:
    """
    Write the configuration of a coordinator whose files are in this folder.

    :param addresses: host and port of each node's BMC.
    :param timeout: how long an operation may take.
    :param settle: within which the slowest machine does what it was told.
    """
    head = CONFIGURATION.format(
        folder=folder, timeout=timeout, poll=poll, poll_longest=4 * poll, settle=settle
    )
    nodes = "".join(NODE.format(name=name, address=address) for name, address in addresses.items())
    (folder / "pc.toml").write_text(head + nodes)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    (folder / "state").mkdir(mode=0o700)


@define(eq=False)
class Coordinator:
    """
    One coordinator in as many lives as it takes: whenever it is killed it is started again.

    :param failpoints: the first life's, the second one's, and so on; then there are none.
    :ivar statuses: how each life ended.
    """

    _nurse: Nurse
    folder: Path
    _failpoints: Sequence[Failpoint | None] = ()
    statuses: list[int] = field(factory=list, init=False)
    life: Life | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)

    async def live(self) -> None:
        """
        Returns when a life has ended in another way than by a kill, or was to be the last.
        """
        for failpoint in self._each_failpoint():
            self.life = await self._nurse.bear(self.folder, failpoint)
            if self._stopping:
                self.life.kill(signal.SIGTERM)
            self.statuses.append(await self.life.ended())
            if self._stopping or self.statuses[-1] != -signal.SIGKILL:
                return

    def kill(self) -> bool:
        """
        Kill it now, to be started again at once; says whether there was anything to kill.
        """
        if self.life is None or self.life.doomed or self.life.status is not None:
            return False
        self.life.kill()
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """
        End this life, and let there be no other.
        """
        self._stopping = True
        if self.life is not None:
            self.life.kill(number)

    def appends(self) -> list[str]:
        """
        What was appended in all lives, as `tests.crash.failing_twistd` notes it.
        """
        path = self.folder / "appends"
        return path.read_text().splitlines() if path.exists() else []

    def output(self) -> str:
        """
        What all lives had to say.
        """
        path = self.folder / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def _each_failpoint(self) -> Iterator[Failpoint | None]:
        yield from self._failpoints
        while True:
            yield None
