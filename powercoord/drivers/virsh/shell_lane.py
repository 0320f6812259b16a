# SPDX-License-Identifier: MIT
"""
A few shells that share one kind of work, started when there is some and ended when there has been none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall

from powercoord.drivers.virsh.shell_child import Shell, ShellEnded
from powercoord.drivers.virsh.shell_framing import Answer
from powercoord.drivers.virsh.shell_meanings import cannot_connect
from powercoord.errors import PowerConnError, PowerError

#: How long a shell may have nothing to do before it is ended, in seconds.
IDLE = 120.0


def _nothing() -> None:
    """
    No change leaves.
    """


@define(eq=False)
class Lane:
    """
    At most so many shells; who comes when all are busy waits, in turn.

    :param start: starts a virsh, or says why not.
    """

    _clock: Any
    _name: str
    _most: int
    _start: Callable[[], Shell]
    _shells: set[Shell] = field(factory=set, init=False)
    _idle: dict[Shell, IDelayedCall] = field(factory=dict, init=False)
    _dying: set[Shell] = field(factory=set, init=False)
    _waiting: deque[Deferred[None]] = field(factory=deque, init=False)
    _closed: bool = field(default=False, init=False)

    async def ask(self, *commands: str, leaving: Callable[[], None] | None = None) -> Answer:
        """
        Have commands carried out by one shell, which has been found to be connected before.

        Cancelling the Deferred of it while they are carried out kills that shell.

        :param leaving: called right before they leave, if they change power.
        :raises PowerConnError: nobody could be reached, or the shell ended half-way.
        """
        while not self._free():
            await self._turn()
        shell = self._take()
        try:
            if not shell.ready:
                await self._connect(shell)
            (leaving or _nothing)()
            return await self._carry_out(shell, commands, changes=leaving is not None)
        finally:
            self._give_back(shell)

    async def close(self) -> None:
        """
        End all shells; those at work at once.
        """
        self._closed = True
        self._fail_waiting(PowerConnError(f"{self._name}: closing"))
        for shell, timer in self._idle.items():
            timer.cancel()
            self._end(shell)
        self._idle.clear()
        for shell in self._shells:
            shell.kill("closing")
        await DeferredList([_ended(shell) for shell in self._shells | self._dying])

    def _free(self) -> bool:
        if self._closed:
            raise PowerConnError(f"{self._name}: closed")
        return bool(self._idle) or len(self._shells) < self._most

    def _turn(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def _take(self) -> Shell:
        while self._idle:
            shell, timer = self._idle.popitem()
            timer.cancel()
            if not shell.dead:
                return shell
            self._shells.discard(shell)
        try:
            shell = self._start()
        except OSError as error:
            raise PowerConnError(f"{self._name}: virsh cannot be started: {error}") from None
        self._shells.add(shell)
        return shell

    async def _connect(self, shell: Shell) -> None:
        try:
            await shell.ask()
        except ShellEnded as ended:
            error = cannot_connect(self._name, ended.complaints)
            # They wait for the same hypervisor, and each would find out by itself, one after the other.
            self._fail_waiting(error)
            raise error from None

    async def _carry_out(self, shell: Shell, commands: tuple[str, ...], *, changes: bool) -> Answer:
        try:
            return await shell.ask(*commands)
        except ShellEnded as ended:
            raise PowerConnError(f"{self._name}: virsh ended half-way ({ended})", sent=changes) from None

    def _give_back(self, shell: Shell) -> None:
        if shell.dead or self._closed:
            self._shells.discard(shell)
            self._end(shell)
        else:
            self._idle[shell] = self._clock.callLater(IDLE, self._retire, shell)
        if self._waiting:
            self._waiting.popleft().callback(None)

    def _retire(self, shell: Shell) -> None:
        del self._idle[shell]
        self._shells.discard(shell)
        self._end(shell)

    def _end(self, shell: Shell) -> None:
        """
        Until it is reaped it is remembered, so that closing can wait for it.
        """
        if not shell.ended.called:
            self._dying.add(shell)
            shell.ended.addCallback(self._reaped, shell)
            shell.quit()

    def _reaped(self, result: None, shell: Shell) -> None:
        self._dying.discard(shell)

    def _fail_waiting(self, error: PowerError) -> None:
        for waiter in list(self._waiting):
            # Who hears of it may let others leave.
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                waiter.errback(type(error)(str(error)))


def _ended(shell: Shell) -> Deferred[None]:
    """
    One more who waits for its end.
    """
    done: Deferred[None] = Deferred()

    def tell(result: None) -> None:
        if not done.called:
            done.callback(result)

    shell.ended.addCallback(tell)
    return done
