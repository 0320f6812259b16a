# SPDX-License-Identifier: MIT
"""
The datagram socket on which systemd hears how its services are.

sd_notify(3): one datagram of ``NAME=value`` lines, sent to the address in
``NOTIFY_SOCKET``; ``@`` at its beginning stands for the NUL of an abstract one.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_log = Logger(namespace="powercoord.lifecycle")
_AGAIN = 0.1
_KEPT = 64


def address(text: str) -> str:
    """
    What ``sendto`` calls the socket that ``NOTIFY_SOCKET`` names.

    :raises ValueError: it is of a kind that we do not know (vsock, for one).
    """
    if text.startswith("@") and len(text) > 1:
        return f"\0{text[1:]}"
    if text.startswith("/"):
        return text
    raise ValueError(f"NOTIFY_SOCKET is {text!r}; only a path, or @ and a name, can be sent to")


@define(eq=False)
class NotifySocket:
    """
    Tells systemd things, in order, and never waits for it.

    While its queue is full they are kept, and tried again soon.  Anything
    else that goes wrong is logged once: whoever is not heard still works.

    :param address: as `address` makes it.
    """

    _clock: IReactorTime
    _address: str
    _socket: socket.socket | None = field(default=None, init=False)
    _waiting: deque[bytes] = field(factory=lambda: deque(maxlen=_KEPT), init=False)
    _again: IDelayedCall | None = field(default=None, init=False)
    _complained: bool = field(default=False, init=False)

    def send(self, text: str) -> None:
        """
        Tell it, now or soon.
        """
        self._waiting.append(text.encode("utf-8", "replace"))
        if self._again is None:
            self._flush()

    def close(self) -> None:
        """
        Try a last time what waits, and let go of the socket.
        """
        if self._again is not None:
            self._again.cancel()
            self._again = None
        with suppress(BlockingIOError):
            self._empty()
        self._waiting.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _flush(self) -> None:
        self._again = None
        try:
            self._empty()
        except BlockingIOError:
            self._again = self._clock.callLater(_AGAIN, self._flush)

    def _empty(self) -> None:
        while self._waiting:
            try:
                self._opened().sendto(self._waiting[0], self._address)
            except BlockingIOError:
                raise
            except OSError as error:
                self._complain(error)
            self._waiting.popleft()

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            _log.warn(
                "cannot tell systemd how we are at {where}: {reason}; this is not said again",
                where=self._address.replace("\0", "@"),
                reason=error.strerror or str(error),
            )
