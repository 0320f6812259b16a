# SPDX-License-Identifier: MIT
"""
A registry, its clock, a fake driver and whatever they need, for one test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from powercoord.durable import IJournal, Recovered
from powercoord.entries import Entry
from powercoord.errors import BadRequest, NoSuchNode
from powercoord.interfaces import IRoster, ITicket
from powercoord.model import Boot, BootDevice, Limit, Node, Outcome, Request, Timing, Verb
from powercoord.registry import Limits, Registry, build_registry
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings

PXE = Boot(BootDevice.PXE)
DISK = Boot(BootDevice.DISK)
_START = datetime(2026, 1, 1, tzinfo=UTC)


@implementer(IRoster)
@define(eq=False)
class FixedRoster:
    """
    The nodes a test names.
    """

    nodes: dict[str, Node]

    def find(self, name: str) -> Node:
        """
        The node of that name.
        """
        try:
            return self.nodes[name]
        except KeyError:
            raise NoSuchNode(f"no node {name}") from None

    def adopt(self, name: str, power_type: str, context: Mapping[str, Any]) -> Node:
        """
        Nobody is adopted here.
        """
        raise BadRequest(name)

    def names(self) -> Sequence[str]:
        """
        All names.
        """
        return tuple(self.nodes)

    def groups(self) -> Mapping[str, Sequence[str]]:
        """
        None.
        """
        return {}

    def requiring(self, name: str) -> Sequence[str]:
        """
        Those that name it.
        """
        return [node.name for node in self.nodes.values() if name in node.requires]


@implementer(IJournal)
@define(eq=False)
class ListJournal:
    """
    Keeps entries in a list, at once or when it is let.

    :param entries: what is durable, in order.
    :param hold: whether writes wait to become durable.
    :param failing: what every write raises, if any.
    :param breaks: so many of the next writes raise.
    """

    entries: list[Entry] = field(factory=list)
    hold: bool = False
    failing: Exception | None = None
    breaks: int = 0
    ever_failed: bool = field(default=False, init=False)
    trouble: str | None = field(default=None, init=False)
    begins_with: Recovered = field(factory=Recovered)
    known: set[str] = field(factory=set)
    held: list[tuple[Deferred[int], Sequence[Entry]]] = field(factory=list, init=False)

    def open(self) -> Deferred[Recovered]:
        """
        What a test says was known.
        """
        return succeed(self.begins_with)

    def may_know(self, request_id: str) -> bool:
        """
        Only what a test says, beyond what the registry keeps in memory.
        """
        return request_id in self.known

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Keep them, now or when they are let go.
        """
        if self.failing is not None or self.breaks:
            self.breaks = max(0, self.breaks - 1)
            self.ever_failed = True
            raise self.failing or OSError("the disk is full")
        if self.hold:
            waiting: Deferred[int] = Deferred()
            self.held.append((waiting, tuple(entries)))
            return waiting
        self.entries.extend(entries)
        return succeed(len(self.entries))

    def release(self, number: int | None = None) -> None:
        """
        What is held becomes durable, or so many of the oldest writes.
        """
        for _ in range(len(self.held) if number is None else min(number, len(self.held))):
            waiting, entries = self.held.pop(0)
            self.entries.extend(entries)
            waiting.callback(len(self.entries))

    def fail(self, error: Exception, number: int | None = None) -> None:
        """
        What is held does not become durable, or so many of the oldest writes do not.
        """
        for _ in range(len(self.held) if number is None else min(number, len(self.held))):
            self.ever_failed = True
            self.held.pop(0)[0].errback(error)

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)

    def of(self, kind: type) -> list[Any]:
        """
        The entries of one class, in order.
        """
        return [entry for entry in self.entries if isinstance(entry, kind)]


