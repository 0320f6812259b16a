# SPDX-License-Identifier: MIT
"""
Reads of one hypervisor that wait at the same time, made into one.

See note [Who shares a look].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from powercoord.drivers.virsh.guests import IHypervisor, Seen
from powercoord.errors import PowerError

# Note [Who shares a look]
#
# All who ask in one turn of the reactor are asked for in one call. Nobody is given the answer to a call that
# left before he asked: what he wants to see may have happened since. While two calls are on their way whoever
# asks waits, and goes with all the others then.
LOOKS_AT_ONCE = 2


@define(eq=False)
class _Look:
    """
    One call for several, and who waits for it.
    """

    waiting: dict[Deferred[Seen | None], str] = field(factory=dict)
    running: Deferred[None] | None = None
    over: bool = False

    def finish(self) -> Iterator[tuple[Deferred[Seen | None], str]]:
        """
        All who wait, one after the other: who is told may let others leave.
        """
        self.over = True
        for who in list(self.waiting):
            domain = self.waiting.pop(who, None)
            if domain is not None:
                yield who, domain


@define(eq=False)
class Gathered:
    """
    Reads guests for whoever asks.
    """

    _clock: IReactorTime
    _hypervisor: IHypervisor
    _next: _Look | None = field(default=None, init=False)
    _running: int = field(default=0, init=False)

    def read(self, domain: str) -> Deferred[Seen | None]:
        """
        What a guest is, ``None`` if there is none of that name.

        Who cancels it leaves; with the last the call ends.
        """
        if self._next is None:
            self._next = _Look()
            if self._running < LOOKS_AT_ONCE:
                self._clock.callLater(0, self._look, self._next)
        look = self._next

        def leave(who: Deferred[Seen | None]) -> None:
            look.waiting.pop(who, None)
            if not look.waiting and not look.over and look.running is not None:
                look.running.cancel()

        mine: Deferred[Seen | None] = Deferred(leave)
        look.waiting[mine] = domain
        return mine

    def _look(self, look: _Look) -> None:
        if self._next is not look:
            return
        self._next = None
        if not look.waiting:
            return
        self._running += 1
        domains = sorted(set(look.waiting.values()))
        look.running = Deferred.fromCoroutine(self._ask(look, domains))
        look.running.addErrback(self._failed, look)
        look.running.addBoth(self._over)

    async def _ask(self, look: _Look, domains: Sequence[str]) -> None:
        found = await self._hypervisor.states(domains)
        for who, domain in look.finish():
            who.callback(found.get(domain))

    def _failed(self, failure: Failure, look: _Look) -> None:
        error = failure.value
        for who, _ in look.finish():
            # Each his own: whoever is given an error may write on it.
            own = type(error)(str(error), sent=error.sent) if isinstance(error, PowerError) else error
            who.errback(Failure(own))

    def _over(self, _: object) -> None:
        self._running -= 1
        if self._next is not None:
            self._clock.callLater(0, self._look, self._next)
