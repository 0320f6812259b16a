# SPDX-License-Identifier: MIT
"""
Holding nodes and releasing them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.protocols.amp import Command

from powercoord.api.arguments import dump
from powercoord.api.batch import MAX_ITEMS
from powercoord.api.extensions import Hold, HoldHistory, Release
from powercoord.api.forms import numbered_from
from powercoord.api.pages import fill, joined
from powercoord.client.connecting import Connected
from powercoord.client.errors import error_of
from powercoord.durable import Numbered
from powercoord.errors import PowercoordError
from powercoord.forms import Form
from powercoord.model import Goal

T = TypeVar("T")

ROOM = 58_000
CHUNK = 200
PAGE = 200


@frozen(kw_only=True)
class HeldNode:
    """
    What became of holding a node.

    :param anew: whether the same holder held it before.
    :param going_on: ids of the actions that were accepted before, and go on.
    :param error: why it is not held, if it is not.
    """

    node: str
    anew: bool = False
    going_on: tuple[str, ...] = ()
    error: PowercoordError | None = None


@frozen(kw_only=True)
class ReleasedNode:
    """
    What became of releasing a node.

    :param released: how many holds are gone.
    :param left: how many holds of others are left.
    :param error: why not, if it was not.
    """

    node: str
    released: int = 0
    left: int = 0
    error: PowercoordError | None = None


class Holding(Connected):
    """
    The methods of a client that are about holds.
    """

    def hold(
        self,
        nodes: Sequence[str],
        reason: str,
        *,
        until: datetime | None = None,
        lasting: float | None = None,
        only: Goal | None = None,
    ) -> Deferred[tuple[HeldNode, ...]]:
        """
        Forbid changes of any number of nodes; one answer for each.

        The client's requester is the holder.  Repeating it says it anew.

        :param until: when it ends by itself (with a time zone), or
        :param lasting: after how many seconds.
        :param only: only what would turn them on, or off.
        """
        values = {
            "reason": reason,
            "until": until and until.isoformat(),
            "lasting": lasting,
            "only": only and only.value,
            "requester": self._requester,
        }
        return Deferred.fromCoroutine(self._each(Hold, nodes, _held, values))

    def release(
        self, nodes: Sequence[str], *, holder: str | None = None, everybody: bool = False
    ) -> Deferred[tuple[ReleasedNode, ...]]:
        """
        Release any number of nodes; one answer for each.

        :param holder: whose holds; by default those of the client's requester.
        """
        values = {"holder": holder, "everybody": everybody or None, "requester": self._requester}
        return Deferred.fromCoroutine(self._each(Release, nodes, _released, values))

    def hold_history(
        self, nodes: Sequence[str] | None = None, *, limit: int = 100, since: datetime | None = None
    ) -> Deferred[tuple[Numbered, ...]]:
        """
        Who held and released these nodes (default: all), newest first.
        """
        return Deferred.fromCoroutine(self._hold_history(nodes, limit, since))

    async def _each(
        self,
        command: type[Command],
        nodes: Sequence[str],
        answer: Callable[[str, Form], T],
        values: dict[str, Any],
    ) -> tuple[T, ...]:
        answers: list[T] = []
        while left := nodes[len(answers) : len(answers) + MAX_ITEMS]:
            names = fill(map(dump, left), ROOM)
            said = await self._call(command, nodes=joined(names), **values)
            forms = [*said["answers"], *(said["rest"] or ())]
            answers += [answer(*each) for each in zip(left[: len(names)], forms, strict=True)]
        return tuple(answers)

    async def _hold_history(
        self, nodes: Sequence[str] | None, limit: int, since: datetime | None
    ) -> tuple[Numbered, ...]:
        chunks: list[Sequence[str] | None] = [None]
        if nodes is not None:
            chunks = [nodes[index : index + CHUNK] for index in range(0, len(nodes), CHUNK)]
        found = [each for chunk in chunks for each in await self._holds(chunk, limit, since)]
        return tuple(sorted(found, key=lambda each: -each.number)[:limit])

    async def _holds(self, nodes: Sequence[str] | None, limit: int, since: datetime | None) -> list[Numbered]:
        found: list[Numbered] = []
        before: int | None = None
        while len(found) < limit:
            values = {"nodes": nodes, "before": before, "limit": min(limit - len(found), PAGE)}
            said = await self._call(HoldHistory, **values)
            page = [numbered_from(form) for form in said["page"]]
            fresh = [each for each in page if since is None or each.entry.at >= since]
            found += fresh
            before = said["next"]
            if before is None or len(fresh) < len(page):
                break
        return found


def _held(node: str, form: Form) -> HeldNode:
    if "error" in form:
        return HeldNode(node=node, error=error_of(form["error"], form["text"]))
    return HeldNode(node=node, anew=form.get("anew", False), going_on=tuple(form.get("going_on", ())))


def _released(node: str, form: Form) -> ReleasedNode:
    if "error" in form:
        return ReleasedNode(node=node, error=error_of(form["error"], form["text"]))
    return ReleasedNode(node=node, released=form["released"], left=form["left"])