@define(eq=False)
class World:
    """
    ``count`` nodes n1, n2, … with an endpoint each, unless they share one.

    :param first_id: where the numbers of actions and requests begin, for one that follows another.
    """

    count: int = 3
    timing: Timing = field(factory=Timing)
    groups: Mapping[str, Limit] = field(factory=dict)
    fleet: Limit = field(factory=Limit)
    shared_endpoint: bool = False
    endpoint_limit: int = 1
    clock: Clock = field(factory=Clock)
    history: Any = None
    make_driver: Callable[[Clock], FakeDriver] = FakeDriver
    first_id: int = 1
    jitter: Callable[[float], float] = float
    driver: FakeDriver = field(init=False)
    journal: ListJournal = field(factory=ListJournal, init=False)
    registry: Registry = field(init=False)
    roster: FixedRoster = field(init=False)
    _ids: count[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.driver = self.make_driver(self.clock)
        action_ids = count(self.first_id)
        self._ids = count(self.first_id)
        self.roster = FixedRoster({name: self.node(name) for name in self.names()})
        self.registry = build_registry(
            clock=self.clock,
            now=self.now,
            new_id=lambda: f"a{next(action_ids)}",
            jitter=self.jitter,
            probe=self.probe,
            roster=self.roster,
            drivers={"fake": self.driver},
            journal=self.journal,
            history=self.history,
            limits=Limits(fleet=self.fleet, groups=self.groups, endpoints={"fake": self.endpoint_limit}),
        )

    def probe(self, address: str) -> Deferred[str]:
        """
        Whatever is on is ready.
        """
        return succeed("")

    def now(self) -> datetime:
        """
        The wall clock.
        """
        return _START + timedelta(seconds=self.clock.seconds())

    def names(self) -> list[str]:
        """
        The nodes' names.
        """
        return [f"n{number}" for number in range(1, self.count + 1)]

    def node(self, name: str) -> Node:
        """
        One node; all are in all groups.
        """
        settings = FakeSettings(address="bmc" if self.shared_endpoint else name, outlet=name)
        return Node(name, self.driver.target(settings), tuple(self.groups), self.timing)

    def machine(self, name: str = "n1") -> FakeMachine:
        """
        The machine behind a node.
        """
        return self.driver.machine(f"{'bmc' if self.shared_endpoint else name}/{name}")

    def commands(self, name: str = "n1") -> list[str]:
        """
        What was commanded of a node's machine, in order.
        """
        return [what for _, what in self.machine(name).commands]

    def ask(self, verb: Verb, name: str = "n1", **options: Any) -> Deferred[ITicket]:
        """
        Submit a request.
        """
        options.setdefault("request_id", f"r{next(self._ids)}")
        return self.registry.submit(Request(node=name, verb=verb, **options))

    def want(self, verb: Verb, name: str = "n1", **options: Any) -> Asked:
        """
        Submit a request that must be accepted at once, and wait for it.
        """
        tickets: list[ITicket] = []
        self.ask(verb, name, **options).addCallback(tickets.append)
        if not tickets:
            raise AssertionError(f"{verb.value} of {name} was not accepted at once")
        return Asked(tickets[0])

    def turn(self, seconds: float, step: float = 0.01) -> None:
        """
        Let time pass, in small steps.
        """
        self.clock.pump([step] * round(seconds / step))

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass, from one timer to the next.
        """
        end = self.clock.seconds() + seconds
        while self.clock.calls and self.clock.calls[0].getTime() <= end:
            self.clock.advance(max(0.0, self.clock.calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))


@define(eq=False)
class Asked:
    """
    An accepted request, and its outcome once it has one.
    """

    ticket: ITicket
    outcomes: list[Outcome] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.ticket.wait().addCallback(self.outcomes.append)

    @property
    def outcome(self) -> Outcome:
        """
        The one outcome; there must be one by now.
        """
        (outcome,) = self.outcomes
        return outcome


def quick(**changes: float) -> Timing:
    """
    Times that keep a test short.
    """
    base = Timing(action=30.0, soft=10.0, force=10.0, poll=0.1, poll_longest=0.5, settle=2.0, minimum_off=1.0)
    return evolve(base, **changes)
