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
from powercoord.durable import IHistory, Numbered, Record
from powercoord.errors import BadRequest
from powercoord.forms import Form
from powercoord.interfaces import IRegistry

T = TypeVar("T", Numbered, Record)
Page = dict[str, Any]

MAX_RECORDS = 500
MAX_READING = 8
NO_HISTORY = "this coordinator keeps no history; server.state_dir in its configuration says where to"


@define(eq=False)
class PastPages:
    """
    Pages of the past, for one connection: a few at a time.

    They are large, and answered whether they are read or not.

    :param history: None where nothing is kept.
    """

    _history: IHistory | None
    _reading: int = field(default=0, init=False)

    async def requests(self, names: Sequence[str] | None, before: int | None, limit: int | None) -> Page:
        """
        What was asked of nodes.
        """
        most = min(limit or MAX_RECORDS, MAX_RECORDS)
        return _page(await self._read(kept(self._history).requests, names, before, most), record_form, most)

    async def holds(self, names: Sequence[str] | None, before: int | None, limit: int | None) -> Page:
        """
        Who held and released nodes.
        """
        most = min(limit or MAX_RECORDS, MAX_RECORDS)
        return _page(await self._read(kept(self._history).holds, names, before, most), numbered_form, most)

    async def action(self, action: str, after: int) -> Page:
        """
        What became of an action.
        """
        entries = await self._read(kept(self._history).action, action)
        coming = [numbered for numbered in entries if numbered.number > after]
        return _page(coming, numbered_form, None)

    async def _read(self, read: Callable[..., Deferred[Sequence[T]]], *arguments: object) -> Sequence[T]:
        if self._reading >= MAX_READING:
            raise BadRequest(f"{MAX_READING} pages are being read already; ask again when one has come")
        self._reading += 1
        try:
            return await read(*arguments)
        finally:
            self._reading -= 1


def _page(found: Sequence[T], form: Callable[[T], Form], most: int | None) -> Page:
    """
    As many as fit, and the number of the last if there may be more.
    """
    forms = fill(dump(form(each)) for each in found)
    more = len(forms) < len(found) or len(found) == most
    return {"page": joined(forms), "next": found[len(forms) - 1].number if more else None}


@define(eq=False)
class PastDesk:
    """
    Answers about the past, for one connection.

    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _pages: PastPages
    _peer: Callable[[], str]

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {History: self._requests, ShowAction: self._show, Resolve: self._resolve}

    async def _requests(self, *, nodes: Any, before: int | None, limit: int | None) -> Page:
        names = None if nodes is None else read_words(nodes)
        return await self._pages.requests(names, number_of(before, "before"), number_of(limit, "limit", 1))

    async def _show(self, *, action: str, after: int | None) -> Page:
        begin = number_of(after, "after") or 0
        return await self._pages.action(word_of(action, "action"), begin)

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
