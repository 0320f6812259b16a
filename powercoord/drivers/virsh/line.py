# SPDX-License-Identifier: MIT
"""
The one connection to a hypervisor: opened when it is needed, by one for all, and again after it was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.drivers.virsh.conversation import Conversation, Refusal
from powercoord.drivers.virsh.login import log_in
from powercoord.drivers.virsh.procedures import Procedure
from powercoord.errors import PowerConnError, PowerError
from powercoord.registry.audience import Audience

_log = Logger(namespace="powercoord.virsh")

#: After a failed attempt the next one waits so long, in seconds; it doubles from the first to the last.
PAUSE, LONGEST_PAUSE = 0.25, 2.0

#: A line that nobody has used for so long is closed, unless somebody watches.
IDLE = 60.0

#: What a daemon may take to say good-bye.
FAREWELL = 2.0


class Dial(Protocol):
    """
    A way to a daemon.
    """

    def __call__(self, conversation: Conversation) -> Coroutine[Deferred[Any], Any, None]:
        """
        Connect it; once it is cancelled nothing is left of the attempt.
        """


@define(eq=False)
class Line:
    """
    Hands out the conversation; opens one if there is none.

    :param uri: what the daemon is asked to open.
    :param hint: is told who may have changed: by events, and everybody when a lost line is there again.
    """

    _clock: IReactorTime
    name: str
    _uri: str
    _dial: Dial
    _hint: Callable[[frozenset[str]], None]
    watched: Callable[[], bool] = field(default=lambda: False)
    _open: Conversation | None = field(default=None, init=False)
    _attempt: Deferred[None] | None = field(default=None, init=False)
    _coming: Conversation | None = field(default=None, init=False)
    _waiting: Audience[Conversation] = field(init=False)
    _failures: int = field(default=0, init=False)
    _not_before: float = field(default=0.0, init=False)
    _lost: bool = field(default=False, init=False)
    _again: IDelayedCall | None = field(default=None, init=False)
    _idle: IDelayedCall | None = field(default=None, init=False)
    _leaving: Deferred[None] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """
        Nobody waits yet.
        """
        self._waiting = Audience(self._deserted)

    async def conversation(self) -> Conversation:
        """
        One to talk in. Who is cancelled while it waits leaves; the attempt ends with the last.

        :raises PowerError: it cannot be had.
        """
        if self._closed:
            raise PowerConnError(f"{self.name}: closed, because the coordinator stops")
        if self._open is not None and self._open.reason is None:
            self._rest()
            return self._open
        if self._open is not None:
            # It is being closed, and its end has not been told yet.
            self._gone(self._open)
        mine = self._waiting.join()
        if self._attempt is None:
            self._begin()
        return await mine

    async def close(self) -> None:
        """
        Say good-bye, and hang up in any case; what connects just now is ended, and its child reaped.
        """
        self._closed = True
        for timer in (self._idle, self._again):
            if timer is not None and timer.active():
                timer.cancel()
        coming = self._coming
        if self._attempt is not None:
            self._attempt.cancel()
        if coming is not None and coming.connected:
            await coming.ended
        if self._open is not None:
            await self._hang_up(self._open)
        if self._leaving is not None:
            await self._leaving

    def _begin(self) -> None:
        self._attempt = attempt = Deferred.fromCoroutine(self._connect())
        attempt.addCallbacks(self._connected, self._refused)

    async def _connect(self) -> None:
        pause = self._not_before - self._clock.seconds()
        if pause > 0:
            await deferLater(self._clock, pause)
        self._coming = coming = Conversation(self._clock, self.name, self._hint, self._gone)
        try:
            await self._dial(coming)
            await log_in(coming, self._uri)
        except BaseException:
            coming.fail(PowerConnError(f"{self.name}: given up"))
            raise

    def _connected(self, _: None) -> None:
        self._attempt, self._open, self._coming = None, self._coming, None
        self._failures = 0
        conversation = self._open
        if conversation is None:
            raise AssertionError("connected to nobody")
        self._rest()
        self._waiting.tell(conversation)
        if self._lost:
            self._lost = False
            self._hint(frozenset())

    def _refused(self, failure: Failure) -> None:
        self._attempt = self._coming = None
        error = failure.value
        if failure.check(CancelledError):
            error = PowerConnError(f"{self.name}: given up")
        elif not isinstance(error, PowerError):
            error = PowerConnError(f"{self.name}: {error}")
        if isinstance(error, PowerConnError) and not failure.check(CancelledError):
            pause = min(PAUSE * 2**self._failures, LONGEST_PAUSE)
            self._not_before = self._clock.seconds() + pause
            self._failures += 1
        self._waiting.fail(lambda: type(error)(str(error)))

    def _deserted(self, _: Audience[Conversation]) -> None:
        if self._attempt is not None:
            self._attempt.cancel()

    def _gone(self, conversation: Conversation) -> None:
        """
        It was lost: what it would have told is not known, so whoever watches looks again, a moment later.
        """
        if conversation is not self._open:
            return
        self._open = None
        if not self._closed and self.watched():
            self._lost = True
            self._again = self._clock.callLater(PAUSE, self._hint, frozenset())

    def _rest(self) -> None:
        """
        Count the idle time anew.
        """
        if self._idle is not None and self._idle.active():
            self._idle.reset(IDLE)
        else:
            self._idle = self._clock.callLater(IDLE, self._unused)

    def _unused(self) -> None:
        if self._open is None:
            return
        if self._open.busy or self.watched():
            self._rest()
            return
        conversation, self._open = self._open, None
        self._leaving = Deferred.fromCoroutine(self._hang_up(conversation))
        self._leaving.addErrback(lambda failure: _log.failure("closing {name}", failure, name=self.name))

    async def _hang_up(self, conversation: Conversation) -> None:
        """
        A daemon that is told closes by itself, and so does what stands between, such as nc behind ssh.
        """
        guard = self._clock.callLater(
            FAREWELL, conversation.fail, PowerConnError(f"{self.name}: closed unanswered")
        )
        try:
            await conversation.call(Procedure.CONNECT_CLOSE)
        except (PowerError, Refusal) as error:
            _log.debug("{name} has closed by itself: {error}", name=self.name, error=error)
        await conversation.ended
        if guard.active():
            guard.cancel()
