# SPDX-License-Identifier: MIT
"""
Signs of life for systemd's watchdog.

sd_watchdog_enabled(3): ``WATCHDOG_USEC`` is the limit, and ``WATCHDOG_PID`` whom it is for.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_log = Logger(namespace="powercoord.lifecycle")


def limit_of(environ: MutableMapping[str, str], pid: int) -> float | None:
    """
    Take the limit in seconds out of the environment; None: nobody watches this process.
    """
    microseconds, whom = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not microseconds or (whom and whom != str(pid)):
        return None
    if not microseconds.isdecimal() or int(microseconds) == 0:
        _log.warn(
            "WATCHDOG_USEC is {value!r}, which is no time; the watchdog is not served", value=microseconds
        )
        return None
    return int(microseconds) / 1_000_000


@define(eq=False)
class Watchdog:
    """
    Gives a sign of life at half the limit, from the reactor, so that one that is stuck gives none.

    :param limit: after how many seconds without a sign systemd aborts us.
    :param alive: whether what the reactor cannot see lives too: the journal's
        thread.  A journal that cannot be *written* is alive: it says so to
        callers, and a restart would not mend the disk.
    """

    _clock: IReactorTime
    _send: Callable[[str], None]
    _limit: float
    _alive: Callable[[], bool]
    _next: IDelayedCall | None = field(default=None, init=False)
    _dead: bool = field(default=False, init=False)

    def start(self) -> None:
        """
        Give the first sign, and more.
        """
        self._next = self._clock.callLater(self._limit / 2, self.start)
        if self._alive():
            self._send("WATCHDOG=1")
        elif not self._dead:
            self._dead = True
            _log.critical(
                "the journal's thread is dead; systemd's watchdog will end this process within {limit} s",
                limit=self._limit,
            )

    def stop(self) -> None:
        """
        Give no more.
        """
        if self._next is not None:
            self._next.cancel()
            self._next = None
