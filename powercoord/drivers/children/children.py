# SPDX-License-Identifier: MIT
"""
Children as drivers run them: one program, one operation, one end.

# Note [What a cancel may know]

From outside a child looks the same before and after it has told the BMC
something.  So a child that only reads is ended as soon as nobody wants its
answer; one that changes power is left its time, because its answer is the only
witness of what it did, and its time is the operation's own.  A hard cancel
ends either at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from powercoord.drivers.children.child import Child, Patience, SendSignal, to_group
from powercoord.drivers.children.places import Places, Rank
from powercoord.drivers.children.program import Ended, Halt, Program
from powercoord.errors import OperationCancelled, PowerActionError, PowerConnError, PowerToolError
from powercoord.interfaces import IOperation

#: What is kept of an operation's time to end a child that has not ended by itself.
RESERVE = 1.25


@define(eq=False)
class Children:
    """
    Runs programs for one driver.

    :param _reactor: an IReactorProcess and IReactorTime.
    :param _leader: how a program becomes the leader of a group of its own; empty: it does not.
    """

    _reactor: Any
    _leader: tuple[str, ...] = ()
    _places: Places = field(factory=lambda: Places(32))
    _patience: Patience = field(factory=Patience)
    _send: SendSignal = to_group
    _alive: dict[Child, Program] = field(factory=dict, init=False)
    _closed: bool = field(default=False, init=False)
    _closing: Deferred[None] | None = field(default=None, init=False)

    @property
    def alive(self) -> int:
        """
        How many there are now.
        """
        return len(self._alive)

    async def run(self, program: Program, operation: IOperation, deadline: float, rank: Rank) -> Ended:
        """
        Run a program to its end, which comes by ``deadline``.

        ``sending`` is called before a program starts that changes power.

        :raises OperationCancelled: it was cancelled before it started, or while it only read.
        :raises PowerError: it could not be started, or had no end in its time.
        """
        if operation.cancelled:
            raise OperationCancelled(f"{program.name}: cancelled before it was started")
        deadline = min(deadline, operation.deadline)
        if self._closed or deadline <= self._reactor.seconds():
            reason = "the driver is closed" if self._closed else "there was no time left"
            raise PowerConnError(f"{program.name}: not started, because {reason}")
        stop = Stop(operation)
        changes = rank is not Rank.READ
        try:
            await self._place(program, stop, deadline, rank)
            try:
                if changes:
                    operation.sending()
                    stop.forget()
                ended = await self._live(program, stop, deadline)
            finally:
                self._places.give_back()
        finally:
            stop.forget()
        return _whole(program, ended, changes)

    def close(self) -> Deferred[None]:
        """
        End all; fires once they are reaped, within seconds.
        """
        self._closed = True
        closing: Deferred[None] = Deferred()
        if self._alive:
            self._closing = closing
            for child in list(self._alive):
                child.kill()
        else:
            closing.callback(None)
        return closing

    async def _place(self, program: Program, stop: Stop, deadline: float, rank: Rank) -> None:
        """
        Wait for a place, as long as the child would still have time.
        """
        waiting = self._places.take(rank)
        timer = self._at(deadline - RESERVE, waiting.cancel)
        stop.then(waiting.cancel)
        try:
            await waiting
        except CancelledError:
            if stop.asked:
                raise OperationCancelled(f"{program.name}: cancelled before it was started") from None
            if timer.active():
                raise
            raise PowerActionError(
                f"{program.name}: not started, because {self._places.size} programs were running all the time"
            ) from None
        finally:
            _disarm(timer)

    async def _live(self, program: Program, stop: Stop, deadline: float) -> Ended:
        child = self._spawn(program)
        remaining = max(deadline - self._reactor.seconds(), 0.0)
        reserve = min(RESERVE, remaining / 2)
        grace = reserve * 0.8
        timer = self._at(deadline - reserve, lambda: child.halt(Halt.DEADLINE, grace))
        stop.then(lambda: child.halt(Halt.CANCELLED))
        answer: Deferred[Ended] = Deferred(lambda _: child.kill())
        child.ended.addCallback(self._reaped, child, answer)
        try:
            return await answer
        finally:
            _disarm(timer)

    def _spawn(self, program: Program) -> Child:
        if self._closed:
            raise PowerConnError(f"{program.name}: not started, because the driver is closed")
        argv = (*self._leader, *program.argv)
        child = Child(self._reactor, program, self._patience, self._send)
        try:
            self._reactor.spawnProcess(child, argv[0], argv, dict(program.environment))
        except OSError as error:
            raise PowerToolError(f"cannot run {program.argv[0]}: {error.strerror or error}") from None
        self._alive[child] = program
        return child

    def _reaped(self, ended: Ended, child: Child, answer: Deferred[Ended]) -> None:
        del self._alive[child]
        if not answer.called:
            answer.callback(ended)
        if self._closing is not None and not self._alive:
            closing, self._closing = self._closing, None
            closing.callback(None)

    def _at(self, when: float, what: Callable[[], object]) -> IDelayedCall:
        timer: IDelayedCall = self._reactor.callLater(max(when - self._reactor.seconds(), 0.0), what)
        return timer


class Stop:
    """
    What a polite cancel does, which changes as an operation goes on.
    """

    def __init__(self, operation: IOperation) -> None:
        self.asked = False
        self._then: Callable[[], object] | None = None
        operation.when_cancelled(self._ask)

    def then(self, what: Callable[[], object]) -> None:
        """
        Do this when it comes, or now if it has come.
        """
        if self._then is _NOTHING:
            return
        self._then = what
        if self.asked:
            what()

    def forget(self) -> None:
        """
        From now on do nothing.
        """
        self._then = _NOTHING

    def _ask(self) -> None:
        self.asked = True
        if self._then is not None:
            self._then()


def _nothing() -> None:
    """
    Let a cancel pass.
    """


_NOTHING = _nothing


def _disarm(timer: IDelayedCall) -> None:
    if timer.active():
        timer.cancel()


def _whole(program: Program, ended: Ended, changes: bool) -> Ended:
    """
    An end that the child came to by itself; any other is an error.
    """
    if ended.halt is Halt.CANCELLED:
        raise OperationCancelled(f"{program.name}: ended because it was cancelled", sent=changes)
    if ended.halt is Halt.DEADLINE:
        raise PowerConnError(f"{program.name}: no end in its time; {ended.words()}", sent=changes)
    return ended
