# SPDX-License-Identifier: MIT
"""
One request waiting for its answer, and the ticket its caller holds.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from powercoord.interfaces import ITicket
from powercoord.model import Disposition, Outcome, Request


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
    outcome: Outcome | None = field(default=None, init=False)
    _waiting: list[Deferred[Outcome]] = field(factory=list, init=False)

    def wait(self) -> Deferred[Outcome]:
        """
        A Deferred of the caller's own; cancelling it concerns nobody else.
        """
        if self.outcome is not None:
            return succeed(self.outcome)
        waiting: Deferred[Outcome] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def settle(self, outcome: Outcome) -> None:
        """
        Decide the answer, without telling anybody yet (it is not durable yet).
        """
        if self.outcome is not None:
            raise AssertionError(f"request {self.request.request_id} is answered twice")
        self.outcome = outcome

    def tell(self) -> None:
        """
        Let everybody who waits know the answer.
        """
        outcome = self.outcome
        if outcome is None:
            raise AssertionError(f"request {self.request.request_id} has no answer yet")
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(outcome)


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

    def wait(self) -> Deferred[Outcome]:
        """
        A new Deferred with the outcome.
        """
        return self._waiter.wait()
