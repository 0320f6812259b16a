# SPDX-License-Identifier: MIT
"""
Racks under one feed: limits inside of limits, and machines that write down themselves when they start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from math import inf
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from powercoord.errors import RequestRefused
from powercoord.interfaces import IOperation, ITicket
from powercoord.model import Command, Limit, Node, Outcome, PowerState, Request, Target, Timing, Verb
from powercoord.registry import Limits, Registry, build_registry
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings, Fault
from tests.registry.world import FixedRoster, ListJournal, quick

START = datetime(2026, 1, 1, tzinfo=UTC)
FLEET = "the fleet"
EARLY = 1e-5


@define(eq=False)
class Start:
    """
    One time that a machine was told to start; ``end``: when it was on, or was told otherwise.

    :param again: whether it had been told already.
    """

    name: str
    begin: float
    again: bool
    came_on: bool = False
    end: float = inf


@define(eq=False)
class RecordingDriver(FakeDriver):
    """
    Its machines remember when they were told to start, and when they had.

    :param operations: when each began, by address.
    """

    starts: list[Start] = field(factory=list)
    operations: dict[str, list[float]] = field(factory=dict)
    _told: dict[Callable[[], None], Start] = field(factory=dict, init=False)
    _open: dict[str, Start] = field(factory=dict, init=False)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        self._began(target)
        state: PowerState = await FakeDriver.read(self, target, operation)
        return state

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        self._began(target)
        await FakeDriver.command(self, target, command, operation)

    def _began(self, target: Target) -> None:
        settings: Any = target.settings
        self.operations.setdefault(settings.address, []).append(self.clock.seconds())

    def _effect(self, machine: FakeMachine, command: Command) -> Callable[[], None] | None:
        effect = FakeDriver._effect(self, machine, command)  # noqa: SLF001 - its own parent
        if effect is None or command is not Command.ON:
            return effect
        start = Start(next(name for name, each in self.machines.items() if each is machine), 0.0, again=False)

        def recorded() -> None:
            effect()
            start.came_on, start.end = True, min(start.end, self.clock.seconds())

        self._told[recorded] = start
        return recorded

    def _schedule(self, machine: FakeMachine, fault: Fault | None, effect: Callable[[], None]) -> None:
        """
        A command takes the place of one without effect yet; to start a machine that is on is no start.
        """
        now, name = self.clock.seconds(), next(n for n, each in self.machines.items() if each is machine)
        before = self._open.pop(name, None)
        replaced = machine.coming is not None and machine.coming.active()
        if before is not None and replaced:
            before.end = min(before.end, now)
        start = self._told.pop(effect, None)
        if start is not None and not machine.on:
            start.begin, start.again = now, before is not None and (before.end == inf or replaced)
            self._open[name] = start
            self.starts.append(start)
        FakeDriver._schedule(self, machine, fault, effect)  # noqa: SLF001 - its own parent


@frozen
class Place:
    """
    A node: its groups, what it draws, how long it takes, and what goes wrong.
    """

    groups: tuple[str, ...] = ()
    watts: int = 0
    latency: float = 0.0
    on: bool = False
    faults: tuple[Fault, ...] = ()
    read_faults: tuple[Fault, ...] = ()


@define(eq=False)
class Feed:
    """
    Nodes n0, n1, … with a BMC each, in groups that are inside of others.
    """

    places: Sequence[Place]
    groups: Mapping[str, Limit] = field(factory=dict)
    fleet: Limit = field(factory=Limit)
    timing: Timing = field(factory=quick)
    clock: Clock = field(factory=Clock)
    journal: ListJournal = field(factory=ListJournal)
    driver: RecordingDriver = field(init=False)
    registry: Registry = field(init=False)
    asked: list[Asked] = field(factory=list)
    _ids: count[int] = field(factory=count, init=False)

    def __attrs_post_init__(self) -> None:
        self.driver = RecordingDriver(self.clock, late_by=0.5)
        action_ids = count(1)
        self.registry = build_registry(
            clock=self.clock,
            now=lambda: START + timedelta(seconds=self.clock.seconds()),
            new_id=lambda: f"a{next(action_ids)}",
            jitter=lambda pause: pause,
            roster=FixedRoster({f"n{index}": self._node(index) for index in range(len(self.places))}),
            drivers={"fake": self.driver},
            journal=self.journal,
            limits=Limits(fleet=self.fleet, groups=self.groups),
        )
        for index, place in enumerate(self.places):
            machine = self.driver.machine(f"n{index}/")
            machine.on, machine.latency = place.on, place.latency
            machine.faults, machine.read_faults = list(place.faults), list(place.read_faults)

    def _node(self, index: int) -> Node:
        place, name = self.places[index], f"n{index}"
        target = self.driver.target(FakeSettings(address=name))
        return Node(name, target, place.groups, self.timing, start_watts=place.watts)

    def ask(self, verb: Verb, indices: Sequence[int], requester: str = "") -> None:
        """
        One caller asks for many nodes at once.
        """
        requests = [
            Request(node=f"n{index}", verb=verb, request_id=f"r{next(self._ids)}", requester=requester)
            for index in indices
        ]
        new = [Asked(request, self.clock.seconds()) for request in requests]
        self.asked += new
        self.registry.submit_many(requests).addCallback(_answered, new)

    def cancel(self, index: int) -> None:
        """
        Somebody cancels what a node does.
        """
        in_play = self.registry.view(f"n{index}").in_play
        if in_play is not None:
            self.registry.cancel(in_play.id, "somebody")

    def members(self, group: str) -> set[str]:
        """
        The machines whose starts count for a group, by their address.
        """
        return {
            f"n{index}/"
            for index, place in enumerate(self.places)
            if group in set(self._around(place.groups))
        }

    def exceeded(self) -> Iterator[str]:
        """
        Where the machines' own record has more than a limit allows.
        """
        for group, limit in {**self.groups, FLEET: self.fleet}.items():
            members = self.members(group)
            starts = [start for start in self.driver.starts if start.name in members]
            most, watts = self._most(starts, limit.settle)
            if limit.max_starting is not None and most > limit.max_starting:
                yield f"{group}: {most} starting, {limit.max_starting} may"
            if limit.max_watts is not None and watts > limit.max_watts:
                yield f"{group}: {watts} W, {limit.max_watts} W may be"
            begun = sorted(start.begin for start in starts if not start.again)
            gap = min((after - before for before, after in pairwise(begun)), default=inf)
            if gap < limit.start_interval - EARLY:
                yield f"{group}: {gap} s apart, {limit.start_interval} s must be"

    def _most(self, starts: Sequence[Start], settle: float) -> tuple[int, int]:
        """
        How many were starting at once, and their watts; ends count before beginnings at the same moment.
        """
        moments: list[tuple[float, int, int]] = []
        for start in starts:
            watts = self.places[int(start.name[1:-1])].watts
            end = start.end + (settle if start.came_on else 0.0)
            if not start.again:
                moments += [(start.begin, 1, watts), (max(start.begin, end - EARLY), -1, -watts)]
        now = most = now_watts = most_watts = 0
        for _, one, watts in sorted(moments):
            now, now_watts = now + one, now_watts + watts
            most, most_watts = max(most, now), max(most_watts, now_watts)
        return most, most_watts

    def _around(self, groups: Sequence[str]) -> Iterator[str]:
        yield FLEET
        for group in groups:
            name: str | None = group
            while name is not None:
                yield name
                name = self.groups[name].parent

    def late_offs(self) -> Iterator[str]:
        """
        Offs that did not come to their node's BMC within the time of a cancel and of one operation.
        """
        limit = self.timing.cancel + self.driver.timeout + EARLY
        for one in self.asked:
            begun = one.ticket is not None and one.ticket.disposition.value in ("started", "superseding")
            if one.request.verb is not Verb.OFF or not begun or "done" not in one.words:
                continue
            times = self.driver.operations.get(one.request.node, [])
            first = min((at for at in times if at >= one.at), default=inf)
            if first > one.at + limit:
                yield f"{one.request.node}: off asked for at {one.at}, begun at {first}"


@define(eq=False)
class Asked:
    """
    A request, when it came, and what became of it.
    """

    request: Request
    at: float
    ticket: ITicket | None = None
    refused: RequestRefused | None = None
    outcomes: list[Outcome] = field(factory=list)

    @property
    def words(self) -> list[str]:
        """
        How it ended, in a word.
        """
        return [type(outcome).__name__.lower() for outcome in self.outcomes]


def _answered(answers: Sequence[Any], asked: Sequence[Asked]) -> None:
    for one, answer in zip(asked, answers, strict=True):
        if isinstance(answer, RequestRefused):
            one.refused = answer
        else:
            one.ticket = answer
            waiting: Deferred[Outcome] = answer.wait()
            waiting.addCallback(one.outcomes.append)
