# SPDX-License-Identifier: MIT
"""
From a request to its place in a lane: the decision, applied.

Lanes change at once, so that the next request is decided on what this one
did; but nothing is started, cancelled or answered before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define

from powercoord.entries import Accepted, Ended, Followed
from powercoord.errors import BadRequest, PowerActionAlreadyInProgress, PowerActionFail, Stale
from powercoord.model import CancelResult, Disposition, Node, Outcome, Request, Superseded, Verb
from powercoord.registry.action import PowerAction
from powercoord.registry.batch import Batch, Orphan
from powercoord.registry.lane import Lane
from powercoord.registry.lattice import Append, Join, RefuseBusy, RefuseOff, Wish, decide, follows
from powercoord.registry.requests import SeenRequests
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.verbs import ACTIONS
from powercoord.registry.waiters import Ticket, Waiter

_YEAR = 366 * 86400.0
_BOOTING = frozenset({Verb.ON, Verb.CYCLE, Verb.RESET, Verb.BOOT})


@define(eq=False)
class Acceptance:
    """
    Puts requests into lanes.
    """

    _world: Surroundings
    _seen: SeenRequests
    _new_id: Callable[[], str]

    def known(self, request: Request) -> Ticket | None:
        """
        A ticket for a request that came before; it never runs again.
        """
        if not request.request_id:
            raise BadRequest(f"{request.node}: a request needs an id of its own (request_id)")
        waiter = self._seen.find(request)
        if waiter is None:
            return None
        return Ticket(waiter, waiter.action, request.node, request.request_id, Disposition.JOINED)

    def accept(self, request: Request, node: Node, lane: Lane, batch: Batch) -> Ticket:
        """
        Decide one request, and change its lane accordingly.

        :raises RequestRefused: and then nothing has changed.
        """
        _check(request)
        _check_order(request, lane)
        batch.touches(lane)
        action, disposition, superseded = self._place(request, node, lane, batch)
        waiter = Waiter(request, self._world.clock.seconds(), action.id, self._seen.answered)
        batch.move(waiter, None, action)
        if request.sequence is not None:
            lane.last_sequence = request.sequence
        self._seen.add(waiter)
        batch.entries.append(self._accepted(request, action, disposition, superseded))
        for identity in superseded:
            self._supersede(lane, lane.action(identity), action, batch)
        deadline = self._extended(request, action) if disposition is Disposition.JOINED else None
        return Ticket(waiter, action.id, node.name, request.request_id, disposition, superseded, deadline)

    def _extended(self, request: Request, action: PowerAction) -> datetime | None:
        """
        When the action must have ended, if others give it longer than this request does.
        """
        remaining = action.deadline() - self._world.clock.seconds()
        if request.deadline is None or remaining <= request.deadline:
            return None
        return self._world.now() + timedelta(seconds=remaining)

    def end_waiting(self, lane: Lane, action: PowerAction, outcome: Outcome, batch: Batch) -> None:
        """
        An action ends that never had its turn.
        """
        batch.touches(lane)
        lane.waiting.remove(action)
        action.cancel_result = action.stopped_at()
        batch.entries.append(Ended(self._world.now(), action.node.name, action.id, outcome))
        batch.entries.extend(action.answer(waiter, outcome) for waiter in action.waiters)
        batch.ended.append((action, action.waiters))
        action.waiters = []
        action.outcome = outcome

    def undo(self, batch: Batch) -> list[Orphan]:
        """
        Take a batch back; returns those who have lost their action meanwhile.
        """
        for waiter in batch.accepted():
            self._seen.forget(waiter)
        return batch.undo()

    def _place(
        self, request: Request, node: Node, lane: Lane, batch: Batch
    ) -> tuple[PowerAction, Disposition, tuple[str, ...]]:
        """
        The action that will do it, found or new, and whose place that takes.
        """
        wish = _wish(request)
        decision = _EMPTY if lane.empty else decide(lane.seats(), wish, request.policy)
        if isinstance(decision, RefuseBusy):
            busy = lane.action(decision.by)
            raise PowerActionAlreadyInProgress(
                f"{node.name}: {busy.wish.verb.value} is in progress (action {busy.id}); policy was reject"
            )
        if isinstance(decision, RefuseOff):
            raise PowerActionFail(f"{node.name}: reset is refused, an off comes first (action {decision.by})")
        if isinstance(decision, Join):
            return lane.action(decision.id), Disposition.JOINED, decision.supersede
        disposition = _disposition(lane, decision)
        superseded = decision.supersede + ((decision.cancel,) if decision.cancel else ())
        return self._append(wish, node, lane, batch), disposition, superseded

    def _append(self, wish: Wish, node: Node, lane: Lane, batch: Batch) -> PowerAction:
        action = ACTIONS[wish.verb](
            id=self._new_id(), node=node, wish=wish, world=self._world, since=self._world.now()
        )
        lane.waiting.append(action)
        batch.started.append(action)
        return action

    def _accepted(
        self, request: Request, action: PowerAction, disposition: Disposition, superseded: tuple[str, ...]
    ) -> Accepted:
        now = self._world.now()
        remaining = timedelta(seconds=action.deadline() - self._world.clock.seconds())
        return Accepted(now, request, action.id, disposition, now + remaining, superseded)

    def _supersede(self, lane: Lane, old: PowerAction, new: PowerAction, batch: Batch) -> None:
        """
        Let one action take another's place, and its waiters where it can.
        """
        now = self._world.now()
        staying = []
        for waiter in old.waiters:
            if not follows(_wish(waiter.request), new.wish):
                staying.append(waiter)
                continue
            batch.move(waiter, old, new)
            batch.entries.append(Followed(now, lane.node.name, waiter.request.request_id, new.id))
        old.waiters = staying
        old.supersede(new.id, new.wish.verb)
        if old is lane.in_play:
            batch.cancels.append(old)
        else:
            outcome = Superseded(new.id, new.wish.verb, CancelResult.NOT_STARTED)
            self.end_waiting(lane, old, outcome, batch)


_EMPTY = Append()


def _disposition(lane: Lane, decision: Append) -> Disposition:
    if decision.supersede or decision.cancel:
        return Disposition.SUPERSEDING
    return Disposition.STARTED if lane.empty else Disposition.QUEUED


def _check_order(request: Request, lane: Lane) -> None:
    last = lane.last_sequence
    if last is not None and request.sequence is not None and request.sequence < last:
        raise Stale(f"{request.node}: sequence {request.sequence} came after {last}; nothing was done")


def _check(request: Request) -> None:
    if request.deadline is not None and not 0 < request.deadline <= _YEAR:
        raise BadRequest(
            f"{request.node}: deadline is {request.deadline:g} s; it must be above 0 and at most a year"
        )
    if request.boot is None and request.verb is Verb.BOOT:
        raise BadRequest(f"{request.node}: boot needs a boot device")
    if request.boot is not None and request.verb not in _BOOTING:
        raise BadRequest(
            f"{request.node}: {request.verb.value} takes no boot device; on, cycle, reset and boot do"
        )


def _wish(request: Request) -> Wish:
    return Wish(request.verb, request.boot)
