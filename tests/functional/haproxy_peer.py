# SPDX-License-Identifier: MIT
"""
A real HAProxy in front of two servers on the loopback interface.
"""

from __future__ import annotations

import csv
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

HAPROXY = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
MISSING = None if HAPROXY else "no haproxy here (Debian package haproxy)"

# Admin states of `show servers state`, field srv_admin_state.
FORCED_MAINT, FORCED_DRAIN = 0x1, 0x8

CONFIGURATION = """\
global
    maxconn 2000
    stats socket "{folder}/haproxy.sock" mode 600 level admin
    stats timeout 30s
    log stderr format raw daemon info

defaults
    mode tcp
    log global
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout check {patience}s

frontend amp
    bind "127.0.0.1:{front}"
    default_backend pc

backend pc
{check}
    default-server weight 100 check inter {inter}ms fastinter 100ms fall 2 rise 1 agent-inter {inter}ms
{servers}
"""

SERVER = """\
    server {name} "127.0.0.1:{port}" agent-check agent-addr 127.0.0.1 agent-port {agent} {more}
"""

# A box {_command: Ping, _ask: 1}, and a word that is only in the answer of a coordinator that serves.
PING = """\
    option tcp-check
    tcp-check connect
    tcp-check send-binary 00085f636f6d6d616e64000450696e6700045f61736b0001310000
    tcp-check expect binary {expected}
"""


def free_port() -> int:
    """
    A port that nobody uses just now.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@frozen
class Server:
    """
    One server of the backend.
    """

    name: str
    port: int
    agent: int
    more: str = ""


@frozen
class State:
    """
    What HAProxy thinks of a server.

    :param agent: its text about the last agent check.
    """

    status: str
    operating: int
    admin: int
    weight: int
    agent: str
    agent_status: str


@define(eq=False)
class HAProxy(ProcessProtocol):
    """
    The process, and its socket.
    """

    _reactor: Any
    _servers: Sequence[Server]
    inter: int = 200
    check: str = ""
    patience: int = 1
    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="haproxy-")), init=False)
    front: int = field(factory=free_port, init=False)
    output: bytes = field(default=b"", init=False)
    ended: Deferred[None] = field(factory=Deferred, init=False)

    async def start(self) -> None:
        """
        Write the configuration, and run it.
        """
        assert HAPROXY is not None
        servers = "".join(
            SERVER.format(name=it.name, port=it.port, agent=it.agent, more=it.more) for it in self._servers
        )
        text = CONFIGURATION.format(
            folder=self.folder,
            front=self.front,
            inter=self.inter,
            patience=self.patience,
            check=self.check,
            servers=servers,
        )
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        self._reactor.spawnProcess(self, HAPROXY, ["haproxy", "-db", "-f", str(path)], env={})
        while not (self.folder / "haproxy.sock").exists():
            assert not self.ended.called, self.output.decode()
            await deferLater(self._reactor, 0.02)

    async def stop(self) -> None:
        """
        End the process.
        """
        transport: Any = self.transport
        if not self.ended.called:
            transport.signalProcess("TERM")
        await self.ended
        shutil.rmtree(self.folder)

    def outReceived(self, data: bytes) -> None:
        """
        Keep its log.
        """
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """
        It is over.
        """
        self.ended.callback(None)

    def changes(self) -> str:
        """
        What its log says of the servers.
        """
        lines = self.output.decode().splitlines()
        return "\n".join(line for line in lines if "Server pc/" in line and "remains" not in line)

    async def say(self, command: str) -> str:
        """
        What it answers to a command.
        """

        def talk() -> str:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(5)
                line.connect(str(self.folder / "haproxy.sock"))
                line.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: line.recv(65_536), b"")).decode()

        said: str = await deferToThread(talk)
        return said

    async def state(self, name: str) -> State:
        """
        What it thinks of a server.
        """
        states = (await self.say("show servers state pc")).splitlines()[2:]
        fields = next(line.split() for line in states if line.split()[3:4] == [name])
        stat = (await self.say("show stat pc 4 -1")).lstrip("# ").splitlines()
        row = next(row for row in csv.DictReader(stat) if row["svname"] == name)
        return State(
            status=row["status"],
            operating=int(fields[5]),
            admin=int(fields[6]),
            weight=int(fields[7]),
            agent=row["last_agt"],
            agent_status=row["agent_status"].removeprefix("* "),
        )
