# SPDX-License-Identifier: MIT
"""
What a hypervisor tells by itself: a virsh that waits for events and prints them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from powercoord.drivers.virsh.shell_child import Program
from powercoord.errors import PowerToolError

_EVENT = re.compile(rb"event 'lifecycle' for domain '([^\n]*)': \S[^\n]*\n")

#: A line that is longer than any of virsh's is none.
_LONGEST = 4096

#: How long it is left alone after it has ended, in seconds: at first, and at most.
_PAUSE, _LONG_PAUSE = 5.0, 600.0

Hint = Callable[[frozenset[str]], None]


@define(eq=False)
class Listener(ProcessProtocol):
    """
    One such child.

    :param told: is called with a guest's name for each event.
    :param over: is called when it is dead and reaped, with whether it ever said anything.
    """

    _told: Callable[[str], None]
    _over: Callable[[bool], None]
    transport: IProcessTransport | None = field(default=None, init=False)
    _rest: bytes = field(default=b"", init=False)
    _heard: bool = field(default=False, init=False)

    def outReceived(self, data: bytes) -> None:
        """
        Lines, whole or in pieces.
        """
        self._rest += data
        end = 0
        for event in _EVENT.finditer(self._rest):
            end, self._heard = event.end(), True
            self._told(event[1].decode(errors="replace"))
        self._rest = self._rest[end:][-_LONGEST:]

    def errReceived(self, data: bytes) -> None:
        """
        Why it ends; the next read says that too, and better.
        """

    def processEnded(self, reason: Failure) -> None:
        """
        It is dead and reaped.
        """
        self.transport = None
        self._over(self._heard)

    def kill(self) -> None:
        """
        End it.
        """
        if self.transport is not None:
            try:
                self.transport.signalProcess("KILL")
            except ProcessExitedAlready:
                return


@define(eq=False)
class Events:
    """
    Keeps one child while somebody wants to hear, and passes on what it says.

    Whenever it begins to listen and whenever it stops, something may have been missed.
    """

    _reactor: Any
    _program: Callable[[], Program]
    _hints: dict[object, Hint] = field(factory=dict, init=False)
    _child: Listener | None = field(default=None, init=False)
    _gone: Deferred[None] | None = field(default=None, init=False)
    _pause: float = field(default=_PAUSE, init=False)
    _resting: IDelayedCall | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def watch(self, hint: Hint) -> Callable[[], None]:
        """
        See `powercoord.drivers.virsh.guests.IHypervisor.watch`.
        """
        key = object()
        self._hints[key] = hint

        def stop() -> None:
            self._hints.pop(key, None)
            if not self._hints:
                self._stop()

        return stop

    def reachable(self) -> None:
        """
        The hypervisor has just answered somebody, so it can be listened to.
        """
        if self._closed or not self._hints or self._child or self._resting:
            return
        child = Listener(self._told, self._over)
        self._child, self._gone = child, Deferred()
        try:
            self._program().spawn(self._reactor, child, "event", "--loop", "--event", "lifecycle")
        except (OSError, PowerToolError):
            self._over(False)

    async def close(self) -> None:
        """
        End it; fires when it is reaped.
        """
        self._closed = True
        self._hints.clear()
        self._stop()
        if self._gone is not None:
            await self._gone

    def _told(self, name: str) -> None:
        self._pause = _PAUSE
        self._tell(frozenset((name,)))

    def _over(self, heard: bool) -> None:
        self._child, gone = None, self._gone
        self._gone = None
        self._tell(frozenset())
        if not self._closed:
            self._resting = self._reactor.callLater(self._pause, self._rested)
            # Some hypervisors tell nothing at all, and end it each time at once.
            self._pause = _PAUSE if heard else min(2 * self._pause, _LONG_PAUSE)
        if gone is not None:
            gone.callback(None)

    def _rested(self) -> None:
        self._resting = None

    def _tell(self, names: frozenset[str]) -> None:
        for hint in tuple(self._hints.values()):
            hint(names)

    def _stop(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if self._child is not None:
            self._child.kill()
