# SPDX-License-Identifier: MIT
"""
Asking what was, and agreeing again after one side was away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred

from powercoord.api.desires import DOOR, request_id
from powercoord.api.extensions import History, ListOutstanding, Resolve, ShowAction
from powercoord.api.forms import numbered_from, record_from
from powercoord.client.connecting import Connected
from powercoord.client.reading import status_from
from powercoord.client.results import Answer, Desired, NodeStatus
from powercoord.durable import Numbered, Record
from powercoord.model import CancelResult, Goal, Request, Verb

CHUNK = 200
PAGE = 200
_VERBS = {Goal.ON: Verb.ON, Goal.OFF: Verb.OFF}


class Past(Connected):
    """
    The methods of a client that are about what was asked before.
    """

    def history(
        self, nodes: Sequence[str] | None = None, *, limit: int = 100, since: datetime | None = None
    ) -> Deferred[tuple[Record, ...]]:
        """
        What was asked of these nodes (default: of all) and how it ended, newest first.
        """
        return Deferred.fromCoroutine(self._history(nodes, limit, since))

    def show(self, action: str) -> Deferred[tuple[Numbered, ...]]:
        """
        All that became of an action and of the requests that it answered, in order.

        :raises NoSuchAction: nothing is known of it (any more).
        """
        return Deferred.fromCoroutine(self._show(action))

    def resolve(self, action: str, reason: str) -> Deferred[CancelResult]:
        """
        Declare an action settled; sends nothing, and is written down with name and reason.
        """
        resolved = self._call(Resolve, action=action, reason=reason, requester=self._requester)
        return resolved.addCallback(lambda said: CancelResult(said["result"]))

    def list_outstanding(self) -> Deferred[tuple[NodeStatus, ...]]:
        """
        The nodes with something unfinished, or with other power than is wanted of them.
        """
        listed = Deferred.fromCoroutine(self._looker.pages(ListOutstanding))
        return listed.addCallback(lambda forms: tuple(map(status_from, forms)))

    def reconcile(self, desired: Sequence[Desired], reconcile_id: str) -> Deferred[tuple[Answer, ...]]:
        """
        Bring any number of nodes to the power that is wanted of them; one answer for each.

        Answers are those of `Client.submit`.

        :param reconcile_id: new for each picture of what is wanted, and the
            same when that is sent again, so that nothing runs twice.
        """
        requests = [self._desire(each, reconcile_id) for each in desired]
        send = partial(self._submitter.reconcile, reconcile_id)
        return Deferred.fromCoroutine(self._submit(requests, send))

    def _desire(self, desired: Desired, reconcile_id: str) -> Request:
        return Request(
            node=desired.node,
            verb=_VERBS[desired.goal],
            request_id=request_id(reconcile_id, desired.node),
            requester=self._requester,
            door=DOOR,
            sequence=desired.sequence,
        )

    async def _history(
        self, nodes: Sequence[str] | None, limit: int, since: datetime | None
    ) -> tuple[Record, ...]:
        chunks: list[Sequence[str] | None] = [None]
        if nodes is not None:
            chunks = [nodes[index : index + CHUNK] for index in range(0, len(nodes), CHUNK)]
        found = [await self._records(chunk, limit, since) for chunk in chunks]
        newest_first = merge(*found, key=lambda record: -record.number)
        return tuple(islice(newest_first, limit))

    async def _records(self, nodes: Sequence[str] | None, limit: int, since: datetime | None) -> list[Record]:
        records: list[Record] = []
        before: int | None = None
        while len(records) < limit:
            values = {"nodes": nodes, "before": before, "limit": min(limit - len(records), PAGE)}
            said = await self._call(History, **values)
            page = [record_from(form) for form in said["page"]]
            fresh = [record for record in page if since is None or record.at >= since]
            records += fresh
            before = said["next"]
            if before is None or len(fresh) < len(page):
                break
        return records

    async def _show(self, action: str) -> tuple[Numbered, ...]:
        forms: list[dict[str, Any]] = []
        after: int | None = None
        while True:
            said = await self._call(ShowAction, action=action, after=after)
            forms += said["page"]
            after = said["next"]
            if after is None:
                return tuple(map(numbered_from, forms))
