# SPDX-License-Identifier: MIT
"""
A strip that is not there, for tests: it speaks the protocol and remembers what was asked of it.

``python -m powercoord_example.simulator 7001`` is one to play with; its password is ``hunter2``.
"""

from __future__ import annotations

import sys
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure


@define(eq=False)
class Strip:
    """
    Outlets with a password.

    :ivar commands: outlet and word of each command that came, oldest first.
    :ivar logins: how often somebody tried to log in.
    :ivar mute: hears nothing and says nothing.
    :ivar forgetful: does what it is told, and its answers to commands are lost.
    """

    password: str
    outlets: dict[str, bool] = field(factory=lambda: {"1": False, "2": False})
    commands: list[tuple[str, str]] = field(factory=list, init=False)
    logins: int = field(default=0, init=False)
    mute: bool = field(default=False, init=False)
    forgetful: bool = field(default=False, init=False)
    lines: set[Any] = field(factory=set, init=False)

    def listen(self, reactor: Any, port: int = 0) -> IListeningPort:
        """
        Listen on loopback.
        """
        listening: IListeningPort = reactor.listenTCP(
            port, Factory.forProtocol(lambda: _Caller(self)), interface="127.0.0.1"
        )
        return listening

    def hang_up(self) -> None:
        """
        End all connections.
        """
        for line in tuple(self.lines):
            line.transport.abortConnection()

    def answer(self, words: list[str]) -> str | None:
        """
        What it says to somebody who is logged in; None: nothing.
        """
        match words:
            case ["STATE", outlet] if outlet in self.outlets:
                return "ON" if self.outlets[outlet] else "OFF"
            case ["TURN", outlet, ("ON" | "OFF") as word] if outlet in self.outlets:
                self.commands.append((outlet, word))
                self.outlets[outlet] = word == "ON"
                return None if self.forgetful else "OK"
            case ["STATE" | "TURN", *_]:
                return "NONE"
        return "WHAT"


class _Caller(LineOnlyReceiver):
    def __init__(self, strip: Strip) -> None:
        self._strip = strip
        self._inside = False

    def connectionMade(self) -> None:
        self._strip.lines.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._strip.lines.discard(self)

    def lineReceived(self, line: bytes) -> None:
        if self._strip.mute:
            return
        words = line.decode("ascii", "replace").split(" ")
        answer = self._strip.answer(words) if self._inside else self._log_in(words)
        if answer is not None:
            self.sendLine(answer.encode())

    def _log_in(self, words: list[str]) -> str:
        self._strip.logins += 1
        self._inside = words == ["LOGIN", self._strip.password]
        return "OK" if self._inside else "DENIED"


if __name__ == "__main__":
    from twisted.internet import reactor

    Strip("hunter2").listen(reactor, int(sys.argv[1]))
    reactor.run()
