# SPDX-License-Identifier: MIT
"""
Commands about what was: who asked what and how it ended, and a person's word on what never did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from powercoord.api.arguments import dump
from powercoord.api.asking import number_of, reason_of, requester_of, word_of
from powercoord.api.batch import read_words
from powercoord.api.extensions import History, Resolve, ShowAction
from powercoord.api.forms import numbered_form, record_form
from powercoord.api.pages import fill, joined
from powercoord.api.power import alone
from powercoord.api.serving import Later, Responders
from powercoord.durable import IHistory
from powercoord.errors import BadRequest
from powercoord.interfaces import IRegistry

T = TypeVar("T")

MAX_RECORDS = 500
MAX_READING = 8
NO_HISTORY = "this coordinator keeps no history; server.state_dir in its configuration says where to"


@define(eq=False)
class PastDesk:
    """
    Answers about the past, for one connection.

    :param history: None where nothing is kept.
    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _history: IHistory | None
    _peer: Callable[[], str]
    _reading: int = field(default=0, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {History: self._requests, ShowAction: self._show, Resolve: self._resolve}

    async def _requests(self, *, nodes: Any, before: int | None, limit: int | None) -> dict[str, Any]:
        names = None if nodes is None else read_words(nodes)
        below, most = number_of(before, "before"), number_of(limit, "limit", 1)
        most = min(most or MAX_RECORDS, MAX_RECORDS)
        records = await self._read(kept(self._history).requests, names, below, most)
        forms = fill(dump(record_form(record)) for record in records)
        more = len(forms) < len(records) or len(records) == most
        return {"page": joined(forms), "next": records[len(forms) - 1].number if more else None}

    async def _show(self, *, action: str, after: int | None) -> dict[str, Any]:
        begin = number_of(after, "after") or 0
        entries = await self._read(kept(self._history).action, word_of(action, "action"))
        coming = [numbered for numbered in entries if numbered.number > begin]
        forms = fill(dump(numbered_form(numbered)) for numbered in coming)
        more = len(forms) < len(coming)
        return {"page": joined(forms), "next": coming[len(forms) - 1].number if more else None}

    async def _read(self, read: Callable[..., Deferred[Sequence[T]]], *arguments: object) -> Sequence[T]:
        """
        One of a few pages: they are large, and answered whether they are read or not.
        """
        if self._reading >= MAX_READING:
            raise BadRequest(f"{MAX_READING} pages are being read already; ask again when one has come")
        self._reading += 1
        try:
            return await read(*arguments)
        finally:
            self._reading -= 1

    async def _resolve(self, *, action: str, reason: str, requester: str | None) -> Later:
        why, peer = reason_of(reason, required=True), self._peer()
        by = requester_of(requester, peer)
        named = by if by == peer else f"{by} via {peer}"
        resolved = self._registry.resolve(word_of(action, "action"), named, why)
        return Later(alone(resolved.addCallback(lambda said: {"result": said.value})))


def kept(history: IHistory | None) -> IHistory:
    """
    The history.

    :raises BadRequest: there is none.
    """
    if history is None:
        raise BadRequest(NO_HISTORY)
    return history
