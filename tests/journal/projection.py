# SPDX-License-Identifier: MIT
"""
What follows from a sequence of entries, in plain Python: the judge of the journal's tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import define, evolve, field

from powercoord.durable import Left, Numbered, Pending, Record, Recovered, Seen
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
    Resolved,
    Unparked,
)
from powercoord.holds import Hold
from powercoord.model import Cancelled, Disposition, Goal, Outcome, Phase, Unknown, Verb, Wanted
from powercoord.parking import Cause

GOALS = {Verb.ON: Goal.ON, Verb.OFF: Goal.OFF, Verb.SOFT_OFF: Goal.OFF, Verb.CYCLE: Goal.ON}


@define(eq=False)
class Projection:
    """
    All that is known after some entries.
    """

    entries: list[Numbered] = field(factory=list)
    requests: dict[str, Record] = field(factory=dict)
    actions: dict[str, Left] = field(factory=dict)
    outcomes: dict[str, Outcome] = field(factory=dict)
    order: list[str] = field(factory=list)
    wanted: dict[str, Wanted] = field(factory=dict)
    sequences: dict[str, int] = field(factory=dict)
    seen: dict[str, Seen] = field(factory=dict)
    holds: dict[str, dict[str, Hold]] = field(factory=dict)
    refused: dict[str, Parked] = field(factory=dict)

    def add(self, entry: Entry) -> None:  # noqa: C901, PLR0912 - one case for each kind
        """
        One more became durable.
        """
        self.entries.append(Numbered(len(self.entries) + 1, entry))
        match entry:
            case Accepted():
                self.accepted(entry)
            case Entered(action=action):
                if action in self.actions:
                    self.actions[action] = entered(self.actions[action], entry)
            case Followed(request_id=request_id):
                if request_id in self.requests and self.requests[request_id].answered is None:
                    self.requests[request_id] = evolve(self.requests[request_id], action=entry.action)
                wanted = self.wanted.get(entry.node)
                if wanted is not None and wanted.request_id == request_id:
                    self.wanted[entry.node] = evolve(wanted, action=entry.action)
            case Ended(action=action, outcome=outcome):
                self.actions.pop(action, None)
                self.outcomes[action] = outcome
                if isinstance(outcome, Cancelled):
                    self.take_back(entry.node, action)
            case Answered():
                self.answered(entry)
            case Resolved():
                self.take_back(entry.node, entry.action)
            case Observed(observation=observation):
                self.seen[entry.node] = Seen(entry.at, observation.state, observation.text)
            case Held(node=node, hold=hold):
                self.holds.setdefault(node, {}).pop(hold.holder, None)
                self.holds[node][hold.holder] = hold
            case Released(node=node, holder=holder):
                self.holds.get(node, {}).pop(holder, None)
            case Parked(endpoint=endpoint, cause=cause):
                self.refused.pop(endpoint, None)
                if cause is Cause.REFUSED:
                    self.refused[endpoint] = entry
            case Unparked(endpoint=endpoint):
                self.refused.pop(endpoint, None)

    def accepted(self, entry: Accepted) -> None:
        request, number = entry.request, len(self.entries)
        if request.request_id in self.order:
            self.order.remove(request.request_id)
        self.requests[request.request_id] = Record(
            number=number, at=entry.at, request=request, action=entry.action, disposition=entry.disposition
        )
        if entry.disposition is not Disposition.JOINED and entry.action not in self.actions:
            self.actions[entry.action] = Left(
                action=entry.action,
                node=request.node,
                verb=request.verb,
                boot=request.boot,
                since=entry.at,
                phase=Phase.QUEUED,
                half="",
                at=entry.at,
            )
        for old in entry.superseded:
            if old in self.actions:
                new = self.actions.get(entry.action)
                verb = request.verb if new is None else new.verb
                self.actions[old] = evolve(self.actions[old], superseded_by=(entry.action, verb))
        if request.sequence is not None:
            self.sequences[request.node] = request.sequence
        if request.verb in GOALS and request.door == "enforce":
            if request.node in self.wanted:
                self.wanted[request.node] = evolve(self.wanted[request.node], action=entry.action)
        elif request.verb in GOALS:
            self.wanted[request.node] = Wanted(
                goal=GOALS[request.verb],
                since=entry.at,
                action=entry.action,
                request_id=request.request_id,
                requester=request.requester,
                door=request.door,
                sequence=request.sequence,
                escalate=request.escalate or request.verb is not Verb.SOFT_OFF,
            )

    def answered(self, entry: Answered) -> None:
        record = self.requests.get(entry.request_id)
        if record is not None and record.answered is None:
            self.requests[entry.request_id] = evolve(
                record, action=entry.action, answered=entry.at, outcome=entry.outcome
            )
            self.order.append(entry.request_id)

    def take_back(self, node: str, action: str) -> None:
        if node in self.wanted and self.wanted[node].action == action:
            del self.wanted[node]

    def mend(self, now: datetime) -> None:
        """
        Answer those whom nobody will answer any more.
        """
        for record in sorted(self.requests.values(), key=lambda each: each.number):
            if record.answered is None and record.action not in self.actions:
                text = (
                    f"{record.request.node}: action {record.action} is over, and how it ended was not written"
                )
                outcome = self.outcomes.get(record.action, Unknown(text))
                self.add(
                    Answered(now, record.request.node, record.request.request_id, record.action, outcome)
                )

    def recovered(self) -> Recovered:
        """
        What a new start finds.
        """
        return Recovered(
            left=tuple(self.left()),
            wanted=self.wanted,
            sequences=self.sequences,
            seen=self.seen,
            answered=tuple(self.requests[each] for each in self.order),
            holds={node: tuple(holds.values()) for node, holds in self.holds.items() if holds},
            refused=tuple(self.refused.values()),
            newest=len(self.entries),
        )

    def left(self) -> Iterator[Left]:
        for action in self.actions.values():
            pending = [
                record
                for record in self.requests.values()
                if record.answered is None and record.action == action.action
            ]
            yield evolve(
                action,
                cancelled_by=None if action.superseded_by else action.cancelled_by,
                pending=tuple(
                    Pending(each.request, each.at) for each in sorted(pending, key=lambda each: each.number)
                ),
            )

    def about(self, action: str) -> list[Numbered]:
        """
        The entries about an action, and of the requests it answered.
        """
        requests = {name: each for name, each in self.requests.items() if each.action == action}
        numbers = {each.number for each in requests.values()}
        return [
            each
            for each in self.entries
            if getattr(each.entry, "action", None) == action
            or each.number in numbers
            or (isinstance(each.entry, Followed) and each.entry.request_id in requests)
        ]


def entered(before: Left, entry: Entered) -> Left:
    if entry.phase is Phase.INTERRUPTED:
        return before
    after = evolve(before, phase=entry.phase, half=entry.half, at=entry.at)
    if entry.phase is Phase.ADMITTED and (before.turn is None or before.half != entry.half):
        after = evolve(after, turn=entry.at)
    if entry.phase is Phase.SENT and entry.half not in before.sent:
        after = evolve(after, sent=(*before.sent, entry.half))
    if entry.phase is Phase.CANCELLING:
        after = evolve(after, cancelled_by=entry.text)
    return after
