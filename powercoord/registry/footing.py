# SPDX-License-Identifier: MIT
"""
What one action does about the nodes below and above its own: bring up first, take down first.

# Note [Nobody waits in a circle]

An on waits upwards only, for the lane of what its node requires; an off waits
downwards only, for offs that come next in the lanes of those it carries.  Such
an off waits for nothing but offs still further down, and the graph has no
circles.  So whoever waits, waits for something that ends.  Who waits holds no
place in any queue of starts, nor at an endpoint.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from powercoord.errors import Draining, Held, PowerRequirementError, RequestRefused
from powercoord.interfaces import ITicket
from powercoord.model import (
    Command,
    Done,
    Interrupted,
    Node,
    Observation,
    Outcome,
    Request,
    Superseded,
    Verb,
)
from powercoord.registry.dependencies import Dependencies
from powercoord.registry.followup import follow_up
from powercoord.registry.stoppable import Expired, Stopped

if TYPE_CHECKING:  # it imports this module
    from powercoord.registry.reaching import Reaching

_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Footing:
    """
    What stands below an action's node, and what stands on it.

    :param waits_for: which of them is waited for, in words.
    :param cut: whose power an off cuts although they did not go off, in words.
    """

    _action: Reaching
    waits_for: str = field(default="", init=False)
    cut: str = field(default="", init=False)
    _asks: int = field(default=0, init=False)
    _own_time: bool = field(default=False, init=False)

    @property
    def _all(self) -> Dependencies:
        return self._action.world.dependencies

    async def make(self) -> None:
        """
        Return once all that the node requires is seen on, settled and ready.

        :raises PowerRequirementError: it does not come on, or is to be off.
        """
        node = self._action.node
        if not node.requires:
            return
        waited = False
        try:
            while not await self.holds():
                waited = True
                await self._bring_up()
                await self._settle()
        finally:
            self.waits_for = ""
        if waited:
            # Its BMC may get its power from what came on just now.
            self._action.steps.expect_answers()
            if not self._action.begun_before("on"):
                self._action.turn_came()

    async def holds(self) -> bool:
        """
        Whether all that the node requires carries it now, as a read shows.
        """
        required = self._all.required(self._action.node)
        reads = [self._all.ways.read(each.name) for each in required if self._all.stale(each)]
        for reading in reads:
            await self._action.steps.wait_for(partial(_itself, reading))
        return not any(map(self._all.lacking, required))

    def lean(self) -> bool:
        """
        From here on what the node requires is not turned off; False: it does not carry it any more.
        """
        carried = not any(map(self._all.lacking, self._all.required(self._action.node)))
        self._action.leaning = self._action.leaning or carried
        return carried

    def check(self, command: Command) -> None:
        """
        :raises PowerRequirementError: that command must not be sent just now.
        """
        node = self._action.node
        if command is Command.ON:
            lacking = next(filter(None, map(self._all.lacking, self._all.required(node))), "")
            if lacking:
                raise PowerRequirementError(f"it requires what does not carry it any more: {lacking}")
            return
        carried = self._all.carried(node)
        if carried and not self._may_cut():
            raise PowerRequirementError(f"not turned off, it carries {self._all.in_words(carried)}")

    async def take_down(self) -> None:
        """
        Wait until those that the node carries have gone off, as far as they do.
        """
        asked: set[str] = set()
        try:
            while carried := self._all.carried(self._action.node):
                if not await self._one_goes_off(carried, asked) and not await self._ask_down(carried, asked):
                    break
        finally:
            self.waits_for = ""
        if carried and self._may_cut():
            self.cut = f"cut the power of {self._all.in_words(carried)}, which did not go off"
            _log.warn("{node}: {cut}", node=self._action.node.name, cut=self.cut)

    # Upwards.

    async def _bring_up(self) -> None:
        """
        Ask for all that is not on, then wait for each.
        """
        missing = [each for each in self._all.required(self._action.node) if not self._all.is_on(each)]
        self._asks += bool(missing)
        tickets = [(each, await self._ask_on(each)) for each in missing]
        for each, ticket in tickets:
            self.waits_for = f"{each.name} to come on (action {ticket.action})"
            self._came_on(each, await self._action.steps.wait_for(ticket.wait))

    async def _ask_on(self, required: Node) -> ITicket:
        request = self._follow_up(required.name, Verb.ON)
        if self._asks > 1 + self._action.node.timing.retries:
            raise PowerRequirementError(f"requires {required.name}, and that does not stay on")
        return await self._ask(request)

    def _came_on(self, required: Node, outcome: Outcome) -> None:
        """
        What became of it; one that was superseded is asked for again, unless that was the last word.
        """
        if isinstance(outcome, Interrupted):
            self._interrupt(outcome.text)
        if not isinstance(outcome, Done | Superseded):
            text = getattr(outcome, "text", "") or f"it was cancelled by {getattr(outcome, 'by', '')}"
            raise PowerRequirementError(f"requires {required.name}, which did not come on: {text}")

    async def _settle(self) -> None:
        """
        Wait until all that is on is settled and ready, too; whoever goes off meanwhile is found out later.
        """
        clock, steps = self._action.world.clock, self._action.steps
        limit = clock.seconds() + self._action.node.timing.action
        for each in self._all.required(self._action.node):
            if not self._all.is_on(each):
                continue
            self.waits_for = f"{each.name} to be ready"
            await self._pause(self._all.settled_at(each) - clock.seconds())
            while self._all.is_on(each):
                reason = await steps.wait_for(partial(self._all.readiness.probe, each))
                if not reason:
                    break
                if clock.seconds() >= limit:
                    raise PowerRequirementError(f"requires {each.name}, which is on and not ready: {reason}")
                await self._pause(self._action.node.timing.poll_longest)

    async def _pause(self, seconds: float) -> None:
        """
        Wait for time to pass, but not for longer than anybody waits for this action.
        """
        expires = self._action.expires()
        if expires is not None and not self._action.steps.sent:
            seconds = min(seconds, expires - self._action.world.clock.seconds())
        if seconds > 0:
            await self._action.steps.pause(seconds)
        if self._action.overdue() and not self._action.steps.sent:
            raise Expired

    # Downwards.

    async def _one_goes_off(self, carried: list[str], asked: set[str]) -> bool:
        """
        Wait for one of those whose off comes next; False: there is none.
        """
        for name in carried:
            off = self._all.going_off(name)
            if off is not None:
                asked.add(name)
                self.waits_for = f"{name} to go off (action {off.id})"
                await self._action.steps.wait_for(off.when_quiet)
                return True
        return False

    async def _ask_down(self, carried: list[str], asked: set[str]) -> bool:
        """
        Ask once for the off of each that came on since this was accepted; False: all were asked.
        """
        names = [name for name in carried if name not in asked]
        if not names or not self._with_children():
            return False
        asked.update(names)
        for name in names:
            try:
                await self._ask(self._follow_up(name, self._action.wish.verb))
            except Held as held:
                raise PowerRequirementError(f"not turned off with what it carries: {held}") from held
        return True

    def _with_children(self) -> bool:
        return any(waiter.request.with_children for waiter in self._action.waiters)

    def _may_cut(self) -> bool:
        """
        Only somebody who asks for a hard off with all that it carries has said so.
        """
        return bool(self.cut) or (self._action.wish.verb is Verb.OFF and self._with_children())

    # Both.

    async def _ask(self, request: Request) -> ITicket:
        """
        Ask for what follows; when the service stops, this goes on after the restart.
        """
        asked_at = self._action.asked_at
        try:
            return await self._action.steps.wait_for(lambda: self._all.ways.ask(request, asked_at))
        except Draining as stopping:
            self._interrupt(str(stopping))
            raise
        except Held:
            raise
        except RequestRefused as refusal:
            raise PowerRequirementError(str(refusal)) from refusal

    def _interrupt(self, text: str) -> NoReturn:
        self._action.halt.interrupted = text
        raise Stopped

    def _follow_up(self, name: str, verb: Verb) -> Request:
        """
        What follows for another node, with no more time than there is.
        """
        action = self._action
        expires = action.expires()
        remaining = None if expires is None else expires - action.world.clock.seconds()
        number = f"/{self._asks}" if verb is Verb.ON and self._asks > 1 else ""
        asked = action.waiters[0].request if action.waiters else None
        return follow_up(asked, action.node, f"{action.id}/{name}{number}", name, verb, remaining)


def _itself(reading: Deferred[Observation]) -> Deferred[Observation]:
    return reading
