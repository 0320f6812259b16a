# SPDX-License-Identifier: MIT
"""
One child process, from its start until it is reaped.

# Note [The whole group]

Agents are often scripts that run something else.  To end only the script would
leave that something talking to the BMC.  So each child leads a session and a
process group of its own (``setsid``, which becomes the program by exec: the
process id stays), and what is sent is sent to the group.

# Note [Held pipes]

A child that is reaped is over, whoever still holds its pipes: a daemon that it
left behind would keep us waiting for an end of file that never comes.  Such a
holder gets a moment, because output may still be on its way, and is then ended
with its group.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.drivers.children.program import Ended, Halt, Program

_log = Logger(namespace="powercoord.drivers.children")

SendSignal = Callable[[int, int], None]


@frozen(kw_only=True)
class Patience:
    """
    How long things may take, in seconds; how much a child may say, in bytes.

    :param grace: from SIGTERM to SIGKILL.
    :param linger: from a child's end until those who still hold its pipes are ended.
    :param hopeless: from SIGKILL until we stop waiting for the kernel.
    """

    grace: float = 1.0
    linger: float = 0.25
    hopeless: float = 2.0
    output: int = 65536


class Child(ProcessProtocol):
    """
    Feeds a child, keeps what it says, and ends it when it must.

    :ivar ended: fires once it is reaped, whatever became of it; never fails.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, program: Program, patience: Patience, send: SendSignal) -> None:
        self.ended: Deferred[Ended] = Deferred()
        self._clock = clock
        self._program = program
        self._patience = patience
        self._send = send
        self._said = {1: bytearray(), 2: bytearray()}
        self._dropped = 0
        self._halt: Halt | None = None
        self._held = False
        self._pid: int | None = None
        self._code: int | None = None
        self._signal: int | None = None
        self._reaped = False
        self._over = False
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._pid = self.transport.pid
        if self._program.stdin:
            self.transport.write(self._program.stdin)
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803 - Twisted's names
        room = self._patience.output - sum(map(len, self._said.values()))
        self._said[childFD] += data[: max(room, 0)]
        self._dropped += max(len(data) - max(room, 0), 0)

    def halt(self, why: Halt, grace: float | None = None) -> None:
        """
        End it: ask, and after ``grace`` seconds insist.
        """
        if self._halt is None and not self._reaped:
            self._halt = why
            self._signal_group(signal.SIGTERM)
            self._after(self._patience.grace if grace is None else grace, self.kill)

    def kill(self, why: Halt = Halt.CANCELLED) -> None:
        """
        End it without asking.
        """
        if not self._reaped:
            self._halt = self._halt or why
            self._signal_group(signal.SIGKILL)
            self._after(self._patience.hopeless, self._give_up)

    def processExited(self, reason: Failure) -> None:
        self._reaped = True
        error: Any = reason.value
        self._code, self._signal = error.exitCode, error.signal
        if self._halt is not None:
            # Its own children may not have heard the first signal, or not have obeyed it.
            self._signal_group(signal.SIGKILL)
        self._after(self._patience.linger, self._still_held)

    def processEnded(self, reason: Failure) -> None:
        self._finish()

    def _still_held(self) -> None:
        """
        See note [Held pipes].
        """
        self._held = True
        self._signal_group(signal.SIGKILL)
        self.transport.loseConnection()
        self._finish()

    def _give_up(self) -> None:
        _log.error(
            "process {pid} ({name}) does not end; it is left to the kernel",
            pid=self._pid,
            name=self._program.name,
        )
        self.transport.loseConnection()
        self._finish()

    def _signal_group(self, number: int) -> None:
        """
        See note [The whole group].  Before ``setsid`` has run there is no group yet, only the child.
        """
        if self._pid is None:
            return
        try:
            self._send(self._pid, number)
        except ProcessLookupError:
            if not self._reaped:
                self._signal_child(number)
        except PermissionError:
            # What has changed its user is not ours to end; the child itself may still be.
            self._signal_child(number)

    def _signal_child(self, number: int) -> None:
        try:
            self.transport.signalProcess(number)
        except (ProcessExitedAlready, OSError):
            return

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._clock.callLater(seconds, what)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _finish(self) -> None:
        self._disarm()
        if self._over:
            return
        self._over = True
        self.ended.callback(
            Ended(
                code=self._code,
                signal=self._signal,
                stdout=bytes(self._said[1]),
                stderr=bytes(self._said[2]),
                dropped=self._dropped,
                halt=self._halt,
                held=self._held,
            )
        )


def to_group(leader: int, number: int) -> None:
    """
    Send a signal to a process group.

    :raises OSError: there is none, or it is not ours.
    """
    os.killpg(leader, number)
