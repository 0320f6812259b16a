# SPDX-License-Identifier: MIT
"""
Commands about the coordinator itself: who and how it is, drain, resume, stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.api.asking import reason_of, requester_of
from powercoord.api.commands import Identify, Ping
from powercoord.api.extensions import Drain, Resume, Shutdown
from powercoord.api.health import health, health_form, why_not
from powercoord.api.serving import Later, Responders
from powercoord.errors import BadRequest
from powercoord.interfaces import IRegistry
from powercoord.stages import ILifecycle, Source, Stage

_QUIET = (Stage.DRAINED, Stage.STOPPING)
NO_LIFECYCLE = "this coordinator is part of another program, which has to do that"


@define(eq=False)
class SteeringDesk:
    """
    Answers commands about the coordinator, for one connection.

    :param lifecycle: None where the registry is used without a service.
    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _lifecycle: ILifecycle | None
    _clock: IReactorTime
    _ident: str
    _peer: Callable[[], str]

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {
            Identify: self._identify,
            Ping: self._ping,
            Drain: self._drain,
            Resume: self._resume,
            Shutdown: self._shutdown,
        }

    def _identify(self) -> dict[str, Any]:
        return {"ident": self._ident, "draining": self._registry.draining}

    def _ping(self) -> dict[str, Any]:
        now = health(self._registry, self._lifecycle)
        return {"stage": now.stage.value, "accepting": now.accepting, "reason": why_not(now)}

    def _told(self) -> dict[str, Any]:
        return {"coordinator": health_form(health(self._registry, self._lifecycle))}

    def _drain(self, *, reason: str, requester: str | None, wait: bool | None) -> dict[str, Any] | Later:
        why, by = reason_of(reason), requester_of(requester, self._peer())
        lifecycle = self._lifecycle
        if lifecycle is None and wait:
            raise BadRequest(f"wait: {NO_LIFECYCLE}")
        if lifecycle is None:
            self._registry.drain(why, by)
            return self._told()
        lifecycle.start_drain(why, by, Source.COMMAND)
        if not wait or _settled(lifecycle):
            return self._told()
        return Later(_when_settled(lifecycle).addCallback(lambda _: self._told()))

    def _resume(self, *, requester: str | None) -> dict[str, Any]:
        by = requester_of(requester, self._peer())
        if self._lifecycle is None:
            self._registry.resume(by)
        else:
            self._lifecycle.resume(by, Source.COMMAND)
        return self._told()

    def _shutdown(self, *, requester: str | None) -> dict[str, Any]:
        by = requester_of(requester, self._peer())
        if self._lifecycle is None:
            raise BadRequest(NO_LIFECYCLE)
        # The answer leaves first: a stop may close the doors there and then.
        self._clock.callLater(0, self._lifecycle.stop, by)
        return self._told()


def _settled(lifecycle: ILifecycle) -> bool:
    return lifecycle.stage in _QUIET or lifecycle.drain is None


def _when_settled(lifecycle: ILifecycle) -> Deferred[None]:
    """
    Fires when nothing goes on any more, or somebody resumed; cancelling it stops watching.
    """
    settled: Deferred[None] = Deferred(lambda _: stop())

    def look() -> None:
        if _settled(lifecycle) and not settled.called:
            stop()
            settled.callback(None)

    stop = lifecycle.watch(look)
    return settled
