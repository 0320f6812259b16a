# SPDX-License-Identifier: MIT
"""
One operation with one BMC on the wire: ask, repeat, wait, give up, stop.

Carries out a script (`powercoord.drivers.ipmi.ask`). All that concerns time,
loss and cancelling is here; all that concerns IPMI is in the script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from powercoord.drivers.ipmi.ask import Ask, NoAnswer, Pause, Script
from powercoord.drivers.ipmi.counters import Counters
from powercoord.drivers.ipmi.errand import Errand
from powercoord.drivers.ipmi.pace import Pace, longer
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.drivers.ipmi.wheel import NEVER, Wheel
from powercoord.errors import OperationCancelled, PowerActionError, PowerConnError

T = TypeVar("T")


@define(eq=False, kw_only=True)
class Conversation(Generic[T]):
    """
    Runs a script to its end.

    :param send: gives a datagram to the kernel; False if it did not take it.
    :param paces: of requests inside a session, and of session set-up.
    :param ended: called when it is over, with what it failed with, before anybody is told.
    """

    errand: Errand[T]
    script: Script[T]
    send: Callable[[bytes], bool]
    seconds: Callable[[], float]
    wheel: Wheel
    paces: tuple[Pace, Pace]
    counters: Counters
    ended: Callable[[BaseException | None], None]

    due: float = field(default=NEVER, init=False)
    slot: float = field(default=NEVER, init=False)
    _done: Deferred[T] | None = field(default=None, init=False)
    _ask: Ask | None = field(default=None, init=False)
    _wait: float = field(default=0.0, init=False)
    _asked: float = field(default=0.0, init=False)
    _lost: float = field(default=0.0, init=False)
    _left: bool = field(default=False, init=False)
    _attempts: int = field(default=0, init=False)

    def start(self) -> Deferred[T]:
        """
        Begin; fires with what the script returns, or fails with what it raises.

        Cancelling it is the hard way to stop: nothing is sent any more.
        """
        done: Deferred[T] = Deferred(self._torn_down)
        self._done = done
        self.errand.operation.when_cancelled(self._asked_to_stop)
        self._advance(self.script.send, None)
        return done

    def received(self, datagram: bytes) -> None:
        """
        A datagram came from this BMC.
        """
        ask = self._ask
        if ask is None:
            self.counters.ignored += 1
            return
        try:
            answer = ask.read(datagram)
        except MalformedDatagram:
            self.counters.malformed += 1
            return
        if answer is None:
            self.counters.ignored += 1
            return
        pace = self.paces[ask.setup]
        if ask.attempts == 1:
            pace.answered(self.seconds() - self._asked)
        else:
            pace.lost()
        self._advance(self.script.send, answer)

    def unreachable(self, reason: str) -> None:
        """
        A host on the way said that nobody will get this.
        """
        if self._done is not None:
            self._fail(PowerConnError(f"{self.errand.login.what}: {reason}", sent=self._left))

    def _advance(self, step: Callable[[Any], Ask | Pause], value: Any) -> None:
        """
        Let the script go on, and begin what it asks for next.
        """
        self._ask = None
        if self._done is None:
            return
        try:
            ask = step(value)
        except StopIteration as end:
            self._succeed(end.value)
        except NoAnswer:
            self._fail(self._silence())
        except MalformedDatagram as error:
            # Proved to be the BMC's, and still not what it should be.
            self._fail(PowerActionError(f"{self.errand.login.what}: {error}", sent=self._left))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this operation's
            self._fail(error)
        else:
            self._begin(ask)

    def _begin(self, ask: Ask | Pause) -> None:
        if self.errand.operation.cancelled:
            self._fail(OperationCancelled(sent=self._left))
            return
        now = self.seconds()
        if isinstance(ask, Pause):
            self._lost = min(now + ask.seconds, self.errand.deadline)
            self.wheel.set(self, self._lost)
            return
        self._ask, self._asked = ask, now
        self._wait = self.paces[ask.setup].wait
        self._lost = (
            self.errand.deadline if ask.patience is None else min(now + ask.patience, self.errand.deadline)
        )
        self._transmit(ask, now)

    def _transmit(self, ask: Ask, now: float) -> None:
        if ask.changes:
            self.errand.operation.sending()
            if self._done is None:
                # Whoever was told has stopped it.
                return
        try:
            left = self.send(ask.write())
        except OSError as error:
            self.unreachable(error.strerror or str(error))
            return
        if left:
            ask.attempts += 1
            self._attempts += 1
            self.counters.sent += 1
            if ask.changes:
                self._left = True
            if ask.attempts > 1:
                self.counters.retransmitted += 1
        again = now + self._wait
        self.wheel.set(self, min(self._lost, again))

    def ring(self) -> None:
        """
        The time that was set has come: a request is late, or a pause is over.
        """
        ask, now = self._ask, self.seconds()
        if ask is not None and now < self._lost:
            self._again(ask, now)
        elif ask is None and now < self.errand.deadline:
            self._advance(self.script.send, None)
        else:
            self._advance(self.script.throw, NoAnswer())

    def _again(self, ask: Ask, now: float) -> None:
        """
        Repeat a request, unless that is not allowed: then only wait for its answer.
        """
        if ask.attempts and (ask.attempts == ask.limit or self.errand.operation.cancelled):
            self.wheel.set(self, self._lost)
            return
        self._wait = longer(self._wait)
        self._transmit(ask, now)

    def _silence(self) -> PowerConnError:
        times = "1 request" if self._attempts == 1 else f"{self._attempts} requests"
        return PowerConnError(f"{self.errand.login.what}: no answer ({times} sent)", sent=self._left)

    def _asked_to_stop(self) -> None:
        """
        The polite cancel: over at once unless a change is on its way.
        """
        ask = self._ask
        if self._done is not None and not (ask is not None and ask.changes and ask.attempts):
            self._fail(OperationCancelled(sent=self._left))

    def _torn_down(self, _: Deferred[T]) -> None:
        self._over(CancelledError())

    def _succeed(self, value: T) -> None:
        done = self._over(None)
        if done is not None:
            done.callback(value)

    def _fail(self, error: Exception) -> None:
        done = self._over(error)
        if done is not None:
            done.errback(Failure(error))

    def _over(self, error: BaseException | None) -> Deferred[T] | None:
        done, self._done, self._ask = self._done, None, None
        self.wheel.remove(self)
        if done is not None:
            self.script.close()
            self.ended(error)
        return done
