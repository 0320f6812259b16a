# SPDX-License-Identifier: MIT
"""
A coordinator as systemd runs it, by a real systemd or by a stand-in, over machines that are child processes.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from powercoord.client import Client
from tests.functional.child_driver import ENTRY_POINTS
from tests.functional.systemd_peer import SystemManager
from tests.sources import ROOT

_TWISTD = str(Path(sys.executable).with_name("twistd"))
_CONFIGURATION = """\
[server]
state_dir = "{folder}/state"
amp = ["{endpoint}"]
graceful_shutdown_timeout = "40s"

[timing]
settle = "200ms"
minimum_off = "100ms"
retries = 0

[nodes."n[1-3]"]
driver = "child"
path = "{folder}/n[1-3]"
seconds = "{seconds}"
"""

# What a user's manager cannot do, or does elsewhere.
_NOT_FOR_USERS = re.compile(
    r"(User|Group|\w+Directory\w*|Protect\w+|Private\w+|ProcSubset|CapabilityBoundingSet|AmbientCapabilities"
    r"|KeyringMode|RemoveIPC|SocketUser|SocketGroup|LimitNOFILE|UMask|RestartSec)="
)
_CLEAN = (0, 75, 130, 143)


@define(eq=False)
class Surroundings:
    """
    A folder with all that a coordinator needs.
    """

    folder: Path
    seconds: str = "2"
    endpoint: str = ""

    def prepare(self) -> None:
        """
        Write the configuration, and make the driver known.
        """
        endpoint = self.endpoint or f"unix:{self.folder}/amp.sock"
        text = _CONFIGURATION.format(folder=self.folder, endpoint=endpoint, seconds=self.seconds)
        (self.folder / "pc.toml").write_text(text)
        info = self.folder / "path/powercoord_test_child-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: powercoord-test-child\nVersion: 1\n")
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        (self.folder / "state").mkdir(mode=0o700)

    @property
    def command(self) -> list[str]:
        """
        What systemd runs.
        """
        return [_TWISTD, "-n", "--pidfile=", "powercoord", "--config", f"{self.folder}/pc.toml"]

    @property
    def python_path(self) -> str:
        """
        Where the driver is found.
        """
        return f"{self.folder}/path:{ROOT}"

    def client(self, reactor: Any) -> Client:
        """
        Somebody who may ask.
        """
        return Client.from_string(reactor, f"unix:{self.folder}/amp.sock", requester="test")

    def states(self) -> list[str]:
        """
        What each machine was told last by a child that came to its end.
        """
        paths = [self.folder / f"n{number}" for number in (1, 2, 3)]
        return [path.read_text() if path.exists() else "" for path in paths]

    def begun(self) -> list[Path]:
        """
        What the children have written that were begun.
        """
        return sorted(self.folder.glob("n?.begun"))


class Notes(DatagramProtocol):
    """
    The socket on which systemd listens.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.heard: list[tuple[float, str]] = []
        self._waiting: list[tuple[str, Deferred[None]]] = []

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        lines = datagram.decode().splitlines()
        self.heard += [(self._clock.seconds(), line) for line in lines]
        waiting, self._waiting = self._waiting, []
        for word, deferred in waiting:
            if any(line.startswith(word) for line in lines):
                deferred.callback(None)
            else:
                self._waiting.append((word, deferred))

    def next(self, word: str) -> Deferred[None]:
        """
        Fires when a line that begins so comes.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((word, deferred))
        return deferred

    def words(self) -> list[str]:
        """
        All lines but the status lines and signs of life.
        """
        return [line for _, line in self.heard if not line.startswith(("STATUS=", "WATCHDOG="))]

    def times(self, word: str) -> list[float]:
        """
        When lines came that begin so.
        """
        return [at for at, line in self.heard if line.startswith(word)]


class _Process(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        code = reason.value.exitCode
        self.ended.callback(-reason.value.signal if code is None else code)


@define(eq=False)
class StandIn:
    """
    Does to a service what systemd does: environment, socket, SIGTERM to the main process alone.

    It is not systemd: it sets no limits, and what it calls the result is its
    own reading of the exit code and of who is still there.

    :param listening: a socket to hand over, called ``amp``.
    """

    reactor: Any
    around: Surroundings
    listening: socket.socket | None = None
    watchdog: str = ""
    notes: Notes = field(init=False)
    process: _Process = field(init=False)
    child: Any = field(init=False)
    _port: Any = field(init=False)
    _path: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.notes = Notes(self.reactor)
        path = self.around.folder / f"notify{len(list(self.around.folder.glob('notify*')))}"
        self._path = path
        self._port = self.reactor.listenUNIXDatagram(str(path), self.notes)

    async def start(self) -> None:
        """
        Start the service, and wait until it says that it is ready.
        """
        ready = self.notes.next("READY=1")
        self.launch()
        ready.addTimeout(30, self.reactor)
        try:
            await ready
        except Exception as error:
            raise AssertionError(self.process.output.decode()) from error

    def launch(self) -> None:
        """
        Start the service.
        """
        environment = {**os.environ, "PYTHONPATH": self.around.python_path, "NOTIFY_SOCKET": str(self._path)}
        if self.watchdog:
            environment["WATCHDOG_USEC"] = self.watchdog
        words, files = self.around.command, {0: "w", 1: "r", 2: "r"}
        if self.listening is not None:
            environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "amp"}
            words = ["/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", *words]
            files[3] = self.listening.fileno()  # type: ignore[assignment]
        self.process = _Process()
        self.child = self.reactor.spawnProcess(
            self.process, words[0], words, env=environment, path=str(self.around.folder), childFDs=files
        )

    async def stop(self) -> str:
        """
        Stop the service as ``KillMode=mixed`` does, and say what became of it.
        """
        self.child.signalProcess("TERM")
        return await self.wait()

    async def wait(self) -> str:
        """
        Wait for the end, and call it as systemd would.
        """
        code = await self.process.ended
        return "success" if code in _CLEAN else f"exit {code}"

    async def close(self) -> None:
        """
        End it, whatever it does.
        """
        if not self.process.ended.called:
            self.child.signalProcess("KILL")
            await self.process.ended
        await self._port.stopListening()


@define(eq=False)
class Systemd:
    """
    The same with a real systemd, and with the units that are shipped.

    :param overrides: lines to add to the service.
    """

    reactor: Any
    around: Surroundings
    overrides: Sequence[str] = ()
    manager: SystemManager = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.manager = SystemManager({})
        self.around.folder = self.manager.folder
        self.manager.units = {"powercoord.service": self._service(), "powercoord.socket": self._socket()}

    async def open(self) -> None:
        """
        Start the manager.
        """
        self.around.prepare()
        await deferToThread(self.manager.start)

    async def systemctl(self, *words: str) -> str:
        """
        Run it to its end.
        """
        text: str = await deferToThread(self.manager.run, "systemctl", "--user", *words)
        return text

    async def start(self) -> None:
        """
        Start the service; returns when systemd says that it has started.
        """
        await self.systemctl("start", "powercoord.service")

    async def stop(self) -> str:
        """
        Stop the service, and say what systemd calls the result, and how the process ended.
        """
        await self.systemctl("stop", "powercoord.service")
        # Not from `show`: a service that has stopped is forgotten, and what is not known is a success.
        return (self.around.folder / "ended").read_text().strip()

    async def show(self, *names: str) -> dict[str, str]:
        """
        What systemd knows of the service.
        """
        known: dict[str, str] = await deferToThread(self.manager.show, "powercoord.service", *names)
        return known

    async def until(self, name: str, value: str) -> None:
        """
        Wait until systemd says so.
        """
        for _ in range(200):
            if (await self.show(name))[name] == value:
                return
            await deferLater(self.reactor, 0.1)
        raise AssertionError(f"{name} is {await self.show(name)}; {self.log()}")

    async def close(self) -> None:
        """
        End the manager, and with it the service.
        """
        await deferToThread(self.manager.stop)

    def log(self) -> str:
        """
        What the service printed.
        """
        path = self.around.folder / "service.log"
        return path.read_text() if path.exists() else ""

    def _service(self) -> str:
        folder = self.around.folder
        lines = [
            f"ExecStart={' '.join(self.around.command)}",
            f"Environment=PYTHONPATH={self.around.python_path} PATH={os.environ['PATH']}",
            f"WorkingDirectory={folder}",
            f"StandardOutput=append:{folder}/service.log",
            "StandardError=inherit",
            "RestartSec=200ms",
            f"ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS > {folder}/ended'",
            *self.overrides,
        ]
        return _adapted("powercoord.service", lines, drop=("ExecStart=",))

    def _socket(self) -> str:
        lines = [f"ListenStream={self.around.folder}/amp.sock"]
        return _adapted("powercoord.socket", lines, drop=("ListenStream=",))


def _adapted(name: str, lines: Sequence[str], drop: tuple[str, ...]) -> str:
    """
    A unit as it is shipped, but for what cannot be as it is there.
    """
    text = (ROOT / "packaging/systemd" / name).read_text()
    kept = [
        line for line in text.splitlines() if not _NOT_FOR_USERS.match(line) and not line.startswith(drop)
    ]
    # The last of several lines wins, and the section before [Install] is the one that matters.
    kept[kept.index("[Install]") : kept.index("[Install]")] = lines
    return "\n".join([*kept, ""])


def short_folder() -> Path:
    """
    A folder of whose path a UNIX socket's has room.
    """
    return Path(tempfile.mkdtemp(prefix="pch-"))


def remove(folder: Path) -> None:
    """
    Remove it, and what is in it.
    """
    shutil.rmtree(folder, ignore_errors=True)
