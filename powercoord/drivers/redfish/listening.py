# SPDX-License-Identifier: MIT
"""
Hearing from a service by itself that power may have changed (DSP0266, "Server-sent events").

What is heard is a reason to read, and nothing more. So nothing is lost if a stream ends, or never was: it
is opened beside a read that went well, with the login which that has, and not again before a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from powercoord.drivers.redfish.bmc import Bmc, Errand, Quiet
from powercoord.drivers.redfish.resource import path_in
from powercoord.errors import PowercoordError

Hint = Callable[[], None]

#: Before a stream that ended, or never was, is tried again; doubled each time until something is heard.
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 600.0

#: How long it may take to begin.
_BEGIN = 20.0

#: The most that an event may say; who says more without an end is not listened to.
_MOST = 1 << 16

# What an event about power has in it, in whatever words; reports of temperatures and logins have not.
_ABOUT_POWER = (b"Power", b"/Systems/", b"StatusChange", b"StateChange")

_log = Logger(namespace="powercoord.drivers.redfish")


@define
class EventReader:
    """
    Cuts what comes into events.
    """

    _rest: bytes = field(default=b"", init=False)

    def events(self, data: bytes) -> Iterator[bytes]:
        """
        The events that have come to their end, as they are.

        :raises ValueError: one has none.
        """
        text = (self._rest + data).replace(b"\r\n", b"\n")
        *whole, self._rest = text.split(b"\n\n")
        if len(self._rest) > _MOST:
            raise ValueError("an event without end")
        yield from (event for event in whole if b"data:" in event)


@define(eq=False)
class Listening:
    """
    Listens to one service, as long as somebody wants to hear.

    :param place: the path of a system by the name that its node has for it, if that is known.
    """

    _bmc: Bmc
    _place: Callable[[str], str]
    _hints: dict[int, tuple[str, Hint]] = field(factory=dict, init=False)
    _number: int = field(default=0, init=False)
    _stream: Deferred[None] | None = field(default=None, init=False)
    _pause: float = field(default=FIRST_PAUSE, init=False)
    _not_before: float = field(default=0.0, init=False)

    def add(self, name: str, hint: Hint) -> Callable[[], None]:
        """
        Tell ``hint`` of a system, until the result is called.
        """
        self._number += 1
        number = self._number
        self._hints[number] = name, hint

        def stop() -> None:
            self._hints.pop(number, None)
            if not self._hints:
                self.stop()

        return stop

    def may_begin(self) -> None:
        """
        A read went well: listen, if that is wanted, and not done or tried of late.
        """
        if self._hints and self._stream is None and self._bmc.clock.seconds() >= self._not_before:
            self._stream = stream = Deferred.fromCoroutine(self._listen())
            stream.addBoth(self._ended)

    def stop(self) -> None:
        """
        Listen no more.
        """
        if self._stream is not None:
            self._stream.cancel()

    def _ended(self, _: object) -> None:
        self._stream = None
        self._not_before = self._bmc.clock.seconds() + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)

    async def _listen(self) -> None:
        try:
            until = self._bmc.clock.seconds() + _BEGIN
            errand = Errand(Quiet(until), until)
            service = (await self._bmc.root(errand)).events
            path = (
                path_in((await self._bmc.get(service, errand)).get("ServerSentEventUri")) if service else ""
            )
            if path:
                reader = EventReader()
                await self._bmc.listen(path, until, lambda data: self._heard(reader, data))
        except CancelledError:
            pass
        except (PowercoordError, ValueError) as error:
            _log.info("no events from {bmc}: {error}", bmc=self._bmc.what, error=str(error))
        except Exception:  # noqa: BLE001 - it is only slower without
            _log.failure("no events from {bmc}", bmc=self._bmc.what)

    def _heard(self, reader: EventReader, data: bytes) -> None:
        for event in reader.events(data):
            self._pause = FIRST_PAUSE
            if any(word in event for word in _ABOUT_POWER):
                self._tell(event)

    def _tell(self, event: bytes) -> None:
        """
        Tell of the systems that are named; of all, if none is.
        """
        for name, hint in list(self._hints.values()):
            path = self._place(name).encode()
            if not path or b"/Systems/" not in event or path in event:
                hint()
