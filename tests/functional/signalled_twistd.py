# SPDX-License-Identifier: MIT
"""
A real ``twistd`` that runs a coordinator over a simulated fleet, to be sent signals.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from powercoord.client import Accepted, Client
from powercoord.client.errors import ClientClosed
from powercoord.model import Outcome, Verb
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.machine import Latency

COUNT = 20
BASE = "127.79.1.1"
NAMES = [f"n{number:03d}" for number in range(1, COUNT + 1)]

# What users run; with a way to make its reactor stuck, when there is a file that says how.
TWISTD = """\
import ctypes, os, sys
from twisted.internet import task
from twisted.python import log
from twisted.scripts.twistd import run

def stick():
    if os.path.exists({stick!r}):
        how = open({stick!r}).read()
        os.unlink({stick!r})
        while how == "python":
            pass
        if how == "C":
            ctypes.CDLL(None).sleep(60)
        if how == "interpreter":
            ctypes.PyDLL(None).sleep(60)

def watch():
    from twisted.internet import reactor
    reactor.callWhenRunning(task.LoopingCall(stick).start, 0.05)

if {stuck}:
    import powercoord.service as service
    make = service.makeService
    service.makeService = lambda options: (watch(), make(options))[1]
sys.exit(run())
"""

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
{server}

[drivers.ipmi]
username = "admin"
password = {{ file = "password" }}

[timing]
settle = "{settle}s"
minimum_off = "1s"
poll = "100ms"

[nodes."n[001-{count:03d}]"]
driver = "ipmi"
address = "{base}.[1-{count}]:{port}"
"""


class Twistd(ProcessProtocol):
    """
    A process with a coordinator, and what it says.
    """

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self.over = False
        self.code: int | None = None
        self.signal: int | None = None
        self._waiting: list[Deferred[None]] = []

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.code, self.signal = reason.value.exitCode, reason.value.signal
        self.over = True
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    @property
    def text(self) -> str:
        return (self.output + self.errors).decode()

    def ended(self) -> Deferred[None]:
        """
        Fires when it has ended.
        """
        if self.over:
            return succeed(None)
        ended: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(ended)
        return ended


class SignalledCase(TestCase):
    """
    A fleet of slow machines, a ``twistd``, and a client of it.
    """

    timeout = 120
    settle = 0.0

    def setUp(self) -> None:
        self.fleet = SimulatedFleet(reactor, COUNT, base=BASE, port=0)
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        # Not trial's own folder: the path of a UNIX socket has room for 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "password").write_text("secret\n")
        (self.folder / "password").chmod(0o600)
        self.pidfile = self.folder / "pid"
        self.clients: list[Client] = []
        self.outcomes: list[Deferred[Outcome]] = []

    async def start(
        self,
        server: str = "",
        words: Sequence[str] = ("-n",),
        *,
        stuck: bool = False,
        shell: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Twistd:
        """
        Start it with these lines in its ``[server]``; returns when it serves.
        """
        twistd = self.spawn(server, words, stuck=stuck, shell=shell, environment=environment)
        self.client = Client.from_string(reactor, f"unix:{self.folder}/amp.sock", requester="test")
        self.client.start()
        self.clients.append(self.client)
        self.addCleanup(self.client.close)
        await self.client.info()
        return twistd

    def spawn(
        self,
        server: str = "",
        words: Sequence[str] = ("-n",),
        *,
        stuck: bool = False,
        shell: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Twistd:
        """
        Start it, whatever becomes of it.
        """
        config = self.folder / "pc.toml"
        if not config.exists():
            base = BASE.rpartition(".")[0]
            config.write_text(
                CONFIGURATION.format(
                    folder=self.folder,
                    server=server,
                    settle=self.settle,
                    count=COUNT,
                    base=base,
                    port=self.fleet.port,
                )
            )
        script = TWISTD.format(stick=str(self.folder / "stick"), stuck=stuck)
        program = [sys.executable, "-c", script, *words, f"--pidfile={self.pidfile}"]
        program += ["powercoord", "--config", str(config)]
        if shell is not None:
            program = ["sh", "-c", f'{shell}; exec "$@"', "sh", *program]
        self.twistd = twistd = Twistd()
        child = reactor.spawnProcess(
            twistd, program[0], program, env={**os.environ, **(environment or {})}, path=str(self.folder)
        )
        self.child = child
        self.addCleanup(self.end, child, twistd)
        return twistd

    def send(self, *signals: int) -> float:
        """
        Send it signals, all at once; returns when.
        """
        for number in signals:
            os.kill(self.pid, number)
        return reactor.seconds()

    @property
    def pid(self) -> int:
        return int(self.pidfile.read_text())

    async def ended(self, twistd: Twistd, since: float = 0.0) -> float:
        """
        Wait for its end; returns how long that took. Who still waits then, waits for the next one.
        """
        await twistd.ended()
        took = reactor.seconds() - since
        for outcome in self.outcomes:
            outcome.addErrback(Failure.trap, ClientClosed)
        for client in self.clients:
            await client.close()
        return took

    async def end(self, child: Any, twistd: Twistd) -> None:
        if not twistd.over:
            print(twistd.text)
            child.signalProcess("KILL")
            await twistd.ended()

    def slow(self, seconds: float, *indices: int) -> None:
        """
        Let machines take so long to come on.
        """
        for index in indices or range(COUNT):
            self.fleet.bmcs[index].machine.latency = Latency(on=seconds, off=0.5)

    async def accepted(self, *names: str, verb: Verb = Verb.ON, **options: Any) -> list[Deferred[Outcome]]:
        """
        Ask for nodes; returns how each will end, once all are accepted and commanded.
        """
        answers = await self.client.submit([self.client.request(name, verb, **options) for name in names])
        self.assertEqual([], [answer for answer in answers if not isinstance(answer, Accepted)])
        outcomes = [self.client.outcome(answer) for answer in answers]
        self.outcomes += outcomes
        while not all(self.commanded(name) for name in names):
            await self.pause(0.02)
        return outcomes

    def all_of(self, outcomes: Sequence[Deferred[Outcome]]) -> Deferred[list[Outcome]]:
        """
        How all have ended; soon.
        """
        return gatherResults(outcomes).addTimeout(90, reactor)

    def commanded(self, name: str) -> list[str]:
        """
        What was commanded of a machine, by its own account.
        """
        machine = self.fleet.bmcs[NAMES.index(name)].machine
        return [performed.verb for performed in machine.commands]

    def stick(self, how: str) -> None:
        """
        Make its reactor stuck.
        """
        (self.folder / "stick.new").write_text(how)
        (self.folder / "stick.new").rename(self.folder / "stick")

    def pause(self, seconds: float) -> Deferred[None]:
        return deferLater(reactor, seconds)


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
