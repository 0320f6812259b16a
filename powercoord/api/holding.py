# SPDX-License-Identifier: MIT
"""
Commands by which people hold nodes and release them, and who did so before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred

from powercoord.api.asking import number_of, reason_of, requester_of, word_of
from powercoord.api.batch import read_words
from powercoord.api.extensions import Hold, HoldHistory, Release
from powercoord.api.forms import refusal_form
from powercoord.api.pages import spread
from powercoord.api.past import PastPages
from powercoord.api.power import alone
from powercoord.api.serving import Later, Responders
from powercoord.errors import BadRequest, PowercoordError
from powercoord.forms import Form
from powercoord.holds import Holding, Terms
from powercoord.interfaces import IRegistry
from powercoord.model import Goal

_ONLY = {None: None, "on": Goal.ON, "off": Goal.OFF}


@define(eq=False)
class HoldDesk:
    """
    Answers commands about holds, for one connection.

    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _pages: PastPages
    _peer: Callable[[], str]

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {Hold: self._hold, Release: self._release, HoldHistory: self._history}

    def _hold(
        self,
        *,
        nodes: Any,
        reason: str,
        until: str | None,
        lasting: float | None,
        only: str | None,
        requester: str | None,
    ) -> Later:
        holder, by = self._who(requester)
        terms = Terms(
            holder=holder,
            reason=reason_of(reason, required=True),
            only=_only(only),
            until=_until(until),
            lasting=lasting,
        )
        return _answers(self._registry.holds.hold(_once(nodes), terms, by), _held)

    def _release(
        self, *, nodes: Any, holder: str | None, everybody: bool | None, requester: str | None
    ) -> Later:
        own, by = self._who(requester)
        if everybody and holder is not None:
            raise BadRequest("holder: it must not be named when everybody's holds are released")
        whose = None if everybody else own if holder is None else word_of(holder, "holder")
        return _answers(self._registry.holds.release(_once(nodes), whose, by), _freed)

    async def _history(self, *, nodes: Any, before: int | None, limit: int | None) -> dict[str, Any]:
        names = None if nodes is None else read_words(nodes)
        return await self._pages.holds(names, number_of(before, "before"), number_of(limit, "limit", 1))

    def _who(self, requester: str | None) -> tuple[str, str]:
        """
        Who asks, and how that is written down.
        """
        peer = self._peer()
        holder = requester_of(requester, peer)
        return holder, holder if holder == peer else f"{holder} via {peer}"


def _answers(answers: Deferred[Any], form: Callable[[Any], Form]) -> Later:
    def told(found: Any) -> dict[str, Any]:
        first, rest = spread(
            [refusal_form(each) if isinstance(each, PowercoordError) else form(each) for each in found]
        )
        return {"answers": first, "rest": rest}

    return Later(alone(answers.addCallback(told)))


def _held(held: Holding) -> Form:
    form: Form = {"going_on": list(held.going_on)} if held.going_on else {}
    return form | ({"anew": True} if held.before is not None else {})


def _freed(freed: Any) -> Form:
    return {"released": len(freed.released), "left": len(freed.left)}


def _once(nodes: Any) -> list[str]:
    names = read_words(nodes)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"nodes: {twice} stands twice; say it once")
    return names


def _only(only: str | None) -> Goal | None:
    try:
        return _ONLY[only]
    except KeyError:
        raise BadRequest("only: it must be on or off, or be left out for all changes") from None


def _until(until: str | None) -> datetime | None:
    """
    A time with its offset, as `datetime.isoformat` writes it.
    """
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until[:64])
        if moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRequest("until: it must be a time with its offset, such as 2026-11-22T06:00:00+01:00")
