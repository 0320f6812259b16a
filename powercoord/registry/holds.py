# SPDX-License-Identifier: MIT
"""
Who holds which nodes, and what that forbids.

# Note [Held when it is written]

A hold is decided in its turn among the requests, and counts for every request
that is decided after it, also for those that share its write: these look at
what the batch says.  What is in `_held` follows what was published, and so is
durable; a batch that could not be written leaves nothing to be taken back.

# Note [Its time has come]

A hold whose time has come forbids nothing from that moment on, by the wall
clock; that it is over is written a moment later, or as soon as the journal can
be written again.  Clocks are set now and then, so the alarm is only a reason to
look at the time, and rings at least every hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.entries import Entry, Held, Released
from powercoord.errors import BadRequest, JournalUnavailable, NoSuchNode, RequestRefused
from powercoord.errors import Held as HeldError
from powercoord.holds import Freed, Hold, Holding, IHolds, Terms, moment
from powercoord.model import Goal, Node, Verb
from powercoord.registry.batch import Batch
from powercoord.registry.drift_alarms import Alarms
from powercoord.registry.holds_projection import held_after
from powercoord.registry.intake import Intake

_log = Logger(namespace="powercoord.registry")

MOST_HOLDERS = 8
"""
How many people can hold one node at a time.
"""

LONGEST = 366 * 86400.0
"""
Seconds after which the longest hold ends that ends by itself.
"""

_PAUSE = 30.0
_LOOK = 3600.0
_SHOWN = 80

_VERBS = {Goal.ON: Verb.ON, Goal.OFF: Verb.OFF}
_ONLY = {None: "", Goal.ON: ", only what turns it on", Goal.OFF: ", only what turns it off"}


@implementer(IHolds)
@define(eq=False, kw_only=True)
class Holds:
    """
    The holds on all nodes.

    :param find: the node of that name; raises `NoSuchNode`.
    :param going_on: ids of the actions in play and waiting on a node.
    :param released: called with a node's name when a hold on it is over.
    """

    clock: IReactorTime
    now: Callable[[], datetime]
    intake: Intake
    find: Callable[[str], Node]
    going_on: Callable[[str], tuple[str, ...]]
    released: Callable[[str], None]
    _held: dict[str, tuple[Hold, ...]] = field(factory=dict, init=False)
    _alarms: Alarms = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._alarms = Alarms(self.clock, self._look)

    def begin(self, holds: Mapping[str, tuple[Hold, ...]]) -> None:
        """
        Go on with what was held before; called once.
        """
        self._held.update(holds)
        for name in holds:
            self._wait(name)

    def stop(self) -> None:
        """
        No timer is left.  What is held stays so, and is in the journal.
        """
        self._alarms.stop()

    def check(self, name: str, verb: Verb, batch: Batch) -> None:
        """
        :raises powercoord.errors.Held: somebody forbids that.
        """
        if (self._held or batch.holds) and (holds := self._on(name, batch)):
            now = self.now()
            forbidding = [hold for hold in holds if hold.forbids(verb) and not hold.is_over(now)]
            if forbidding:
                raise HeldError(_refusal(name, verb, forbidding))

    def forbids(self, name: str, goal: Goal) -> bool:
        """
        Whether somebody forbids to turn a node on, or off.
        """
        return any(hold.forbids(_VERBS[goal]) for hold in self.of(name))

    def of(self, name: str) -> tuple[Hold, ...]:
        """
        The holds on a node.
        """
        holds = self._held.get(name, ())
        if holds:
            now = self.now()
            holds = tuple(hold for hold in holds if not hold.is_over(now))
        return holds

    def names(self) -> Sequence[str]:
        """
        The nodes that are held.
        """
        return [name for name in self._held if self.of(name)]

    def hold(self, names: Sequence[str], terms: Terms, by: str) -> Deferred[Sequence[object]]:
        """
        Hold each of these nodes.
        """
        return self.intake.decide(
            lambda batch: [_answer(partial(self._hold, name, terms, by, batch)) for name in names]
        )

    def release(self, names: Sequence[str], holder: str | None, by: str) -> Deferred[Sequence[object]]:
        """
        Release each of these nodes.
        """
        return self.intake.decide(
            lambda batch: [_answer(partial(self._release, name, holder, by, batch)) for name in names]
        )

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        These have become true (a `Listener`); see note [Held when it is written].
        """
        for entry in entries:
            if isinstance(entry, Held | Released):
                self._project(entry)

    def _project(self, entry: Held | Released) -> None:
        name = entry.node
        after = held_after(self._held.get(name, ()), entry)
        if after:
            self._held[name] = after
        else:
            self._held.pop(name, None)
        self._wait(name)
        if isinstance(entry, Released):
            self.released(name)

    def _on(self, name: str, batch: Batch) -> tuple[Hold, ...]:
        return batch.holds[name] if name in batch.holds else self._held.get(name, ())

    def _hold(self, name: str, terms: Terms, by: str, batch: Batch) -> Holding:
        node, now = self.find(name).name, self.now()
        until = self._until(terms, now)
        holds = self._on(node, batch)
        before = next((hold for hold in holds if hold.holder == terms.holder), None)
        if before is None and len(holds) >= MOST_HOLDERS:
            raise BadRequest(
                f"{node}: {MOST_HOLDERS} others hold it already; that is as many as there can be"
            )
        hold = Hold(
            holder=terms.holder,
            reason=terms.reason,
            since=now if before is None or before.is_over(now) else before.since,
            only=terms.only,
            until=until,
        )
        if hold != before:
            self._write(Held(now, node, hold, by), holds, batch)
        return Holding(hold, before, self.going_on(node))

    def _until(self, terms: Terms, now: datetime) -> datetime | None:
        until = terms.until
        if terms.lasting is not None:
            if until is not None or not 0 < terms.lasting <= LONGEST:
                raise BadRequest("a hold ends at a time, or after more than 0 s and at most 366 days")
            return now + timedelta(seconds=terms.lasting)
        if until is not None and not 0 < (until - now).total_seconds() <= LONGEST:
            raise BadRequest(
                f"until {moment(until)}: a hold ends in the future and within 366 days; it is {moment(now)}"
            )
        return until

    def _release(self, name: str, holder: str | None, by: str, batch: Batch) -> Freed:
        node = self._known_or_held(name, batch)
        holds = self._on(node, batch)
        going = tuple(hold for hold in holds if holder in (None, hold.holder))
        self._end(node, going, by, batch)
        return Freed(going, tuple(hold for hold in holds if hold not in going))

    def _known_or_held(self, name: str, batch: Batch) -> str:
        try:
            return self.find(name).name
        except NoSuchNode:
            if self._on(name, batch):
                return name
            raise

    def _end(self, name: str, going: Iterable[Hold], by: str, batch: Batch) -> None:
        for hold in going:
            self._write(Released(self.now(), name, hold.holder, by), self._on(name, batch), batch)

    def _write(self, entry: Held | Released, before: tuple[Hold, ...], batch: Batch) -> None:
        batch.entries.append(entry)
        batch.holds[entry.node] = held_after(before, entry)

    def _wait(self, name: str) -> None:
        """
        Look again when the first hold on a node is to end; see note [Its time has come].
        """
        ends = [hold.until for hold in self._held.get(name, ()) if hold.until is not None]
        if ends:
            remaining = (min(ends) - self.now()).total_seconds()
            self._alarms.set(name, min(max(0.0, remaining), _LOOK))
        else:
            self._alarms.drop(name)

    def _look(self, name: str) -> None:
        if any(hold.is_over(self.now()) for hold in self._held.get(name, ())):
            ended = self.intake.decide(partial(self._expire, name))
            ended.addErrback(self._not_written, name)
        else:
            self._wait(name)

    def _expire(self, name: str, batch: Batch) -> None:
        now = self.now()
        self._end(name, [hold for hold in self._on(name, batch) if hold.is_over(now)], "", batch)

    def _not_written(self, failure: Failure, name: str) -> None:
        if not failure.check(JournalUnavailable):
            _log.failure("fault while ending a hold on {node}", failure, node=name)
        self._alarms.set(name, _PAUSE)


def _answer(decide: Callable[[], Holding | Freed]) -> Holding | Freed | RequestRefused:
    """
    One node that cannot be held must not keep the others from it.
    """
    try:
        return decide()
    except RequestRefused as refusal:
        return refusal


def _refusal(name: str, verb: Verb, holds: Sequence[Hold]) -> str:
    hold, *others = holds
    until = "" if hold.until is None else f" until {moment(hold.until)}"
    more = f", and by {', '.join(each.holder for each in others)}" if others else ""
    reason = hold.reason if len(hold.reason) <= _SHOWN else f"{hold.reason[: _SHOWN - 1]}…"
    return (
        f"{name}: {verb.value} is refused, it is held by {hold.holder} since {moment(hold.since)}{until}"
        f"{_ONLY[hold.only]}{more}: {reason}"
    )
