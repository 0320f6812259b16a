# SPDX-License-Identifier: MIT
"""
A client without a coordinator, and a session that runs commands on it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import Factory, define, evolve
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from powercoord.cli.screen import Screen
from powercoord.cli.session import Work, World
from powercoord.client import (
    Accepted,
    Answer,
    Health,
    HeldNode,
    NodeStatus,
    Pulse,
    Reading,
    Refused,
    ReleasedNode,
    RosterEntry,
    ServerInfo,
)
from powercoord.durable import Numbered, Record
from powercoord.errors import NoSuchAction, NoSuchNode, PowercoordError
from powercoord.holds import Hold
from powercoord.interfaces import IPowerDriver
from powercoord.model import (
    CancelResult,
    Disposition,
    Done,
    How,
    Outcome,
    Phase,
    PowerState,
    Request,
    Verb,
    Wanted,
)
from powercoord.parking import Parking
from powercoord.stages import Stage
from powercoord.views import ActionView
from tests.paper_driver import PaperDriver

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rack(count: int = 4) -> tuple[RosterEntry, ...]:
    """
    Nodes of one driver; the last one is in no group.
    """
    names = [f"n{number}" for number in range(1, count + 1)]
    grouped = [RosterEntry(name=name, driver="ipmi", groups=("rack1",)) for name in names[:-1]]
    return (*grouped, RosterEntry(name=names[-1], driver="ipmi"))


def action(node: str, verb: Verb = Verb.ON, **changes: Any) -> ActionView:
    """
    An action in play since a minute ago, with two minutes left.
    """
    view = ActionView(
        id=f"a-{node}",
        node=node,
        verb=verb,
        boot=None,
        phase=Phase.SENT,
        half="",
        since=NOON.replace(hour=11, minute=59),
        deadline=NOON.replace(minute=2),
        waiters=(Request(node=node, verb=verb, request_id="r", requester="alice", door="cli"),),
    )
    return evolve(view, **changes)


class FakeWatch:
    """
    Events that are known beforehand, then a wait without end.
    """

    def __init__(self, events: Sequence[Any], endless: bool = True) -> None:
        self._events = list(events)
        self._endless = endless
        self._end: Deferred[None] = Deferred()
        self.stopped = False
        self.cursor: int | None = None

    def __aiter__(self) -> FakeWatch:
        return self

    async def __anext__(self) -> Any:
        if self._events:
            self.cursor = (self.cursor or 40) + 1
            return self._events.pop(0)
        if not self._endless:
            raise StopAsyncIteration
        await self._end
        raise StopAsyncIteration

    def stop(self) -> None:
        self.stopped = True
        if not self._end.called:
            self._end.callback(None)


@define
class FakeClient:
    """
    Answers at once what the test put here, and remembers what was asked.
    """

    roster: Sequence[RosterEntry] = Factory(rack)
    outcomes: dict[str, Outcome | None] = Factory(dict)
    refusals: dict[str, PowercoordError] = Factory(dict)
    states: dict[str, tuple[PowerState, float | None, str]] = Factory(dict)
    busy: Sequence[NodeStatus] = ()
    cancels: dict[str, CancelResult] = Factory(dict)
    power_types: Sequence[Mapping[str, Any]] = ()
    kinds: Sequence[Mapping[str, Any]] = ()
    broken_kinds: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Any] = ()
    endless: bool = False
    draining: str | None = None
    now: Health = Factory(lambda: Health(stage=Stage.SERVING, pending=0))
    wanted: dict[str, Wanted] = Factory(dict)
    drifted: Sequence[str] = ()
    parked: dict[str, Parking] = Factory(dict)
    records: Sequence[Record] = ()
    steps: Sequence[Numbered] = ()
    holds: dict[str, tuple[Hold, ...]] = Factory(dict)
    hold_entries: Sequence[Numbered] = ()
    held: dict[str, HeldNode] = Factory(dict)
    released: dict[str, ReleasedNode] = Factory(dict)
    gone: Sequence[NodeStatus] = ()
    unreachable: PowercoordError | None = None
    going_on: bool = False
    submitted: list[list[Request]] = Factory(list)
    calls: list[str] = Factory(list)
    watches: list[FakeWatch] = Factory(list)

    def request(self, node: str, verb: Verb, **options: Any) -> Request:
        return Request(node=node, verb=verb, request_id=f"r-{node}", **options)

    def submit(self, requests: Sequence[Request]) -> Deferred[tuple[Answer, ...]]:
        self.submitted.append(list(requests))
        return succeed(tuple(map(self._answer, requests)))

    def _answer(self, request: Request) -> Answer:
        node, identity = request.node, request.request_id
        if node in self.refusals:
            return Refused(node=node, request_id=identity, error=self.refusals[node])
        return Accepted(node=node, request_id=identity, action=f"a-{node}", disposition=Disposition.STARTED)

    def outcome(self, accepted: Accepted) -> Deferred[Outcome]:
        """
        None stands for an outcome that never comes.
        """
        goal = Done(How.COMMANDED, PowerState.ON)
        outcome = self.outcomes.get(accepted.node, goal)
        return Deferred() if outcome is None else succeed(outcome)

    def status(self, nodes: Sequence[str] | None = None) -> Deferred[tuple[NodeStatus, ...]]:
        self.calls.append("status")
        known = {entry.name: entry for entry in self.roster}
        names = list(known) if nodes is None else nodes
        unknown = [name for name in names if name not in known]
        if unknown:
            return fail(NoSuchNode(f"unknown node '{unknown[0]}'"))
        return succeed(tuple(self._status(known[name]) for name in names))

    def _status(self, entry: RosterEntry) -> NodeStatus:
        state, age, text = self.states.get(entry.name, (PowerState.NEVER_CHECKED, None, ""))
        busy = {status.name: status for status in self.busy}.get(entry.name)
        return NodeStatus(
            name=entry.name,
            driver=entry.driver,
            groups=entry.groups,
            state=state,
            age=age,
            text=text,
            in_play=busy.in_play if busy else None,
            waiting=busy.waiting if busy else (),
            wanted=self.wanted.get(entry.name),
            drifted=entry.name in self.drifted,
            holds=self.holds.get(entry.name, ()),
            parked=self.parked.get(entry.name),
            requires=entry.requires,
        )

    def query(
        self, nodes: Sequence[str], *, each: Callable[[Reading], None] | None = None
    ) -> Deferred[tuple[Reading, ...]]:
        readings = []
        for name in nodes:
            state, age, text = self.states.get(name, (PowerState.ON, 0.0, ""))
            readings.append(Reading(node=name, state=state, age=age, text=text))
            if each is not None:
                each(readings[-1])
        return succeed(tuple(readings))

    def nodes(self) -> Deferred[tuple[RosterEntry, ...]]:
        self.calls.append("nodes")
        return succeed(tuple(self.roster))

    def list_actions(self) -> Deferred[tuple[NodeStatus, ...]]:
        return succeed(tuple(self.busy))

    def info(self) -> Deferred[ServerInfo]:
        return succeed(ServerInfo(ident="here", draining=self.draining))

    def drivers(self) -> Deferred[Sequence[Mapping[str, Any]]]:
        return succeed(self.power_types)

    def installed(self) -> Deferred[Mapping[str, Any]]:
        return succeed({"drivers": self.kinds, "broken": self.broken_kinds})

    def cancel(self, action: str) -> Deferred[CancelResult]:
        self.calls.append(f"cancel {action}")
        if action not in self.cancels:
            return fail(NoSuchAction(f"no action '{action}'"))
        return succeed(self.cancels[action])

    def watch(self, **filters: Any) -> Deferred[FakeWatch]:
        self.calls.append(f"watch {filters}")
        self.watches.append(FakeWatch(self.events, self.endless))
        return succeed(self.watches[-1])

    def connect(self) -> Deferred[None]:
        return succeed(None) if self.unreachable is None else fail(self.unreachable)

    def close(self) -> Deferred[None]:
        self.calls.append("close")
        return succeed(None)

    def ping(self) -> Deferred[Pulse]:
        return succeed(
            Pulse(stage=self.now.stage, accepting=self.now.accepting, reason=self.now.draining or "")
        )

    def health(self) -> Deferred[Health]:
        return succeed(self.now)

    def drain(self, reason: str, *, wait: bool = False) -> Deferred[Health]:
        """
        It is over at once, unless something is going on for ever.
        """
        self.calls.append(f"drain {reason}{' and wait' if wait else ''}")
        if wait and self.going_on:
            return Deferred()
        stage = Stage.DRAINING if self.now.pending and not wait else Stage.DRAINED
        self.now = evolve(self.now, stage=stage, draining=reason, pending=0 if wait else self.now.pending)
        return succeed(self.now)

    def resume(self) -> Deferred[Health]:
        self.calls.append("resume")
        if not self.now.stop_requested:
            self.now = evolve(self.now, stage=Stage.SERVING, draining=None)
        return succeed(self.now)

    def shutdown(self) -> Deferred[Health]:
        self.calls.append("shutdown")
        return succeed(self.now)

    def history(self, nodes: Any = None, *, limit: int, since: datetime | None) -> Deferred[Any]:
        self.calls.append(f"history {nodes} {limit} {since and since.isoformat()}")
        found = [
            record
            for record in self.records
            if (nodes is None or record.request.node in nodes) and (since is None or record.at >= since)
        ]
        return succeed(tuple(found[:limit]))

    def hold_history(self, nodes: Any = None, *, limit: int, since: datetime | None) -> Deferred[Any]:
        found = [each for each in self.hold_entries if nodes is None or each.entry.node in nodes]
        return succeed(tuple(found[:limit]))

    def hold(self, nodes: Sequence[str], reason: str, **terms: Any) -> Deferred[Sequence[HeldNode]]:
        said = {name: value for name, value in terms.items() if value is not None}
        self.calls.append(f"hold {','.join(nodes)} {reason} {said}")
        return succeed(tuple(self.held.get(node, HeldNode(node=node)) for node in nodes))

    def release(
        self, nodes: Sequence[str], *, holder: str | None = None, everybody: bool = False
    ) -> Deferred[Sequence[ReleasedNode]]:
        self.calls.append(f"release {','.join(nodes)} {'everybody' if everybody else holder}")
        return succeed(tuple(self.released.get(node, ReleasedNode(node=node, released=1)) for node in nodes))

    def list_outstanding(self) -> Deferred[tuple[NodeStatus, ...]]:
        held = [self._status(entry) for entry in self.roster if entry.name in self.holds]
        return succeed((*held, *self.gone))

    def show(self, action: str) -> Deferred[Sequence[Numbered]]:
        return succeed(self.steps) if self.steps else fail(NoSuchAction(f"no action '{action}'"))

    def unpark(self, nodes: Sequence[str]) -> Deferred[tuple[str, ...]]:
        self.calls.append(f"unpark {' '.join(nodes)}")
        return succeed(tuple(name for name in nodes if name in self.parked))

    def resolve(self, action: str, reason: str) -> Deferred[CancelResult]:
        self.calls.append(f"resolve {action}: {reason}")
        return succeed(self.cancels[action]) if action in self.cancels else fail(NoSuchAction(action))


@define
class FakeSession:
    """
    Runs a command's work on a fake client; what does not end at once is interrupted.
    """

    client: Any = Factory(FakeClient)
    unreachable: PowercoordError | None = None
    connect: str | None = None
    config: str | None = None
    requester: str | None = None
    runs: int = 0
    peers: dict[str, FakeClient] = Factory(dict)

    def using(self, connect: str | None, config: str | None) -> FakeSession:
        self.connect, self.config = connect, config
        return self

    def drivers(self) -> tuple[Mapping[str, IPowerDriver], Mapping[str, str]]:
        return {"paper": PaperDriver()}, {"torn": "it is torn"}

    def locally(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        ended: list[Any] = []
        Deferred.fromCoroutine(work()).addBoth(ended.append)
        if isinstance(ended[0], Failure):
            ended[0].raiseException()
        return int(ended[0])

    def run(self, work: Work, screen: Screen, requester: str | None = None) -> int:
        self.requester = requester
        self.runs += 1
        if self.unreachable is not None:
            raise self.unreachable
        ended: list[Any] = []
        running = Deferred.fromCoroutine(
            work(World(self.client, Clock(), screen, lambda: NOON, self.peers.__getitem__))
        )
        running.addBoth(ended.append)
        if not ended:
            running.cancel()
        if isinstance(ended[0], Failure):
            if ended[0].check(CancelledError):
                raise KeyboardInterrupt
            ended[0].raiseException()
        return int(ended[0])
