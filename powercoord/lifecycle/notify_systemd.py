# SPDX-License-Identifier: MIT
"""
systemd as the service sees it, whether it is there or not.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Self

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from powercoord.lifecycle.notify import Notifier
from powercoord.lifecycle.notify_socket import NotifySocket, address
from powercoord.lifecycle.watchdog import Watchdog, limit_of
from powercoord.stages import ILifecycle

_log = Logger(namespace="powercoord.lifecycle")


@define(eq=False)
class Systemd:
    """
    All that is said to systemd; nothing, where none asked.

    :param pid: as in `Notifier`.
    :param monotonic: as in `Notifier`.
    :param limit: the watchdog's, None where there is none.
    """

    _clock: IReactorTime
    _socket: NotifySocket | None
    _limit: float | None
    _pid: Callable[[], int]
    _monotonic: Callable[[], int]
    _notifier: Notifier | None = field(default=None, init=False)
    _watchdog: Watchdog | None = field(default=None, init=False)

    @classmethod
    def from_environment(
        cls,
        clock: IReactorTime,
        environ: MutableMapping[str, str],
        pid: Callable[[], int],
        monotonic: Callable[[], int],
    ) -> Self:
        """
        Take what systemd left us out of the environment, so that no child believes that it was meant.
        """
        # Twisted takes the other two of these when it looks for sockets, but not the names.
        environ.pop("LISTEN_FDNAMES", None)
        limit, where = limit_of(environ, pid()), environ.pop("NOTIFY_SOCKET", "")
        if not where:
            return cls(clock, None, None, pid, monotonic)
        try:
            socket = NotifySocket(clock, address(where))
        except ValueError as error:
            _log.warn("systemd is told nothing: {reason}", reason=str(error))
            return cls(clock, None, None, pid, monotonic)
        return cls(clock, socket, limit, pid, monotonic)

    def start(self, lifecycle: ILifecycle, progress: Callable[[], int], alive: Callable[[], bool]) -> None:
        """
        Follow a lifecycle; ``progress`` as in `Notifier`, ``alive`` as in `Watchdog`.
        """
        if self._socket is None:
            return
        send = self._socket.send
        self._notifier = Notifier(self._clock, send, lifecycle, progress, self._pid, self._monotonic)
        self._notifier.start()
        if self._limit is not None:
            self._watchdog = Watchdog(self._clock, send, self._limit, alive)
            self._watchdog.start()

    def reloading(self) -> None:
        """
        As in `Notifier`.
        """
        if self._notifier is not None:
            self._notifier.reloading()

    def reloaded(self) -> None:
        """
        As in `Notifier`.
        """
        if self._notifier is not None:
            self._notifier.reloaded()

    def stop(self) -> None:
        """
        Say no more.
        """
        for part in (self._notifier, self._watchdog):
            if part is not None:
                part.stop()
        self._notifier = self._watchdog = None
        if self._socket is not None:
            self._socket.close()
