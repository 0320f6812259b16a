# SPDX-License-Identifier: MIT
"""
Looking at many nodes: readings as they come, and lists page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.protocols.amp import Command

from powercoord.api.calls import CallFailed, LinkLost
from powercoord.api.extensions import Query
from powercoord.api.forms import action_from, parking_from, wanted_from
from powercoord.client.errors import error_of
from powercoord.client.lifeline import Lifeline
from powercoord.client.line import Form, Line
from powercoord.client.results import NodeStatus, Reading, RosterEntry
from powercoord.forms import hold_from
from powercoord.model import PowerState

CHUNK = 500
Each = Callable[[Reading], None]


@define(eq=False)
class Looker:
    """
    Asks about many nodes.
    """

    _lifeline: Lifeline
    _patience: float
    _streams: count[int] = field(factory=lambda: count(1), init=False)

    async def query(self, names: Sequence[str], each: Each | None) -> tuple[Reading, ...]:
        """
        Read nodes from their BMCs, all at once: a dead one delays no other.
        """
        unread: dict[str, Reading | None] = dict.fromkeys(names)
        wanted = list(unread)
        chunks = [wanted[index : index + CHUNK] for index in range(0, len(wanted), CHUNK)]
        reading = [Deferred.fromCoroutine(self._read(chunk, unread, each)) for chunk in chunks]
        try:
            await gatherResults(reading, consumeErrors=True)
        finally:
            for chunk in reading:
                chunk.cancel()
        return tuple(found for name in names if (found := unread[name]) is not None)

    async def _read(self, names: Sequence[str], found: dict[str, Reading | None], each: Each | None) -> None:
        def told(forms: Sequence[Form]) -> None:
            for form in forms:
                reading = found[form["node"]] = _reading(form)
                if each is not None:
                    each(reading)

        while names := [name for name in names if found[name] is None]:
            await self._stream(await self._lifeline.usable(), names, told)

    async def _stream(self, line: Line, names: Sequence[str], told: Callable[[Sequence[Form]], None]) -> None:
        stream = next(self._streams)
        line.streams[stream] = told
        try:
            said = await line.link.call(Query, nodes=names, stream=stream)
        except LinkLost as error:
            self._lifeline.trouble = str(error)
        except CallFailed as error:
            raise error_of(error.code, error.text) from None
        else:
            told([*said["readings"], *(said["rest"] or ())])
        finally:
            del line.streams[stream]

    async def pages(self, command: type[Command], **values: Any) -> list[Form]:
        """
        A list that comes page by page.
        """
        forms: list[Form] = []
        after = None
        while True:
            said = await self._lifeline.call(self._patience, command, after=after, **values)
            forms += said["page"]
            after = said["next"]
            if after is None:
                return forms


def _reading(form: Form) -> Reading:
    state = PowerState(form["state"])
    return Reading(node=form["node"], state=state, age=form.get("age"), text=form.get("text", ""))


def status_from(form: Form) -> NodeStatus:
    """
    A node's status in a form.
    """
    in_play, wanted, parked = form.get("in_play"), form.get("wanted"), form.get("parked")
    return NodeStatus(
        name=form["name"],
        driver=form["driver"],
        groups=tuple(form["groups"]),
        state=PowerState(form["state"]),
        age=form.get("age"),
        text=form.get("text", ""),
        in_play=None if in_play is None else action_from(in_play),
        waiting=tuple(action_from(action) for action in form.get("waiting", ())),
        wanted=None if wanted is None else wanted_from(wanted),
        drifted=form.get("drifted", False),
        holds=tuple(hold_from(hold) for hold in form.get("holds", ())),
        more_holds=form.get("more_holds", 0),
        parked=None if parked is None else parking_from(parked),
        requires=tuple(form.get("requires", ())),
    )


def entry_from(form: Form) -> RosterEntry:
    """
    A node of the roster in a form.
    """
    return RosterEntry(
        name=form["name"],
        driver=form["driver"],
        groups=tuple(form["groups"]),
        configured=form.get("configured", True),
        requires=tuple(form.get("requires", ())),
    )
