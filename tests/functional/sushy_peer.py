# SPDX-License-Identifier: MIT
"""
OpenStack's sushy-emulator with machines that are only in its memory, as a child process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.internet.task import deferLater

reactor: Any = global_reactor

# Its machines take between 1 and 11 s, by chance; here all take the least, and change when a second begins.
_PROGRAM = """\
import random
random.randint = lambda least, most: least
from sushy_tools.emulator.main import main
main()
"""
_CONFIG = """\
SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{"uuid": uuid, "name": name, "power_state": "Off", "nics": [], "external_notifier": False}}
    for uuid, name in {systems!r}
]
"""
SYSTEMS = [(f"27946b59-9e44-4fa7-8e91-f3527a1ef09{each}", f"fake{each}") for each in range(3)]


class Emulator(ProcessProtocol):
    """
    Its life, from the outside.
    """

    def __init__(self) -> None:
        self.said = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.said += data

    def errReceived(self, data: bytes) -> None:
        self.said += data

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(None)


class SushyEmulator:
    """
    One service with three systems, off all of them.
    """

    def __init__(self, folder: str) -> None:
        with socket(AF_INET, SOCK_STREAM) as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        Path(folder).mkdir()
        config = Path(folder) / "sushy.conf"
        config.write_text(_CONFIG.format(folder=str(Path(folder).resolve()), systems=SYSTEMS))
        self.protocol = Emulator()
        words = [sys.executable, "-c", _PROGRAM, "--config", str(config.resolve()), "--fake"]
        words += ["-i", "127.0.0.1", "-p", str(self.port)]
        self.process = reactor.spawnProcess(
            self.protocol, sys.executable, words, env={"PATH": "/usr/bin:/bin"}
        )

    async def listening(self) -> None:
        """
        Wait until it answers.
        """
        for _ in range(200):
            try:
                endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
                made = await connectProtocol(endpoint, Protocol())
            except ConnectError:
                await deferLater(reactor, 0.05)
            else:
                made.transport.loseConnection()
                return
        raise AssertionError(f"it does not listen: {self.protocol.said!r}")

    async def stop(self) -> None:
        """
        End it, and wait for that.
        """
        self.process.signalProcess("TERM")
        await self.protocol.ended
