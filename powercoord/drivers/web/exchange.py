# SPDX-License-Identifier: MIT
"""
One HTTP exchange after another with a BMC, on a connection that is kept.

Twisted's Agent does the HTTP. What is added: no more than so many connections, bounds on all that a BMC may
send, one deadline for everything, two ways to stop, and the truth about what has left.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import Factory, define, evolve, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from powercoord.drivers.web.counters import Counters
from powercoord.drivers.web.failures import explain, is_loss
from powercoord.drivers.web.line import Watch
from powercoord.drivers.web.place import Place
from powercoord.drivers.web.redirects import MOST, moved
from powercoord.drivers.web.seat import Answer, Ask, Bounds, Seat
from powercoord.drivers.web.trust import Trust
from powercoord.errors import OperationCancelled, PowerConnError, PowerRefusedError
from powercoord.interfaces import IOperation


def sockets(reactor: object) -> Callable[[Place], IStreamClientEndpoint]:
    """
    Endpoints of the real network; an IP address needs no resolver, and its thread.
    """

    def endpoint(place: Place) -> IStreamClientEndpoint:
        if not place.literal:
            return HostnameEndpoint(reactor, place.host, place.port)
        kind = TCP6ClientEndpoint if ":" in place.host else TCP4ClientEndpoint
        return kind(reactor, place.host, place.port)

    return endpoint


def _nothing() -> None:
    """
    A stream changes no power.
    """


_STOPPED = "politely stopped"


@define(eq=False)
class _Flight:
    """
    One call of `Exchange.ask`, from its queue to its last byte.
    """

    operation: IOperation
    changes: bool
    what: str
    sent: bool = False
    end: str = ""
    course: Deferred[Answer] = field(factory=Deferred)

    def leaving(self) -> None:
        """
        The first byte leaves now.
        """
        if self.changes:
            self.sent = True
            self.operation.sending()

    def stop(self, reason: str) -> None:
        """
        End it, and remember why.
        """
        if not self.end and not self.course.called:
            self.end = reason
            self.course.cancel()

    def asked_to_stop(self) -> None:
        """
        Politely: what may have arrived must be answered, or run out its time.
        """
        if not self.sent:
            self.stop(_STOPPED)


@define(eq=False)
class Exchange:
    """
    All talk with one BMC.

    Whatever is asked at once waits in line for a connection. A hard cancel, a deadline and
    an answer that makes no sense close the connection that was used.

    :param endpoint: makes the endpoint of a place, without TLS.
    """

    _clock: IReactorTime
    place: Place
    trust: Trust
    _endpoint: Callable[[Place], IStreamClientEndpoint]
    bounds: Bounds = Factory(Bounds)
    counters: Counters = Factory(Counters)
    _room: DeferredSemaphore = field(init=False)
    _free: list[Seat] = field(factory=list, init=False)
    _flights: set[_Flight] = field(factory=set, init=False)
    _streams: set[Deferred[Answer]] = field(factory=set, init=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """
        Make room; nothing is opened yet.
        """
        self._room = DeferredSemaphore(self.bounds.connections)
        self._free = [
            Seat(self._clock, self.place, self.trust, self._endpoint, self.bounds, self.counters)
            for _ in range(self.bounds.connections)
        ]

    async def ask(self, ask: Ask, operation: IOperation, until: float, *, changes: bool = False) -> Answer:
        """
        Have one request answered, with whatever status.

        :param until: on the clock; not after ``operation.deadline``.
        :param changes: whether it may change power, which is announced by ``operation.sending``.
        :raises PowerConnError: no answer; ``sent`` tells whether a change may have arrived.
        :raises PowerAuthError: whoever is there is not trusted; nothing was sent.
        :raises PowerActionError: the answer is longer than the bounds.
        :raises PowerRefusedError: it sends us to another server.
        :raises PowerSettingError: the CA file cannot be used.
        :raises OperationCancelled: politely stopped before anything left.
        """
        if operation.cancelled:
            raise OperationCancelled
        if self._closed:
            raise PowerConnError(f"{self.place.text}: closed by us")
        flight = _Flight(operation, changes, f"{ask.method} {ask.path.partition('?')[0]}")
        limit = min(until, operation.deadline)
        patience = limit - self._clock.seconds()
        if patience <= 0:
            raise PowerConnError(f"{self.place.text}: {flight.what}: no time is left for it")
        timer = self._clock.callLater(patience, flight.stop, f"no answer within {patience:.3g} s")
        self._flights.add(flight)
        operation.when_cancelled(flight.asked_to_stop)
        try:
            flight.course = Deferred.fromCoroutine(self._course(ask, flight))
            return await flight.course
        except Exception:
            if not flight.end:
                raise
            if flight.end == _STOPPED:
                raise OperationCancelled from None
            raise PowerConnError(
                f"{self.place.text}: {flight.what}: {flight.end}", sent=flight.sent
            ) from None
        finally:
            self._flights.discard(flight)
            if timer.active():
                timer.cancel()

    async def stream(self, ask: Ask, until: float, heard: Callable[[bytes], None]) -> Answer:
        """
        Hear an answer that goes on and on, on a connection of its own, until either side ends it.

        :param until: on the clock, when it must have begun.
        :param heard: is told what comes; if it raises, that is the end.
        :return: the answer without what was heard; of any status but 200 with its body.
        """
        if self._closed:
            raise PowerConnError(f"{self.place.text}: closed by us")
        seat = Seat(self._clock, self.place, self.trust, self._endpoint, self.bounds, self.counters)
        watch = Watch(_nothing, self.bounds.head)
        patience = max(0.0, until - self._clock.seconds())
        timer = self._clock.callLater(patience, lambda: fetching.cancel())  # noqa: PLW0108 - it comes below
        fetching = Deferred.fromCoroutine(seat.fetch(ask, watch, heard, timer.cancel))
        self._streams.add(fetching)
        try:
            return await fetching
        except Exception as error:  # noqa: BLE001 - what is not ours to explain goes on as it is
            raise explain(error, self.place, sent=False) from None
        finally:
            self._streams.discard(fetching)
            seat.abort()
            if timer.active():
                timer.cancel()

    async def close(self) -> None:
        """
        End what is going on, and give back all sockets; within a second or two.
        """
        self._closed = True
        for stream in list(self._streams):
            stream.cancel()
        for flight in list(self._flights):
            flight.stop("closed by us")
        for seat in list(self._free):
            await seat.close()

    async def _course(self, ask: Ask, flight: _Flight) -> Answer:
        await self._room.acquire()
        seat = self._free.pop()
        try:
            return await self._follow(seat, ask, flight)
        finally:
            self._free.append(seat)
            self._room.release()

    async def _follow(self, seat: Seat, ask: Ask, flight: _Flight) -> Answer:
        for _ in range(MOST + 1):
            answer = await self._send(seat, ask, flight)
            path = moved(self.place, ask, answer)
            if path is None:
                return answer
            self.counters.redirected += 1
            ask = evolve(ask, path=path)
        raise PowerRefusedError(f"{self.place.text}: {flight.what}: redirected more than {MOST} times")

    async def _send(self, seat: Seat, ask: Ask, flight: _Flight) -> Answer:
        """
        Send it; once more if a kept connection had gone stale and nothing can have come of it.
        """
        for again in (False, True):
            before = seat.connected
            watch = Watch(flight.leaving, self.bounds.head)
            try:
                return await self._once(seat, ask, watch)
            except Exception as error:  # noqa: BLE001 - what is not ours to explain goes on as it is
                stale = is_loss(error) and seat.connected == before and not watch.came
                if again or not stale or (watch.left and not ask.harmless):
                    raise explain(error, self.place, sent=flight.sent) from None
            self.counters.repeated += 1
        raise AssertionError("unreachable")

    async def _once(self, seat: Seat, ask: Ask, watch: Watch) -> Answer:
        try:
            return await seat.fetch(ask, watch)
        finally:
            self.counters.requests += watch.left
