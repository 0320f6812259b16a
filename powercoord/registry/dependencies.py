# SPDX-License-Identifier: MIT
"""
Which nodes require which, and whether a node may go on, or off, as things stand.

# Note [Who carries whom]

A node carries those that require it.  It carries somebody *now* unless that
one was last seen off, nothing of its lane is on its way on, and no on that was
given up can still come.  Who was never seen, or cannot be read, counts as on:
power is not cut on a guess.  But nobody runs on what is off: who cannot be
read does not count if something that it requires was last seen off.

# Note [The last word]

Who asks for a node to be on asks for what it requires, too.  An off of that
which was accepted later is the last word, and the on fails; one that was
accepted before ends first, and then it is turned on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.interfaces import ITicket
from powercoord.model import Goal, Node, Observation, PowerState, Request, Verb, Wanted
from powercoord.registry.lattice import goal
from powercoord.registry.readiness import Readiness
from powercoord.registry.sightings import Sightings

if TYPE_CHECKING:  # they import this module
    from powercoord.registry.action import PowerAction
    from powercoord.registry.lane import Lane

FRESH = 3.0
"""
Seconds for which what was seen is as good as another read.
"""

_THROUGH_OFF = frozenset({Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE})
_TO_ON = frozenset({Verb.ON, Verb.CYCLE})
_SHOWN = 5


@define(eq=False)
class Ways:
    """
    How to the rest of the registry.

    :param find: the node of that name, if it is known.
    :param requiring: names of those that require it.
    :param lane: a node's lane, if it has one.
    :param wanted: what is wanted of a node.
    :param read: reads a node, as a query does.
    :param ask: accepts what follows from an accepted request; second, when that was accepted.
    """

    find: Callable[[str], Node | None]
    requiring: Callable[[str], Sequence[str]]
    lane: Callable[[str], Lane | None]
    wanted: Callable[[str], Wanted | None]
    read: Callable[[str], Deferred[Observation]]
    ask: Callable[[Request, float], Deferred[ITicket]]


@define(eq=False)
class Dependencies:
    """
    The graph of all nodes, looked at from one of them.
    """

    _clock: IReactorTime
    _now: Callable[[], datetime]
    _sightings: Sightings
    readiness: Readiness
    ways: Ways = field(init=False)

    def required(self, node: Node) -> list[Node]:
        """
        What a node requires, itself.
        """
        found = (self.ways.find(name) for name in node.requires)
        return [each for each in found if each is not None]

    def all_required(self, node: Node) -> list[Node]:
        """
        What a node requires, and what that requires, and so on; each once.
        """
        return list(_closure(node, self.required).values())

    def stale(self, node: Node) -> bool:
        """
        Whether a node must be read, so that it is known to be on.
        """
        seen = self._sightings.last(node.name)
        return seen.state is not PowerState.ON or (seen.at or 0.0) + FRESH < self._clock.seconds()

    def is_on(self, node: Node) -> bool:
        """
        Whether a node was last seen on, and nothing is on its way that may turn it off.
        """
        return not self.going(node) and self._sightings.last(node.name).state is PowerState.ON

    def settled_at(self, node: Node) -> float:
        """
        From when on a node that is on carries others, on the clock.
        """
        return self._sightings.on_since(node.name) + node.ready.after

    def lacking(self, node: Node) -> str:
        """
        Why a node does not carry anybody just now, if so.
        """
        going = self.going(node)
        if going:
            return going
        state = self._sightings.last(node.name).state
        if state is not PowerState.ON:
            return f"{node.name} is {state.value}"
        remaining = self.settled_at(node) - self._clock.seconds()
        if remaining > 0:
            return f"{node.name} is on, and settles for another {remaining:.0f} s"
        if not self.readiness.is_shown(node):
            return f"{node.name} is on, and {node.ready.tcp} was not heard from yet"
        return ""

    def going(self, node: Node) -> str:
        """
        What is on its way that turns a node off, or may still do so.
        """
        lane = self.ways.lane(node.name)
        if lane is None:
            return ""
        for action in lane.all():
            if action.wish.verb in _THROUGH_OFF:
                return f"{node.name} goes off first ({action.wish.verb.value}, action {action.id})"
        if lane.late.until(Goal.OFF) > self._clock.seconds():
            return f"an off of {node.name} that was given up may still come"
        return ""

    def last_word(self, node: Node, asked_at: float) -> str:
        """
        Which off was asked for after ``asked_at``, if one was; see note [The last word].
        """
        lane = self.ways.lane(node.name)
        for action in () if lane is None else lane.all():
            if goal(action.wish.verb) is Goal.OFF and not action.cancelling and action.asked_at >= asked_at:
                return f"{action.wish.verb.value} was asked for after this (action {action.id})"
        wanted = self.ways.wanted(node.name)
        moment = self._now() - timedelta(seconds=max(0.0, self._clock.seconds() - asked_at))
        if wanted is not None and wanted.goal is Goal.OFF and wanted.since > moment:
            by = f" by {wanted.requester}" if wanted.requester else ""
            return f"it was turned off after this was asked for{by} (action {wanted.action})"
        return ""

    def carried(self, node: Node) -> list[str]:
        """
        Those that a node carries now, however far up; see note [Who carries whom].
        """
        if not self.ways.requiring(node.name):
            return []
        return [each.name for each in _closure(node, self._requiring).values() if self._is_carried(each)]

    def standing_on(self, node: Node, carried: frozenset[str]) -> list[Node]:
        """
        Those that require a node directly and are carried, or have somebody carried above them.
        """
        return [
            each
            for each in self._requiring(node)
            if each.name in carried or not carried.isdisjoint(_closure(each, self._requiring))
        ]

    def going_off(self, name: str) -> PowerAction | None:
        """
        The off that comes next in a node's lane, if what comes next is one.
        """
        lane = self.ways.lane(name)
        following = None if lane is None else next((a for a in lane.all() if not a.cancelling), None)
        return following if following is not None and goal(following.wish.verb) is Goal.OFF else None

    def in_words(self, names: Sequence[str]) -> str:
        """
        Some nodes, and what is known of each.
        """
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(f"{name} ({self._state(name)})" for name in names[:_SHOWN]) + more

    def _requiring(self, node: Node) -> Iterator[Node]:
        for name in self.ways.requiring(node.name):
            found = self.ways.find(name)
            if found is not None:
                yield found

    def _is_carried(self, node: Node) -> bool:
        state = self._sightings.last(node.name).state
        if state is PowerState.ON or self._may_come_on(node.name):
            return True
        return state is not PowerState.OFF and not any(map(self._is_off, self.required(node)))

    def _is_off(self, node: Node) -> bool:
        return self._sightings.last(node.name).state is PowerState.OFF

    def _may_come_on(self, name: str) -> bool:
        lane = self.ways.lane(name)
        if lane is None:
            return False
        leaning = any(action.leaning and action.wish.verb in _TO_ON for action in lane.all())
        return leaning or lane.late.until(Goal.ON) > self._clock.seconds()

    def _state(self, name: str) -> str:
        state = self._sightings.last(name).state
        if state is not PowerState.ON and self._may_come_on(name):
            return "may be coming on"
        return (
            state.value if state in (PowerState.ON, PowerState.OFF) else f"not known to be off: {state.value}"
        )


def _closure(node: Node, next_to: Callable[[Node], Iterable[Node]]) -> dict[str, Node]:
    """
    All that can be reached from a node, without it, by name.
    """
    found: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        for each in next_to(waiting.pop()):
            if each.name not in found:
                found[each.name] = each
                waiting.append(each)
    return found
