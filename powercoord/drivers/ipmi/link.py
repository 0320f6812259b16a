# SPDX-License-Identifier: MIT
"""
The line to one BMC: one conversation at a time, and the session that is kept between them.

A line is *free* without a session, *free* with a session (which ends when it was
idle for too long), or *busy* with one conversation. Only a free line is hung up from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.drivers.ipmi.ask import Command, CommandAsk
from powercoord.drivers.ipmi.bmc import Bmc
from powercoord.drivers.ipmi.channel import CloseSession
from powercoord.drivers.ipmi.conversation import Conversation
from powercoord.drivers.ipmi.counters import Counters
from powercoord.drivers.ipmi.errand import Errand
from powercoord.drivers.ipmi.pace import Pace
from powercoord.drivers.ipmi.wheel import Wheel
from powercoord.drivers.turns import Turns
from powercoord.errors import PowerConnError

T = TypeVar("T")


def _paces() -> tuple[Pace, Pace]:
    return Pace(), Pace()


@define(eq=False, kw_only=True)
class Link:
    """
    One BMC's memory, and the conversation with it.

    :param send: gives a datagram for this BMC to the kernel.
    :param settled: called when a conversation is over.
    """

    bmc: Bmc
    clock: IReactorTime
    counters: Counters
    send: Callable[[bytes], bool]
    wheel: Wheel
    settled: Callable[[Link], None]
    _turns: Turns | None = field(default=None, init=False)
    _paces: tuple[Pace, Pace] = field(factory=_paces, init=False)
    _talk: Conversation[Any] | None = field(default=None, init=False)
    _idle: IDelayedCall | None = field(default=None, init=False)
    _limit: float = field(default=0.0, init=False)

    @property
    def busy(self) -> bool:
        """
        Whether a conversation is going on or waited for.
        """
        return self._talk is not None or bool(self._turns)

    def perform(self, errand: Errand[T]) -> Deferred[T]:
        """
        Have it done, after those that came before.
        """
        if self._talk is not None:
            return Deferred.fromCoroutine(self._wait(errand))
        bmc, login = self.bmc, errand.login
        if bmc.session is not None and bmc.stale(login):
            self.hang_up()
        bmc.what, self._limit = login.what, login.idle
        self.counters.talks += 1
        self._talk = talk = Conversation(
            errand=errand,
            script=errand.script(bmc, login),
            send=self.send,
            seconds=bmc.seconds,
            wheel=self.wheel,
            paces=self._paces,
            counters=self.counters,
            ended=self._ended,
        )
        return talk.start()

    async def _wait(self, errand: Errand[T]) -> T:
        late = PowerConnError(f"{errand.login.what}: still busy with another operation")
        if self._turns is None:
            self._turns = Turns(self.clock)
        while self._talk is not None:
            await self._turns.wait(errand.operation, errand.deadline, late)
        return await self.perform(errand)

    def _ended(self, error: BaseException | None) -> None:
        self._talk = None
        self.counters.talks -= 1
        if isinstance(error, PowerConnError | CancelledError):
            self.bmc.forget()
        if self._idle is None and self.bmc.session is not None:
            self._watch_idle()
        self.settled(self)
        if self._turns:
            self._turns.release()

    def received(self, datagram: bytes) -> None:
        """
        A datagram came from this BMC.
        """
        if self._talk is None:
            self.counters.ignored += 1
        else:
            self._talk.received(datagram)

    def unreachable(self, reason: str) -> None:
        """
        A host on the way said that this BMC does not get our datagrams.
        """
        if self._talk is not None:
            self._talk.unreachable(reason)

    def hang_up(self) -> None:
        """
        End the session, if there is one: said once, because the answer to it may never come.
        """
        session = self.bmc.session
        if session is None:
            return
        self.bmc.forget()
        request = CloseSession(session.close_id())
        ask = CommandAsk(session, Command(request.NETFN, request.COMMAND, request.encode()))
        try:
            self.send(ask.write())
        except OSError:
            return
        self.counters.sent += 1

    def close(self) -> None:
        """
        End whatever goes on, hang up, and leave no timer behind.
        """
        reason = "the driver is closed"
        if self._turns is not None:
            self._turns.dismiss(PowerConnError(f"{self.bmc.what}: {reason}"))
        self.hang_up()
        self.unreachable(reason)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _watch_idle(self) -> None:
        if self._limit > 0:
            self._idle = self.clock.callLater(self._limit, self._idle_over)
        else:
            self.hang_up()

    def _idle_over(self) -> None:
        """
        Look whether the session was used since; the timer is not moved for each use.
        """
        self._idle = None
        if self.bmc.session is None:
            return
        left = self._limit - self.bmc.age()
        if left <= 0 and not self.busy:
            self.hang_up()
        else:
            self._idle = self.clock.callLater(max(left, 1.0), self._idle_over)
