# SPDX-License-Identifier: MIT
"""
Requests that only the disk remembers.

# Note [Never by mistake]

A request that was answered never runs again, however long ago that was.  If
the disk may know it and cannot say, it is refused, and an off is no exception:
the same off sent again a day later would turn off what was turned on since.
Whoever wants it off now asks again with a new id, and is not held up by this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.durable import IHistory, Record
from powercoord.errors import JournalUnavailable
from powercoord.model import Request
from powercoord.registry.requests import SeenRequests

_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Memory:
    """
    Looks up what `SeenRequests` has forgotten, or never knew.

    :param may_know: whether the journal may know a request id; never a false no.
    :param history: None: what the journal may know cannot be read.
    :param recall: puts records among the seen requests.
    """

    _seen: SeenRequests
    _may_know: Callable[[str], bool]
    _history: IHistory | None
    _recall: Callable[[Iterable[Record]], None]
    _unreadable: dict[str, str] = field(factory=dict, init=False)

    def look_up(self, request_ids: Sequence[str]) -> Deferred[None] | None:
        """
        Read of these what only the disk may know; None if that is nothing.
        """
        if self._unreadable:
            self._unreadable.clear()
        unsure = [each for each in request_ids if each not in self._seen and self._may_know(each)]
        if not unsure:
            return None
        if self._history is None:
            self._refuse("there is no history to be read", unsure)
            return None
        reading = maybeDeferred(self._history.answered, list(dict.fromkeys(unsure)))
        return reading.addCallbacks(self._recall, self._failed, errbackArgs=(unsure,))

    def check(self, request: Request) -> None:
        """
        :raises JournalUnavailable: it cannot be told whether it came before.
        """
        reason = self._unreadable.get(request.request_id) if self._unreadable else None
        if reason is not None:
            raise JournalUnavailable(
                f"{request.node}: whether request {request.request_id} came before cannot be read, so it is"
                f" not run: {reason}; try again later, or ask with a new request id"
            )

    def _failed(self, failure: Failure, unsure: Sequence[str]) -> None:
        _log.failure("answered requests cannot be read", failure)
        self._refuse(failure.getErrorMessage(), unsure)

    def _refuse(self, reason: str, unsure: Sequence[str]) -> None:
        self._unreadable.update(dict.fromkeys(unsure, reason))
