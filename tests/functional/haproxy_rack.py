# SPDX-License-Identifier: MIT
"""
Two coordinators in processes of their own, over one simulated fleet, and those who ask them through HAProxy.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.functional.haproxy_peer import free_port

TWISTD = "from twisted.scripts.twistd import run; run()"

CONFIGURATION = """\
[server]
state_dir = "{folder}/state"
amp = ["tcp:{port}:interface=127.0.0.1", "unix:{folder}/amp.sock"]
secret = {{ file = "secret" }}
agent = ["tcp:{agent}:interface=127.0.0.1"]
agent_hold = {hold}
drain_file = "{folder}/lb-agent"
lameduck = "{lameduck}s"
graceful_shutdown_timeout = "{grace}s"

[drivers.ipmi]
username = "admin"
password = {{ file = "password" }}

[timing]
settle = "1s"
minimum_off = "1s"

[nodes."n[001-{count:03d}]"]
driver = "ipmi"
address = "{base}.[1-{count}]:{fleet}"
groups = ["rack1"]

[groups.rack1]
max_starting = {starting}
"""

SECRET = b"between the region and the racks"

PING = bytes.fromhex("00085f636f6d6d616e64000450696e6700045f61736b0001310000")


class Process(ProcessProtocol):
    """
    One life of a coordinator.
    """

    def __init__(self) -> None:
        self.output = b""
        self.code: int | None = None
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.code = ended.exitCode
        self.ended.callback(None)


@define(eq=False, kw_only=True)
class Rack:
    """
    A coordinator with its own state, whose process comes and goes.
    """

    reactor: Any
    base: str
    fleet: int
    count: int
    grace: float = 60.0
    lameduck: float = 2.0
    hold: bool = False
    starting: int = 1_000
    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="rack-")), init=False)
    port: int = field(factory=free_port, init=False)
    agent: int = field(factory=free_port, init=False)
    lives: list[Process] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.folder.joinpath("state").mkdir()
        for name, secret in (("password", b"secret"), ("secret", SECRET)):
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_bytes(secret)
        text = CONFIGURATION.format(
            folder=self.folder,
            port=self.port,
            agent=self.agent,
            hold=str(self.hold).lower(),
            starting=self.starting,
            lameduck=self.lameduck,
            grace=self.grace,
            base=self.base,
            count=self.count,
            fleet=self.fleet,
        )
        self.folder.joinpath("pc.toml").write_text(text)

    def start(self) -> None:
        """
        Begin a life.
        """
        process = Process()
        program = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "powercoord", "-c", "pc.toml"]
        self.reactor.spawnProcess(process, program[0], program, env=None, path=str(self.folder))
        self.lives.append(process)

    @property
    def died(self) -> bool:
        """
        Whether the last life is over.
        """
        return bool(self.lives) and self.lives[-1].ended.called

    async def end(self, signal: str = "TERM") -> Process:
        """
        End this life, and wait for that.
        """
        process = self.lives[-1]
        transport: Any = process.transport
        if not process.ended.called:
            transport.signalProcess(signal)
        await process.ended
        return process

    async def clear(self) -> None:
        """
        Leave nothing behind.
        """
        if self.lives:
            await self.end("KILL")
        shutil.rmtree(self.folder)

    def log(self) -> str:
        """
        What it said in all its lives.
        """
        return "\n".join(life.output.decode() for life in self.lives)

    def say(self, word: str) -> None:
        """
        Write a word into its drain file.
        """
        self.folder.joinpath("lb-agent").write_text(f"{word}\n")

    async def word(self) -> str:
        """
        What its agent check says; empty if nobody answers.
        """

        def ask() -> str:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.agent), 2) as line:
                return b"".join(iter(lambda: line.recv(1_000), b"")).decode()
            return ""

        said: str = await deferToThread(ask)
        return said

    @property
    def socket(self) -> str:
        """
        Where to ask it without HAProxy.
        """
        return f"unix:{self.folder}/amp.sock"


class Caller(Protocol):
    """
    Connects, pings, and has its answer or a reason why not.
    """

    def __init__(self) -> None:
        self.heard: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(PING)

    def dataReceived(self, data: bytes) -> None:
        if not self.heard.called and b"_answer" in data:
            self.heard.callback(None)
            transport: Any = self.transport
            transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.heard.called:
            self.heard.errback(ConnectionDone("closed without an answer"))


@define(eq=False)
class Callers:
    """
    A new connection every 20 ms, each with a ping that must be answered.
    """

    _reactor: Any
    _port: int
    interval: float = 0.02
    patience: float = 5.0
    made: int = field(default=0, init=False)
    failures: Counter[str] = field(factory=Counter, init=False)
    slowest: float = field(default=0.0, init=False)
    _calls: dict[Deferred[None], None] = field(factory=dict, init=False)
    _loop: LoopingCall = field(init=False)

    def start(self) -> None:
        """
        Begin.
        """
        self._loop = LoopingCall(self._begin)
        self._loop.clock = self._reactor
        self._loop.start(self.interval)

    async def stop(self) -> None:
        """
        Make no more, and wait for those under way.
        """
        if self._loop.running:
            self._loop.stop()
        while self._calls:
            await deferLater(self._reactor, 0.05)

    def _begin(self) -> None:
        call = Deferred.fromCoroutine(self._call())
        self._calls[call] = None
        call.addBoth(lambda _: self._calls.pop(call))

    async def _call(self) -> None:
        self.made += 1
        begin = self._reactor.seconds()
        endpoint = clientFromString(self._reactor, f"tcp:127.0.0.1:{self._port}")
        try:
            caller: Any = await endpoint.connect(Factory.forProtocol(Caller))
            await caller.heard.addTimeout(self.patience, self._reactor)
        except TimeoutError:
            self.failures["no answer"] += 1
        except Exception as error:  # noqa: BLE001 - each is counted by what it is
            self.failures[f"{type(error).__name__}: {error}"] += 1
        self.slowest = max(self.slowest, self._reactor.seconds() - begin)


def turns(fleet: Any) -> Sequence[tuple[str, ...]]:
    """
    What was done to each machine, by the machines' own account.

    To be told the same twice is nothing: where many share two processors an
    answer may be late, and the command is repeated.
    """
    return [tuple(verb for verb, _ in groupby(it.verb for it in bmc.machine.commands)) for bmc in fleet.bmcs]


def spans(rack: Rack) -> Mapping[str, Sequence[tuple[str, str]]]:
    """
    From when to when a coordinator had something to do for each node, by its journal.
    """
    query = "SELECT node, action, min(at), max(at) FROM entry WHERE action IS NOT NULL GROUP BY node, action"
    found: dict[str, list[tuple[str, str]]] = {}
    with contextlib.closing(sqlite3.connect(rack.folder / "state" / "journal.db")) as journal:
        for node, _, begin, end in journal.execute(query):
            found.setdefault(node, []).append((begin, end))
    return found


def overlaps(first: Rack, second: Rack) -> Sequence[str]:
    """
    Each time that two coordinators had something to do for one node at once.
    """
    one, other = spans(first), spans(second)
    return [
        f"{node}: {a} and {b}"
        for node in one.keys() & other.keys()
        for a in one[node]
        for b in other[node]
        if a[0] < b[1] and b[0] < a[1]
    ]


def asked_of(rack: Rack) -> set[str]:
    """
    The requests that a coordinator accepted, by its journal.
    """
    with contextlib.closing(sqlite3.connect(rack.folder / "state" / "journal.db")) as journal:
        return {row[0] for row in journal.execute("SELECT request_id FROM request")}
