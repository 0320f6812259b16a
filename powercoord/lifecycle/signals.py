# SPDX-License-Identifier: MIT
"""
What signals mean to the service.

# Note [Signals]

SIGTERM is graceful, SIGINT is not, and no option changes that.  A second
SIGTERM is as good as SIGINT: whoever sends it has seen that the first is
taking its time.  What comes twice in the same moment was meant once; service
managers, shells and containers signal a process and its group.

The handlers count, because they run even when the reactor is stuck, and the
reactor acts.  Twisted's own handlers must not stay: both end the process in
the same way, and would decide about its exit code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from enum import Enum
from math import inf
from types import FrameType
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from powercoord.lifecycle.exiting import EX_SIGINT, EX_SIGTERM, insist
from powercoord.lifecycle.lifecycle import Lifecycle

_log = Logger(namespace="powercoord.lifecycle")

TOGETHER = 0.3
"""
Within how many seconds the same signal, coming again, is the same.
"""

_STUCK = 3.0
"""
After how many seconds a process that was told to end at once ends by force.
"""


class Meaning(Enum):
    """
    What a signal asks for.
    """

    NOTHING = "nothing"
    STOP = "stop"
    END_NOW = "SIGINT"
    END_NOW_TOO = "a second SIGTERM"
    RELOAD = "reload"

    @property
    def code(self) -> int | None:
        """
        The exit code of an end at once.
        """
        return {Meaning.END_NOW: EX_SIGINT, Meaning.END_NOW_TOO: EX_SIGTERM}.get(self)


@define(eq=False, repr=False)
class Counting:
    """
    What each signal means after those before it.
    """

    _last: dict[int, float] = field(factory=dict, init=False)
    _terminated: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)

    def heard(self, number: int, at: float) -> Meaning:
        """
        A signal came, at so many seconds.
        """
        if self._ended or at - self._last.get(number, -inf) < TOGETHER:
            return Meaning.NOTHING
        self._last[number] = at
        if number == signal.SIGHUP:
            return Meaning.RELOAD
        if number == signal.SIGTERM and not self._terminated:
            self._terminated = True
            return Meaning.STOP
        self._ended = True
        return Meaning.END_NOW if number == signal.SIGINT else Meaning.END_NOW_TOO


@define(eq=False, repr=False)
class Signals:
    """
    The signals of this process.

    :param reload: called at SIGHUP, in the reactor.
    """

    _reactor: Any
    _lifecycle: Lifecycle
    _reload: Callable[[], object]
    _insist: Callable[[float, int], None] = insist
    _counting: Counting = field(factory=Counting, init=False)

    def install(self) -> None:
        """
        Take the place of Twisted's handlers, which come when the reactor starts.
        """
        self._reactor.callWhenRunning(self._install)

    def heard(self, number: int) -> None:
        """
        Count a signal and have the reactor act on it; called by the handler.
        """
        meaning = self._counting.heard(number, self._reactor.seconds())
        if meaning.code is not None:
            self._insist(_STUCK, meaning.code)
        if meaning is not Meaning.NOTHING:
            self._reactor.callFromThread(self.act, meaning)

    def act(self, meaning: Meaning) -> None:
        """
        Do what a signal means; in the reactor.
        """
        if meaning is Meaning.RELOAD:
            self._try_reload()
        elif meaning.code is not None:
            self._lifecycle.force(meaning.value, meaning.code)
        else:
            self._lifecycle.stop("SIGTERM")

    def _install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.heard(number)

    def _try_reload(self) -> None:
        try:
            self._reload()
        except Exception:  # noqa: BLE001 - what ran before the signal runs on
            _log.failure("could not reload")
