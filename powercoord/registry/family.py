# SPDX-License-Identifier: MIT
"""
Accepting requests for nodes that require others, or carry them.

What an off takes down is accepted with it, in the same write: so it has its
place in the lanes before anything that is asked for later, and a crash leaves
all of it or nothing.

# Note [Blades before their chassis]

Who turns off a chassis together with its blades in one batch has named them
all, in whatever order.  So offs alone are decided from the top, and the
chassis finds its blades about to go off.  Answers keep the order of the batch.
A batch in which a node comes twice, or with other verbs, is decided as it
stands: there the order says what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import define

from powercoord.errors import BadRequest, PowerRequirementError, StillRequired
from powercoord.model import Node, Request, Verb
from powercoord.registry.acceptance import Acceptance
from powercoord.registry.batch import Batch
from powercoord.registry.dependencies import Dependencies
from powercoord.registry.followup import follow_up
from powercoord.registry.holds import Holds
from powercoord.registry.lanes import Lanes
from powercoord.registry.waiters import Ticket

A = TypeVar("A")
_OFFS = frozenset({Verb.OFF, Verb.SOFT_OFF})
_ONS = frozenset({Verb.ON, Verb.CYCLE})
_THROUGH_OFF = _OFFS | {Verb.CYCLE}


@define(eq=False)
class Family:
    """
    Accepts a request if those below and above its node let it.
    """

    _dependencies: Dependencies
    _acceptance: Acceptance
    _lanes: Lanes
    _holds: Holds

    def in_order(self, requests: Sequence[Request], decide: Callable[[Request], A]) -> list[A]:
        """
        Decide on each request of a batch; see note [Blades before their chassis].
        """
        order = list(range(len(requests)))
        if len({one.node for one in requests}) == len(requests) and all(
            one.verb in _OFFS for one in requests
        ):
            order.sort(key=lambda place: -self._depth(requests[place]))
        answers = {place: decide(requests[place]) for place in order}
        return [answers[place] for place in range(len(requests))]

    def _depth(self, request: Request) -> int:
        """
        How many nodes a request's node stands on.
        """
        node = self._dependencies.ways.find(request.node)
        return 0 if node is None or not node.requires else len(self._dependencies.all_required(node))

    def accept(self, request: Request, node: Node, batch: Batch) -> Ticket:
        """
        Accept one request, and what it takes down with its node.

        :raises RequestRefused: and then nothing has changed.
        """
        if request.with_children and request.verb not in _OFFS:
            raise BadRequest(
                f"{node.name}: {request.verb.value} takes nothing down with it; off and soft-off do"
            )
        self._holds.check(node.name, request.verb, batch)
        if request.verb in _ONS:
            self._check_below(node, batch)
        carried = self._dependencies.carried(node) if request.verb in _THROUGH_OFF else []
        self._check_above(request, node, carried, batch)
        ticket = self._acceptance.accept(request, node, self._lanes.of(node), batch)
        if carried and request.with_children:
            self._take_along(request, ticket, node, frozenset(carried), batch)
        return ticket

    def follow(self, request: Request, node: Node, asked_at: float, batch: Batch) -> Ticket:
        """
        As `accept`, for what follows from a request that was accepted at that time.

        :raises PowerRequirementError: an on would undo an off that was asked for since.
        """
        last_word = self._dependencies.last_word(node, asked_at) if request.verb is Verb.ON else ""
        if last_word:
            raise PowerRequirementError(f"requires {node.name}: {last_word}")
        return self.accept(request, node, batch)

    def _check_below(self, node: Node, batch: Batch) -> None:
        """
        What would have to be turned on must not be held.
        """
        for required in self._dependencies.all_required(node):
            if not self._dependencies.is_on(required):
                self._holds.check(required.name, Verb.ON, batch)

    def _check_above(self, request: Request, node: Node, carried: list[str], batch: Batch) -> None:
        """
        What is on and not about to go off must be meant, and must not be held.
        """
        if request.with_children:
            for name in carried:
                self._holds.check(name, request.verb, batch)
            return
        staying = [name for name in carried if self._dependencies.going_off(name) is None]
        if staying:
            hint = (
                "turn these off first"
                if request.verb is Verb.CYCLE
                else ("turn these off first, or ask for it with what it carries (--with-children)")
            )
            raise StillRequired(
                f"{node.name}: {request.verb.value} is refused, it carries"
                f" {self._dependencies.in_words(staying)}; {hint}"
            )

    def _take_along(
        self, request: Request, ticket: Ticket, node: Node, carried: frozenset[str], batch: Batch
    ) -> None:
        """
        Ask for the off of those that stand on a node right away, and they for those on them.
        """
        verb = self._lanes.of(node).action(ticket.action).wish.verb
        for child in self._dependencies.standing_on(node, carried):
            following = follow_up(
                request, node, f"{ticket.action}/{child.name}", child.name, verb, request.deadline
            )
            if self._acceptance.known(following) is None:
                below = self._acceptance.accept(following, child, self._lanes.of(child), batch)
                self._take_along(following, below, child, carried, batch)
