# SPDX-License-Identifier: MIT
"""
One request waiting for its answer, and the ticket its caller holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from powercoord.interfaces import ITicket
from powercoord.model import Disposition, Outcome, Request
from powercoord.registry.audience import Audience


@define(eq=False)
class Waiter:
    """
    A request that was accepted; it is answered exactly once.

    :param accepted_at: seconds on the registry's clock.
    :param action: the id of the action that will answer it, as things stand.
    """

    request: Request
    accepted_at: float
    action: str
    _when_told: Callable[[Waiter], None] = field(repr=False)
    outcome: Outcome | None = field(default=None, init=False)
    told: bool = field(default=False, init=False)
    _interrupted: Outcome | None = field(default=None, init=False)
    _waiting: Audience[Outcome] = field(factory=Audience, init=False)

    def wait(self) -> Deferred[Outcome]:
        """
        A Deferred of the caller's own; cancelling it concerns nobody else.
        """
        if self.outcome is not None and self.told:
            return succeed(self.outcome)
        if self._interrupted is not None:
            return succeed(self._interrupted)
        return self._waiting.join()

    def settle(self, outcome: Outcome) -> None:
        """
        Decide the answer, without telling anybody yet (it is not durable yet).
        """
        if self.outcome is not None:
            raise AssertionError(f"request {self.request.request_id} is answered twice")
        self.outcome = outcome

    def recall(self, outcome: Outcome) -> None:
        """
        It was answered before a restart.
        """
        self.settle(outcome)
        self.told = True

    def interrupt(self, outcome: Outcome) -> None:
        """
        Let everybody know that the service stops; this is no answer.
        """
        self._interrupted = outcome
        self._waiting.tell(outcome)

    def unsettle(self) -> None:
        """
        Take the answer back: it did not become durable, and nobody was told.
        """
        if self.told:
            raise AssertionError(f"request {self.request.request_id} has been told its answer")
        self.outcome = None

    def tell(self) -> None:
        """
        Let everybody who waits know the answer.
        """
        outcome = self.outcome
        if outcome is None:
            raise AssertionError(f"request {self.request.request_id} has no answer yet")
        self.told = True
        self._when_told(self)
        self._waiting.tell(outcome)


@implementer(ITicket)
@define(eq=False)
class Ticket:
    """
    What the caller of an accepted request holds.
    """

    _waiter: Waiter
    action: str
    node: str
    request_id: str
    disposition: Disposition
    superseded: tuple[str, ...] = ()
    deadline: datetime | None = None

    def wait(self) -> Deferred[Outcome]:
        """
        A new Deferred with the outcome.
        """
        return self._waiter.wait()
