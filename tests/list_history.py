# SPDX-License-Identifier: MIT
"""
A history that is a list of entries, which are numbered from one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from powercoord.durable import IHistory, Numbered, Record
from powercoord.entries import Accepted, Answered, Entry, Followed, Held, Released
from powercoord.errors import BadRequest, NoSuchAction


@implementer(IHistory)
@define(eq=False)
class ListHistory:
    """
    Answers at once, or when a test lets it.

    :param pruned: so many of the oldest entries are gone.
    :param hold: whether reads of entries wait for `release`; what they find is what is there now.
    :param failing: what every read fails with.
    """

    _entries: Sequence[Entry]
    pruned: int = 0
    hold: bool = False
    failing: Exception | None = None
    reads: list[tuple[int, int]] = field(factory=list, init=False)
    held: list[tuple[Deferred[Any], Sequence[Any]]] = field(factory=list, init=False)

    def answered(self, request_ids: Sequence[str]) -> Deferred[Sequence[Record]]:
        wanted = set(request_ids)
        return self._given([each for each in self._records() if each.request.request_id in wanted])

    def requests(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Record]]:
        if self.hold:
            waiting: Deferred[Sequence[Record]] = Deferred()
            self.held.append((waiting, []))
            return waiting
        found = [
            record
            for record in reversed(list(self._records()))
            if (nodes is None or record.request.node in nodes) and (before is None or record.number < before)
        ]
        return self._given(found[:limit])

    def holds(
        self, nodes: Sequence[str] | None, before: int | None, limit: int
    ) -> Deferred[Sequence[Numbered]]:
        found = [
            each
            for each in reversed(list(self._numbered()))
            if isinstance(each.entry, Held | Released)
            and (nodes is None or each.entry.node in nodes)
            and (before is None or each.number < before)
        ]
        return self._given(found[:limit])

    def action(self, action: str) -> Deferred[Sequence[Numbered]]:
        found = [each for each in self._numbered() if getattr(each.entry, "action", "") == action]
        if not found:
            return fail(NoSuchAction(f"no action {action}"))
        return self._given(found)

    def entries(self, after: int, limit: int) -> Deferred[Sequence[Numbered]]:
        self.reads.append((after, limit))
        if after < self.pruned:
            return fail(BadRequest(f"pruned; there are entries after {self.pruned}"))
        found = [each for each in self._numbered() if each.number > after][:limit]
        if self.hold:
            waiting: Deferred[Sequence[Numbered]] = Deferred()
            self.held.append((waiting, found))
            return waiting
        return self._given(found)

    def release(self) -> None:
        """
        Let the oldest read that waits be answered.
        """
        waiting, found = self.held.pop(0)
        waiting.callback(found)

    def _given(self, found: Sequence[object]) -> Deferred[Sequence[object]]:
        return succeed(found) if self.failing is None else fail(self.failing)

    def _numbered(self) -> Iterator[Numbered]:
        return (Numbered(1 + index, entry) for index, entry in enumerate(self._entries))

    def _records(self) -> Iterator[Record]:
        records: dict[str, Record] = {}
        for each in self._numbered():
            match each.entry:
                case Accepted(request=request) as entry:
                    records[request.request_id] = Record(
                        number=each.number,
                        at=entry.at,
                        request=request,
                        action=entry.action,
                        disposition=entry.disposition,
                    )
                case Followed(request_id=request_id, action=action):
                    records[request_id] = evolve(records[request_id], action=action)
                case Answered(request_id=request_id) as entry:
                    records[request_id] = evolve(
                        records[request_id], answered=entry.at, outcome=entry.outcome
                    )
        return iter(records.values())
