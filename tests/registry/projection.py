# SPDX-License-Identifier: MIT
"""
What a registry begins with, from the entries that are durable: in plain Python, to hold others to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from powercoord.durable import Left, Pending, Record, Recovered, Seen
from powercoord.entries import (
    Accepted,
    Answered,
    Ended,
    Entered,
    Entry,
    Followed,
    Held,
    Observed,
    Parked,
    Released,
    Unparked,
)
from powercoord.holds import Hold
from powercoord.model import Disposition, Phase, Wanted
from powercoord.parking import Cause
from powercoord.registry.holds_projection import held_after
from powercoord.registry.wants_projection import wanted_after


@define
class Projection:
    """
    Everything that entries say about what is not over, and about what was.
    """

    left: dict[str, Left] = field(factory=dict)
    records: dict[str, Record] = field(factory=dict)
    wanted: dict[str, Wanted] = field(factory=dict)
    sequences: dict[str, int] = field(factory=dict)
    seen: dict[str, Seen] = field(factory=dict)
    answered: list[str] = field(factory=list)
    holds: dict[str, tuple[Hold, ...]] = field(factory=dict)
    refused: dict[str, Parked] = field(factory=dict)
    number: int = 0

    def read(self, entry: Entry) -> None:
        """
        One more entry.
        """
        self.number += 1
        match entry:
            case Accepted():
                self._accepted(entry)
            case Entered():
                self._entered(entry)
            case Followed():
                self.records[entry.request_id] = evolve(self.records[entry.request_id], action=entry.action)
            case Ended():
                del self.left[entry.action]
            case Answered():
                record = self.records[entry.request_id]
                self.records[entry.request_id] = evolve(record, answered=entry.at, outcome=entry.outcome)
                self.answered.append(entry.request_id)
            case Observed():
                self.seen[entry.node] = Seen(entry.at, entry.observation.state, entry.observation.text)
            case Held(node=node) | Released(node=node):
                self.holds[node] = held_after(self.holds.get(node, ()), entry)
            case Parked() | Unparked():
                self._parked(entry)
            case _:
                pass
        node = entry.request.node if isinstance(entry, Accepted) else entry.node
        wanted = wanted_after(self.wanted.pop(node, None), entry)
        if wanted is not None:
            self.wanted[node] = wanted

    def recovered(self) -> Recovered:
        """
        What is handed to a registry.
        """
        return Recovered(
            left=[evolve(left, pending=self._pending(left.action)) for left in self.left.values()],
            wanted=dict(self.wanted),
            sequences=dict(self.sequences),
            seen=dict(self.seen),
            answered=[self.records[request_id] for request_id in self.answered],
            holds={node: holds for node, holds in self.holds.items() if holds},
            refused=tuple(self.refused.values()),
            newest=self.number,
        )

    def _accepted(self, entry: Accepted) -> None:
        request = entry.request
        if entry.disposition is not Disposition.JOINED:
            self.left[entry.action] = Left(
                action=entry.action,
                node=request.node,
                verb=request.verb,
                boot=request.boot,
                since=entry.at,
                phase=Phase.QUEUED,
                half="",
                at=entry.at,
            )
        for superseded in entry.superseded:
            by = (entry.action, self.left[entry.action].verb)
            self.left[superseded] = evolve(self.left[superseded], superseded_by=by)
        if request.sequence is not None:
            self.sequences[request.node] = request.sequence
        self.records[request.request_id] = Record(
            number=self.number,
            at=entry.at,
            request=request,
            action=entry.action,
            disposition=entry.disposition,
        )

    def _entered(self, entry: Entered) -> None:
        before = self.left[entry.action]
        if entry.phase is Phase.INTERRUPTED:
            return
        after = evolve(before, phase=entry.phase, half=entry.half, at=entry.at)
        if entry.phase is Phase.ADMITTED and (before.turn is None or before.half != entry.half):
            after = evolve(after, turn=entry.at)
        if entry.phase is Phase.SENT and entry.half not in before.sent:
            after = evolve(after, sent=(*before.sent, entry.half))
        if entry.phase is Phase.CANCELLING and before.superseded_by is None:
            after = evolve(after, cancelled_by=entry.text)
        self.left[entry.action] = after

    def _parked(self, entry: Parked | Unparked) -> None:
        self.refused.pop(entry.endpoint, None)
        if isinstance(entry, Parked) and entry.cause is Cause.REFUSED:
            self.refused[entry.endpoint] = entry

    def _pending(self, action: str) -> tuple[Pending, ...]:
        return tuple(
            Pending(record.request, record.at)
            for record in self.records.values()
            if record.action == action and record.outcome is None
        )


def project(entries: Iterable[Entry]) -> Recovered:
    """
    What a registry begins with after those entries.
    """
    projection = Projection()
    for entry in entries:
        projection.read(entry)
    return projection.recovered()
