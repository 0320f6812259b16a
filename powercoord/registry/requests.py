# SPDX-License-Identifier: MIT
"""
Which requests were seen before, so that a repeated one never runs again.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

from powercoord.errors import BadRequest
from powercoord.model import Request
from powercoord.registry.waiters import Waiter


@define(eq=False)
class SeenRequests:
    """
    The waiters by request id: all that are unanswered, and the last answered.

    :param remembered: how many answered ones are kept.
    """

    _remembered: int = 10_000
    _waiters: dict[str, Waiter] = field(factory=dict, init=False)
    _answered: OrderedDict[str, None] = field(factory=OrderedDict, init=False)

    def find(self, request: Request) -> Waiter | None:
        """
        The waiter of the same request, if it came before.

        :raises BadRequest: the id was used for something else.
        """
        waiter = self._waiters.get(request.request_id)
        if waiter is None:
            return None
        before = waiter.request
        if (before.node, before.verb, before.boot) != (request.node, request.verb, request.boot):
            raise BadRequest(
                f"request id {request.request_id} was used for {before.verb.value} of {before.node};"
                " a new request needs a new id"
            )
        return waiter

    def add(self, waiter: Waiter) -> None:
        """
        Remember an accepted request.
        """
        self._waiters[waiter.request.request_id] = waiter

    def __contains__(self, request_id: str) -> bool:
        """
        Whether it is remembered here.
        """
        return request_id in self._waiters

    def recall(self, waiter: Waiter) -> None:
        """
        Remember an answered request until at least the next one is answered.
        """
        self.add(waiter)
        self._answered[waiter.request.request_id] = None

    def answered(self, waiter: Waiter) -> None:
        """
        Keep it among the last answered ones.
        """
        self._answered[waiter.request.request_id] = None
        while len(self._answered) > self._remembered:
            oldest, _ = self._answered.popitem(last=False)
            self._waiters.pop(oldest, None)

    def forget(self, waiter: Waiter) -> None:
        """
        It was not accepted after all.
        """
        self._waiters.pop(waiter.request.request_id, None)
        self._answered.pop(waiter.request.request_id, None)
