# SPDX-License-Identifier: MIT
"""
Coordinators that live and die, seen from the test's process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.crash.failpoint import Failpoint

ROOT = Path(__file__).resolve().parents[2]


@define(eq=False)
class Life:
    """
    One process of a coordinator.

    :ivar status: how it ended: its exit code, or below 0 the signal; None: it lives.
    :ivar doomed: whether it was killed, and has not ended yet.
    """

    pid: int
    doomed: bool = field(default=False, init=False)
    status: int | None = field(default=None, init=False)
    _waiting: list[Deferred[int]] = field(factory=list, init=False)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """
        Send it a signal, if it lives.
        """
        if self.status is None:
            self.doomed = number == signal.SIGKILL
            os.kill(self.pid, number)

    def ended(self) -> Deferred[int]:
        """
        Fires with its status when it has ended.
        """
        waiting: Deferred[int] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if self.status is not None:
            self.over(self.status)
        return waiting

    def over(self, status: int) -> None:
        """
        It has ended.
        """
        self.status = status
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(status)


class Nurse(ProcessProtocol):
    """
    Has `tests.crash.nursery` bear coordinators.
    """

    def __init__(self) -> None:
        self._births: deque[Deferred[Life]] = deque()
        self._lives: dict[int, Life] = {}
        self._rest = b""
        self.gone: Deferred[None] = Deferred()
        self.errors = b""

    @classmethod
    def spawn(cls, reactor: Any, preload: Path | None = None) -> Nurse:
        """
        Start a nursery; `close` it in the end.

        :param preload: a library that all it bears are linked with first.
        """
        nurse = cls()
        words = [sys.executable, "-m", "tests.crash.nursery"]
        environment = dict(os.environ)
        if preload is not None:
            environment["LD_PRELOAD"] = str(preload)
        reactor.spawnProcess(nurse, words[0], words, env=environment, path=str(ROOT))
        return nurse

    def bear(self, folder: Path, failpoint: Failpoint | None) -> Deferred[Life]:
        """
        Start ``twistd -n powercoord --config FOLDER/pc.toml``.
        """
        order = {"folder": str(folder), "failpoint": failpoint and failpoint.dump()}
        birth: Deferred[Life] = Deferred()
        self._births.append(birth)
        assert self.transport is not None
        self.transport.write(json.dumps(order).encode() + b"\n")
        return birth

    def close(self) -> Deferred[None]:
        """
        End the nursery, and all that still live.
        """
        assert self.transport is not None
        self.transport.closeStdin()
        return self.gone

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._happened(json.loads(line))

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        sys.stderr.write(self.errors.decode(errors="replace"))
        self.gone.callback(None)

    def _happened(self, event: dict[str, int]) -> None:
        if "born" in event:
            life = self._lives[event["born"]] = Life(event["born"])
            self._births.popleft().callback(life)
        else:
            self._lives.pop(event["ended"]).over(event["status"])
