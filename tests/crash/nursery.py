# SPDX-License-Identifier: MIT
"""
A process that has imported everything and bears coordinators, each a process and a session of its own.

Starting an interpreter and importing costs most of a coordinator's start; here that is paid once, so that
thousands of kills are affordable. What is born runs `tests.crash.failing_twistd` as if started alone: no
reactor exists before the birth.

It reads one JSON line for each birth (``{"folder": …, "failpoint": …}``) and writes one when a process is
born (``{"born": pid}``) and one when it has ended (``{"ended": pid, "status": …}``). It ends with its input,
and all that it bore with it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from attrs import define, field
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from tests.crash import failing_twistd
from tests.crash.failpoint import Failpoint


def import_everything() -> None:
    """
    Everything but a reactor, which must not be shared.
    """
    for name in ("twisted.scripts._twistd_unix", "twisted.internet.endpoints", "powercoord.drivers.ipmi"):
        import_module(name)
    list(getPlugins(IServiceMaker))
    assert "twisted.internet.reactor" not in sys.modules
    gc.freeze()


# prctl(2), PR_SET_PDEATHSIG: a killed test leaves nothing behind.
_DIE_WITH_PARENT = 1


@define(eq=False)
class Nursery:
    """
    Bears processes and tells of their ends.
    """

    _living: set[int] = field(factory=set, init=False)
    _rest: bytes = field(default=b"", init=False)

    def serve(self) -> dict[str, Any] | None:
        """
        Until the input ends: None. In a newborn process: what it is to run.
        """
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with DefaultSelector() as selector:
            selector.register(0, EVENT_READ)
            selector.register(wake, EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if wake in ready:
                    os.read(wake, 4096)
                    self._bury()
                if 0 in ready:
                    data = os.read(0, 65536)
                    if not data:
                        return None
                    if order := self._read(data):
                        _forget(wake, waker)
                        return order

    def _read(self, data: bytes) -> dict[str, Any] | None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                return dict(order)
            self._living.add(pid)
            _tell(born=pid)
        return None

    def _bury(self) -> None:
        for pid in list(self._living):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._living.discard(pid)
                _tell(ended=pid, status=os.waitstatus_to_exitcode(status))


def _tell(**event: int) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


def _forget(*descriptors: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in descriptors:
        os.close(descriptor)


def _live(order: dict[str, Any]) -> None:
    """
    Be a process as a shell would have started it, but for its output.
    """
    folder = Path(order["folder"])
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(folder / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for old, new in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(old, new)
    os.close(nothing)
    os.close(output)
    failpoint = order.get("failpoint")
    failing_twistd.run(folder, Failpoint.load(failpoint) if failpoint else None)


def main() -> None:
    """
    Serve, and in each newborn process live.
    """
    import_everything()
    order = Nursery().serve()
    if order is not None:
        _live(order)


if __name__ == "__main__":
    main()
