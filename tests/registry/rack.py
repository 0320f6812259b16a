# SPDX-License-Identifier: MIT
"""
A small rack with everything that can go wrong, for the tests that try what nobody thought of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import attrgetter
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from powercoord.entries import Accepted, Answered, Ended, Entered, Entry, Followed
from powercoord.errors import JournalUnavailable, RequestRefused
from powercoord.interfaces import ITicket
from powercoord.model import Done, Goal, Limit, Node, Outcome, Phase, Request, Timing, Verb, Wait
from powercoord.parking import ParkingRules
from powercoord.registry import Limits, Registry, build_registry
from powercoord.registry.lattice import goal
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings
from tests.registry.world import FixedRoster, ListJournal

TIMING = Timing(action=30.0, soft=10.0, force=10.0, poll=0.1, poll_longest=0.5, settle=2.0, minimum_off=1.0)
START = datetime(2026, 1, 1, tzinfo=UTC)

# Each node's driver, endpoint and groups. The driver "pair" may do two operations at once at an endpoint.
PLACES = {
    "n1": ("fake", "bmc1", ("rack", "row")),
    "n2": ("fake", "bmc2", ("rack", "row")),
    "n3": ("fake", "host", ("row",)),
    "n4": ("fake", "host", ("row", "loose")),
    "n5": ("pair", "bar", ("loose",)),
    "n6": ("pair", "bar", ()),
}
GROUPS = {"rack": Limit(1, settle=1.0), "row": Limit(2), "loose": Limit(None, settle=0.5)}
FLEET = Limit(3)
ENDPOINT_LIMITS = {"fake": 1, "pair": 2}
WINDOW = (2, 2)
PARKING = ParkingRules(after=2, pause=2.0, longest=8.0, refused=30.0)


# Where the registry keeps what it must give back.
HELD = (
    "_course._launcher._offs",
    "_course._launcher._others",
    "_course.actions",
    "_course.ends._owed",
    "_intake._queue",
    "_reads._reading",
    "_world.endpoints._endpoints",
    "_world.sightings._curious",
    "_world.starts._settling",
    "_world.dependencies.readiness._probing",
    "_world.starts._asked",
    "_world.starts._elders._patient",
    "_world.starts._inside",
    "_world.starts._lines",
    "_world.starts._opening",
    "_world.starts._reserved",
    "_world.starts._turns._next",
    "_world.window._begun",
    "_world.window._waiting",
)


def glide(clock: Clock, seconds: float) -> None:
    """
    Let time pass as it does: everything that is due happens at its own moment.
    """
    end = clock.seconds() + seconds
    while (calls := clock.getDelayedCalls()) and (due := min(call.getTime() for call in calls)) <= end:
        clock.advance(max(0.0, due - clock.seconds()))
    clock.advance(max(0.0, end - clock.seconds()))


@define(eq=False)
class Wanted:
    """
    A request, and all that came back.

    :param again: whether it came before; then the answer may be an old one.
    """

    request: Request
    asked_at: float
    again: bool = False
    ticket: ITicket | None = field(default=None, repr=False)
    refused: RequestRefused | None = None
    outcomes: list[Outcome] = field(factory=list)
    waiting: Deferred[Outcome] | None = field(default=None, repr=False)
    gone: bool = False

    @property
    def settled(self) -> bool:
        """
        Whether nothing more is to come.
        """
        return self.refused is not None or self.gone or bool(self.outcomes)


@define(eq=False)
class Rack:
    """
    Six nodes, two of which share an endpoint, and two another one.

    :param tainted: nodes of which it cannot be told any more what they should be.
    :param lies: what was said and is not so.
    """

    clock: Clock = field(factory=Clock)
    journal: ListJournal = field(factory=ListJournal)
    drivers: dict[str, FakeDriver] = field(init=False)
    registry: Registry = field(init=False)
    wanted: list[Wanted] = field(factory=list)
    answers: list[tuple[str, Deferred[Any], list[Any]]] = field(factory=list)
    tainted: set[str] = field(factory=set)
    lies: list[str] = field(factory=list)
    events: list[Entry] = field(factory=list)
    _ids: count[int] = field(factory=lambda: count(1), init=False)

    def __attrs_post_init__(self) -> None:
        self.drivers = {name: FakeDriver(self.clock, name=name, late_by=1.5) for name in ENDPOINT_LIMITS}
        action_ids = count(1)
        self.registry = build_registry(
            clock=self.clock,
            now=lambda: START + timedelta(seconds=self.clock.seconds()),
            new_id=lambda: f"a{next(action_ids)}",
            jitter=lambda pause: pause,
            roster=FixedRoster({name: self.node(name) for name in PLACES}),
            drivers=self.drivers,
            journal=self.journal,
            limits=Limits(fleet=FLEET, groups=GROUPS, endpoints=ENDPOINT_LIMITS, parking=PARKING),
        )
        window = attrgetter("_world.window")(self.registry)
        window._size, window._spare = WINDOW  # noqa: SLF001 - so small that six nodes fill it
        self.registry.subscribe(lambda _, entries: self.events.extend(entries))

    def node(self, name: str) -> Node:
        """
        One node, as PLACES has it.
        """
        driver, address, groups = PLACES[name]
        settings = FakeSettings(address=address, outlet=name)
        return Node(name, self.drivers[driver].target(settings), groups, TIMING)

    def machine(self, name: str) -> FakeMachine:
        """
        The machine behind a node.
        """
        driver, address, _ = PLACES[name]
        return self.drivers[driver].machine(f"{address}/{name}")

    def submit(self, *requests: dict[str, Any]) -> list[Wanted]:
        """
        Ask for several things in one call, and wait for each that is accepted.
        """
        now = self.clock.seconds()
        wanted = [
            Wanted(Request(**{"request_id": f"r{next(self._ids)}"} | each), now, "request_id" in each)
            for each in requests
        ]
        self.wanted.extend(wanted)
        answered = self.registry.submit_many([one.request for one in wanted])
        self.expect("submit", answered).addCallbacks(
            self._accepted, self._refused, (wanted,), errbackArgs=(wanted,)
        )
        return wanted

    def expect(self, what: str, answer: Deferred[Any]) -> Deferred[Any]:
        """
        See that a Deferred fires, once, some time; returns one that does the same.
        """
        results: list[Any] = []
        self.answers.append((what, answer, results))
        copy: Deferred[Any] = Deferred()

        def fired(result: Any) -> None:
            results.append(result)
            copy.callback(result)

        answer.addBoth(fired)
        return copy

    def taint(self, *names: str) -> None:
        """
        From now on nothing is promised about the power of those nodes.
        """
        self.tainted.update(names)

    def all_quiet(self) -> bool:
        """
        Whether nothing is left to be waited for.
        """
        return not self.clock.getDelayedCalls() and not self.journal.held

    def _accepted(self, answers: Sequence[Any], wanted: Sequence[Wanted]) -> None:
        for one, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, RequestRefused):
                one.refused = answer
            else:
                one.ticket = answer
                self._await(one, answer)

    def _refused(self, failure: Any, wanted: Sequence[Wanted]) -> None:
        failure.trap(JournalUnavailable)
        for one in wanted:
            one.refused = failure.value

    def _await(self, one: Wanted, ticket: ITicket) -> None:
        one.waiting = ticket.wait()
        one.waiting.addCallbacks(self._answered, lambda gone: gone.trap(CancelledError) and None, (one,))

    def _answered(self, outcome: Outcome, one: Wanted) -> None:
        one.outcomes.append(outcome)
        name, wanted = one.request.node, goal(one.request.verb)
        seen_to_be_so = isinstance(outcome, Done) and outcome.reached is Wait.POWER and wanted is not None
        if (
            seen_to_be_so
            and not one.again
            and name not in self.tainted
            and self.machine(name).on is not (wanted is Goal.ON)
        ):
            self.lies.append(f"{one.request.verb.value} of {name} is done, and the node is not so: {outcome}")
        if "fault in the coordinator" in getattr(outcome, "text", ""):
            self.lies.append(f"{one.request.verb.value} of {name}: {outcome}")

    def leaks(self) -> list[str]:
        """
        What is held, or waited for, when nothing is to be done.
        """
        held = {path: attrgetter(path)(self.registry) for path in HELD}
        return [f"{path}: {value}" for path, value in held.items() if value]


def neighbours(name: str) -> list[str]:
    """
    The nodes at the endpoint of one, for a fault of which all of them may be left alone; itself, too.
    """
    return [other for other, place in PLACES.items() if place[1] == PLACES[name][1]]


def most_starting(entries: Sequence[Entry], member: Callable[[str], bool], settle: float) -> int:
    """
    How many nodes were at once commanded on and not yet seen on, or settling.
    """
    moments: list[tuple[float, int]] = []
    started: dict[str, float] = {}
    for entry in entries:
        if (
            isinstance(entry, Entered)
            and entry.phase is Phase.SENT
            and entry.half == "on"
            and member(entry.node)
        ):
            started.setdefault(entry.action, (entry.at - START).total_seconds())
        if isinstance(entry, Ended) and entry.action in started:
            end = (entry.at - START).total_seconds()
            settled = settle if isinstance(entry.outcome, Done) else 0.0
            moments += [(started.pop(entry.action), 1), (end + settled, -1)]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def unbalanced(entries: Sequence[Entry], *, went_on: bool = False) -> list[str]:
    """
    Requests without exactly one answer, and actions without exactly one end; interrupted ones have none.

    :param went_on: whether what was interrupted has gone on.
    """
    accepted = [entry for entry in entries if isinstance(entry, Accepted)]
    interrupted = {e.action for e in entries if isinstance(e, Entered) and e.phase is Phase.INTERRUPTED}
    if went_on:
        interrupted = set()
    doing = {entry.request.request_id: entry.action for entry in accepted}
    doing |= {entry.request_id: entry.action for entry in entries if isinstance(entry, Followed)}
    answers = Counter(entry.request_id for entry in entries if isinstance(entry, Answered))
    ends = Counter(entry.action for entry in entries if isinstance(entry, Ended))
    # Who asked for no more than the BMC's word has had it, whatever becomes of the action afterwards.
    content = {e.request_id for e in entries if isinstance(e, Answered) and _is_word(e.outcome)}
    wrong = [
        f"request {r}: {answers[r]} answers"
        for r in {e.request.request_id for e in accepted}
        if answers[r] != (doing[r] not in interrupted or r in content)
    ]
    wrong += [
        f"action {a}: {ends[a]} ends"
        for a in {e.action for e in accepted} | set(doing.values())
        if ends[a] != (a not in interrupted)
    ]
    orphans = set(answers) - {entry.request.request_id for entry in accepted}
    return wrong + [f"request {orphan}: answered and never accepted" for orphan in orphans]


def _is_word(outcome: Outcome) -> bool:
    return isinstance(outcome, Done) and outcome.reached is Wait.NONE


def wants(request: Request) -> bool | None:
    """
    Whether a request leaves its node on; None if it leaves it as it was.
    """
    if request.verb in (Verb.BOOT, Verb.RESET):
        return None
    return request.verb in (Verb.ON, Verb.CYCLE)
