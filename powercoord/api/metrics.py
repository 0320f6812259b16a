# SPDX-License-Identifier: MIT
"""
What Prometheus may know: counted as entries become durable, and looked at when it asks.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Protocol, TypeVar

from attrs import define, field, frozen
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from powercoord.api.health import health
from powercoord.entries import Accepted, Answered, Drifted, Ended, Entry, Parked
from powercoord.interfaces import IRegistry
from powercoord.model import Disposition, Goal, Outcome, PowerState, Verb
from powercoord.parking import Cause
from powercoord.registry.starts_room import Crowd
from powercoord.registry.sweep import SKIPS
from powercoord.stages import ILifecycle, Stage

T = TypeVar("T", Counter, Gauge)
_FLEET = "(fleet)"
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 300, 600)


@frozen
class Metric:
    """
    One metric, for its declaration and for the reference.
    """

    kind: type[Counter | Gauge | Histogram]
    name: str
    text: str
    labels: tuple[str, ...] = ()


REQUESTS = Metric(
    Counter,
    "powercoord_requests_total",
    "Requests accepted, by verb and by what became of them at once.",
    ("verb", "disposition"),
)
ANSWERS = Metric(
    Counter,
    "powercoord_answers_total",
    "Requests answered, by outcome (the class of a failure in place of failed).",
    ("outcome",),
)
ACTIONS = Metric(
    Histogram,
    "powercoord_action_seconds",
    "From the acceptance of an action's first request to its end, by verb and outcome.",
    ("verb", "outcome"),
)
DRIFTS = Metric(
    Counter,
    "powercoord_drifts_total",
    "How often a node at rest was seen with other power than was wanted.",
    ("wanted",),
)
STAGE = Metric(
    Gauge, "powercoord_stage", "1 for the stage at which the service stands, 0 for the others.", ("stage",)
)
ACCEPTING = Metric(Gauge, "powercoord_accepting", "Whether a change asked for now would be accepted.")
WRITABLE = Metric(Gauge, "powercoord_journal_writable", "Whether the journal could be written the last time.")
PENDING = Metric(Gauge, "powercoord_actions_pending", "Actions in play or waiting.")
NODES = Metric(Gauge, "powercoord_nodes", "Nodes by the power that was last seen.", ("state",))
DRIFTING = Metric(
    Gauge, "powercoord_nodes_drifted", "Nodes at rest whose power is seen to be other than wanted."
)
HELD = Metric(Gauge, "powercoord_nodes_held", "Nodes of which somebody forbids changes.")
SWEPT = Metric(
    Counter, "powercoord_sweep_reads_total", "Reads in the background, which nobody asked for; see `[sweep]`."
)
SKIPPED = Metric(
    Counter,
    "powercoord_sweep_skipped_total",
    "How often a node that was due was not read in the background, by reason.",
    ("reason",),
)
OLDEST = Metric(
    Gauge,
    "powercoord_sweep_oldest_seconds",
    "How long ago that node was seen of which this is longest ago; of those that are read in the background.",
)
PARKINGS = Metric(
    Counter,
    "powercoord_parkings_total",
    "How often an endpoint was parked: left alone because it did not answer, or refused our password.",
    ("cause",),
)
PARKED = Metric(Gauge, "powercoord_endpoints_parked", "Endpoints that are parked now.", ("cause",))
STARTING = Metric(
    Gauge,
    "powercoord_starting",
    "Nodes commanded on and not yet seen on, or settling, by group with a limit, and of `(fleet)`.",
    ("group",),
)
START_LIMIT = Metric(
    Gauge, "powercoord_starting_limit", "How many may be (`max_starting`); `+Inf`: no limit.", ("group",)
)
STARTS_WAITING = Metric(
    Gauge, "powercoord_starts_waiting", "Starts that wait for a place in a group.", ("group",)
)
METRICS = (
    REQUESTS,
    ANSWERS,
    ACTIONS,
    DRIFTS,
    STAGE,
    ACCEPTING,
    WRITABLE,
    PENDING,
    NODES,
    DRIFTING,
    HELD,
    SWEPT,
    SKIPPED,
    OLDEST,
    PARKINGS,
    PARKED,
    STARTING,
    START_LIMIT,
    STARTS_WAITING,
)


class Swept(Protocol):
    """
    What a sweep says of itself.
    """

    read: int

    @property
    def skipped(self) -> Mapping[str, int]: ...

    def oldest(self) -> float: ...


@define(eq=False)
class Metrics:
    """
    The metrics of one coordinator.

    :param drifting: how many nodes have drifted.
    :param sweep: the reads in the background.
    :param parked: why each endpoint that is parked is.
    :param crowds: how many are starting, by group.
    """

    _registry: IRegistry
    _lifecycle: ILifecycle
    _drifting: Callable[[], int]
    _sweep: Swept
    _parked: Callable[[], Iterable[Cause]] = field(default=tuple)
    _crowds: Callable[[], Iterable[Crowd]] = field(default=tuple)
    _collected: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    _requests: Counter = field(init=False)
    _answers: Counter = field(init=False)
    _actions: Histogram = field(init=False)
    _drifts: Counter = field(init=False)
    _stage: Gauge = field(init=False)
    _nodes: Gauge = field(init=False)
    _swept: _Counted = field(init=False)
    _skipped: Mapping[str, _Counted] = field(init=False)
    _parkings: Counter = field(init=False)
    _parked_now: Gauge = field(init=False)
    _starts: tuple[Gauge, Gauge, Gauge] = field(init=False)
    _under_way: dict[str, tuple[Verb, datetime]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        # When each series began is of no use here, and doubles the text.
        disable_created_metrics()
        self._requests = self._declare(REQUESTS, Counter)
        self._answers = self._declare(ANSWERS, Counter)
        self._drifts = self._declare(DRIFTS, Counter)
        self._stage = self._declare(STAGE, Gauge)
        self._nodes = self._declare(NODES, Gauge)
        self._parkings = self._declare(PARKINGS, Counter)
        self._parked_now = self._declare(PARKED, Gauge)
        starts = (self._declare(metric, Gauge) for metric in (STARTING, START_LIMIT, STARTS_WAITING))
        self._starts = (next(starts), next(starts), next(starts))
        self._actions = Histogram(
            ACTIONS.name, ACTIONS.text, ACTIONS.labels, registry=self._collected, buckets=_SECONDS
        )
        for metric, look in (
            (ACCEPTING, lambda: health(self._registry, self._lifecycle).accepting),
            (WRITABLE, lambda: self._registry.trouble is None),
            (PENDING, lambda: self._lifecycle.pending),
            (DRIFTING, self._drifting),
            (HELD, lambda: len(self._registry.holds.names())),
            (OLDEST, self._sweep.oldest),
        ):
            self._declare(metric, Gauge).set_function(_number(look))
        self._swept = _Counted(self._declare(SWEPT, Counter))
        skipped = self._declare(SKIPPED, Counter)
        self._skipped = {reason: _Counted(skipped.labels(reason)) for reason in SKIPS}
        # A series that appears only with its first event cannot be seen to rise from 0.
        for verb in Verb:
            for disposition in Disposition:
                self._requests.labels(verb.value, disposition.value)
        for goal in Goal:
            self._drifts.labels(goal.value)
        for cause in Cause:
            self._parkings.labels(cause.value)

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        These have become durable (a `Listener`).
        """
        for entry in entries:
            if isinstance(entry, Accepted):
                self._accepted(entry)
            elif isinstance(entry, Answered):
                self._answers.labels(_word(entry.outcome)).inc()
            elif isinstance(entry, Ended):
                self._ended(entry)
            elif isinstance(entry, Drifted):
                self._drifts.labels(entry.wanted.value).inc()
            elif isinstance(entry, Parked) and entry.since is None:
                self._parkings.labels(entry.cause.value).inc()

    def text(self) -> bytes:
        """
        All of it now, in Prometheus's text format.
        """
        for stage in Stage:
            self._stage.labels(stage.value).set(stage is self._lifecycle.stage)
        seen = Tally(self._registry.view(name).observed.state for name in self._registry.roster.names())
        for state in PowerState:
            self._nodes.labels(state.value).set(seen[state])
        self._swept.rise_to(self._sweep.read)
        for reason, counted in self._skipped.items():
            counted.rise_to(self._sweep.skipped.get(reason, 0))
        parked = Tally(self._parked())
        for cause in Cause:
            self._parked_now.labels(cause.value).set(parked[cause])
        self._tell_starts()
        return generate_latest(self._collected)

    def _tell_starts(self) -> None:
        """
        Groups come and go with the configuration, and so do their series.
        """
        starting, limit, waiting = self._starts
        for gauge in self._starts:
            gauge.clear()
        for crowd in self._crowds():
            name = crowd.group or _FLEET
            starting.labels(name).set(crowd.starting)
            waiting.labels(name).set(crowd.waiting)
            limit.labels(name).set(inf if crowd.limit is None else crowd.limit)

    def _declare(self, metric: Metric, kind: type[T]) -> T:
        return kind(metric.name, metric.text, metric.labels, registry=self._collected)

    def _accepted(self, entry: Accepted) -> None:
        verb = entry.request.verb
        self._requests.labels(verb.value, entry.disposition.value).inc()
        if entry.disposition is not Disposition.JOINED:
            self._under_way[entry.action] = (verb, entry.at)

    def _ended(self, entry: Ended) -> None:
        verb, since = self._under_way.pop(entry.action, (None, entry.at))
        if verb is not None:
            taken = (entry.at - since).total_seconds()
            self._actions.labels(verb.value, _word(entry.outcome)).observe(taken)


@define(eq=False)
class _Counted:
    """
    A counter of what is counted elsewhere.
    """

    _counter: Counter
    _before: int = 0

    def rise_to(self, number: int) -> None:
        """
        It is so many by now.
        """
        self._counter.inc(number - self._before)
        self._before = number


def _word(outcome: Outcome) -> str:
    return getattr(outcome, "code", type(outcome).__name__.lower())


def _number(look: Callable[[], float]) -> Callable[[], float]:
    return lambda: float(look())
