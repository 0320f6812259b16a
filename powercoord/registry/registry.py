# SPDX-License-Identifier: MIT
"""
The door of the heart: requests in, tickets out, one action in play per node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from powercoord.durable import IHistory, Recovered
from powercoord.entries import Observed
from powercoord.errors import Draining, NoSuchAction, NoSuchNode, RequestRefused
from powercoord.interfaces import IRegistry, ITicket, Listener
from powercoord.model import CancelResult, Limit, Node, Observation, Request
from powercoord.registry.acceptance import Acceptance
from powercoord.registry.action import PowerAction
from powercoord.registry.batch import Batch
from powercoord.registry.consequences import Consequences
from powercoord.registry.course import Course
from powercoord.registry.dependencies import Ways
from powercoord.registry.dismissal import Dismissal
from powercoord.registry.expiry import Expiry
from powercoord.registry.family import Family
from powercoord.registry.holds import Holds
from powercoord.registry.intake import Intake
from powercoord.registry.interruption import Interruption
from powercoord.registry.looking import Looking
from powercoord.registry.memory import Memory
from powercoord.registry.publisher import Publisher
from powercoord.registry.reads import Reads
from powercoord.registry.recovery import Recovery
from powercoord.registry.requests import SeenRequests
from powercoord.registry.starts_turns import Turns
from powercoord.registry.sweep import Sweep
from powercoord.registry.unwritten import log_unwritten
from powercoord.registry.waiters import Ticket
from powercoord.registry.wants import Wants

_log = Logger()


@implementer(IRegistry)
@define(eq=False)
class Registry(Looking):
    """
    All lanes, and what passes through them.

    :param publisher: what the surroundings write through.
    """

    _publisher: Publisher
    _new_id: Callable[[], str]
    _history: IHistory | None = None
    draining: str | None = field(default=None, init=False)
    _acceptance: Acceptance = field(init=False)
    _intake: Intake = field(init=False)
    _reads: Reads = field(init=False)
    _expiry: Expiry = field(init=False)
    _dismissal: Dismissal = field(init=False)
    sweep: Sweep = field(init=False)
    _interruption: Interruption = field(init=False)
    _memory: Memory = field(init=False)
    _recovery: Recovery = field(init=False)
    _family: Family = field(init=False)

    def __attrs_post_init__(self) -> None:
        seen = SeenRequests()
        self._acceptance = Acceptance(self._world, seen, self._new_id)
        self._course = Course(self._world, self._lanes, self._look)
        self._reads = Reads(self._world, self._course.polled)
        consequences = Consequences(self._world, self._acceptance, self._course)
        self._recovery = Recovery(self._world, self.roster, self._lanes, seen)
        self._memory = Memory(seen, self._publisher.may_know, self._history, self._recovery.recall)
        self._intake = Intake(
            self._world.write,
            lambda batch: consequences.carry_out(batch, self._expiry),
            consequences.undo,
            self._memory.look_up,
        )
        self._dismissal = Dismissal(self._world, self._intake, self._acceptance, self._lanes, self._course)
        self._expiry = Expiry(self._world.clock, self._intake, self._dismissal.end_if_waiting)
        self._interruption = Interruption(self._world, self._intake, self._lanes, self._course)
        self.holds = self._holds()
        self._publisher.subscribe(self.holds.published)
        self.breakers = self._world.breakers
        self.breakers.connect(self._find, self._reads.probe)
        self.wants = self._wants()
        self._publisher.subscribe(self.wants.published)
        self._family = Family(self._world.dependencies, self._acceptance, self._lanes, self.holds)
        self._world.dependencies.ways = self._ways()
        self.sweep = Sweep(self._world, self._reads, self.roster.names, self._find, self.is_busy)
        self.sweep.resting = self.breakers.resting
        self._publisher.subscribe(self.sweep.published)

    def recover(self, recovered: Recovered) -> None:
        """
        Go on from what the journal knows; called once, before anything else.
        """
        self._recovery.begin(recovered, self._course, self._expiry)
        self.holds.begin(recovered.holds)
        self.wants.begin(recovered.wanted)

    def submit(self, request: Request) -> Deferred[ITicket]:
        """
        Accept or refuse one request.
        """
        return self.submit_many([request]).addCallback(_first)

    def submit_many(self, requests: Sequence[Request]) -> Deferred[Sequence[Any]]:
        """
        Accept or refuse each; one durable write for all.
        """
        return self._intake.decide(
            lambda batch: self._family.in_order(requests, lambda one: self._try_accept(one, batch)),
            [request.request_id for request in requests],
        )

    def query(self, name: str) -> Deferred[Observation]:
        """
        Read a node, together with all who want that now.
        """
        return self._reads.read(self._node(name))

    def cancel(self, action: str, by: str) -> Deferred[CancelResult]:
        """
        Cancel for all waiters.

        :raises JournalUnavailable: it is over, and that is not durable.
        """
        return Deferred.fromCoroutine(self._dismissal.cancel(self._action(action), by))

    def resolve(self, action: str, by: str, text: str) -> Deferred[CancelResult]:
        """
        End it because a person says so; sends nothing.

        :raises JournalUnavailable: it is over, and that is not durable.
        """
        return Deferred.fromCoroutine(self._dismissal.resolve(self._action(action), by, text))

    @property
    def trouble(self) -> str | None:
        """
        Why nothing new can be accepted.
        """
        return self._publisher.trouble

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Tell a listener every entry from now on.
        """
        return self._publisher.subscribe(listener)

    def drain(self, reason: str, by: str) -> None:
        """
        Refuse new changes.
        """
        self.draining = f"{reason or 'no reason given'} (by {by})"
        self.wants.pause()
        self.breakers.pause()

    def resume(self, by: str) -> None:
        """
        Take new changes again.
        """
        if self._course.stopping:
            _log.warn("no new work, says {by} or not: it is stopping", by=by)
            return
        _log.info("taking new work again, says {by}", by=by)
        self.draining = None
        self.wants.resume()
        self.breakers.resume()

    def limit(
        self,
        fleet: Limit,
        groups: Mapping[str, Limit],
        endpoints: Mapping[str, int],
        gaps: Mapping[str, float],
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """
        Let other limits hold from now on, for those who wait, too.

        :param endpoints: by driver, as in `Limits`; and so are ``gaps``.
        :param weights: by caller.
        """
        self._world.starts.limit(fleet, groups, Turns(weights or {}))
        self._world.endpoints.limit(endpoints, gaps)

    def unpark(self, name: str, by: str) -> bool:
        """
        Speak to a node's endpoint again, because a person says so; False if one does.
        """
        return self.breakers.unpark(self._node(name), by)

    def observed(self, name: str, observation: Observation) -> None:
        """
        What is known of a node has changed; called by the sightings.
        """
        self._world.write([Observed(self._world.now(), name, observation)]).addErrback(log_unwritten)
        self.wants.saw(name)
        self.sweep.changed(name)

    def idle(self) -> Deferred[None]:
        """
        Fires when nothing is in play or waiting; a new Deferred each time.
        """
        return Deferred.fromCoroutine(self._until_idle())

    def put_off(self, reason: str) -> Deferred[None]:
        """
        Leave to the time after a restart what has not begun; there is no way back.
        """
        self.drain(reason, "stop")
        return Deferred.fromCoroutine(self._interruption.put_off(reason))

    def stop(self, reason: str) -> Deferred[None]:
        """
        Interrupt all that is in play or waiting; fires when all is quiet.
        """
        self.drain(reason, "stop")
        self._course.stopping = True
        self.wants.stop()
        self.holds.stop()
        self.sweep.stop()
        self.breakers.stop()
        self._reads.stop()
        return Deferred.fromCoroutine(self._stop(reason))

    async def _until_idle(self) -> None:
        await self._interruption.decided()
        await self._course.until_idle()

    async def _stop(self, reason: str) -> None:
        await self._interruption.stop(reason)
        self._world.starts.stop()
        self._world.window.stop()
        self._world.endpoints.stop()

    def _action(self, identity: str) -> PowerAction:
        found = self._course.actions.get(identity)
        if found is None:
            raise NoSuchAction(f"no action {identity} is in play or waiting; it may have ended")
        return found

    def _try_accept(self, request: Request, batch: Batch) -> Ticket | RequestRefused:
        try:
            known = self._acceptance.known(request)
            if known is not None:
                return known
            self._memory.check(request)
            if request.again:
                raise NoSuchAction(f"{request.node}: request {request.request_id} never came here")
            if self.draining is not None:
                raise Draining(f"{request.node}: not accepted, draining: {self.draining}; try again later")
            return self._family.accept(request, self._node(request.node), batch)
        except RequestRefused as refusal:
            return refusal

    def _follow_up(self, request: Request, asked_at: float) -> Deferred[ITicket]:
        """
        Accept what follows from an accepted request, also while draining.
        """

        def accept(batch: Batch) -> ITicket:
            known = self._acceptance.known(request)
            if known is not None:
                return known
            self._memory.check(request)
            if self._course.stopping:
                raise Draining(f"{request.node}: not accepted, it is stopping")
            return self._family.follow(request, self._node(request.node), asked_at, batch)

        return self._intake.decide(accept, [request.request_id])

    def _node(self, name: str) -> Node:
        """
        A node by its name; if it was absent until now, its lane goes on.
        """
        node = self.roster.find(name)
        if self._lanes.is_absent(node.name):
            self._recovery.brought(node, self._course, self._expiry)
        return node

    def _holds(self) -> Holds:
        return Holds(
            clock=self._world.clock,
            now=self._world.now,
            intake=self._intake,
            find=self._node,
            going_on=self._lanes.going_on,
            released=lambda name: self.wants.free(name),  # noqa: PLW0108 - there are no wants yet
        )

    def _wants(self) -> Wants:
        world = self._world
        return Wants(
            clock=world.clock,
            now=world.now,
            write=world.write,
            jitter=world.jitter,
            find=self._find,
            last=world.sightings.last,
            at_rest=lambda name: not self.is_busy(name),
            submit=self.submit,
            read=self.query,
            new_id=self._new_id,
            trouble=lambda: self.trouble,
            forbidden=self.holds.forbids,
            parked=self.breakers.is_parked,
        )

    def _ways(self) -> Ways:
        return Ways(
            find=self._find,
            requiring=self.roster.requiring,
            lane=self._lanes.find,
            wanted=self.wants.of,
            read=self.query,
            ask=self._follow_up,
        )

    def _find(self, name: str) -> Node | None:
        try:
            return self.roster.find(name)
        except NoSuchNode:
            return None

    def _look(self, node: Node) -> None:
        self._reads.look(node)


def _first(answers: Sequence[Any]) -> ITicket:
    answer = answers[0]
    if isinstance(answer, RequestRefused):
        raise answer
    ticket: ITicket = answer
    return ticket
