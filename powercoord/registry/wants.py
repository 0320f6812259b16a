# SPDX-License-Identifier: MIT
"""
The power that is wanted of each node, which nodes have another, and what is done about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.entries import Accepted, Ended, Entry, Followed, Observed, Resolved
from powercoord.interfaces import ITicket
from powercoord.model import Goal, Node, Observation, OnDrift, PowerState, Request, Unknown, Wanted
from powercoord.registry.drift_alarms import Alarms
from powercoord.registry.drift_enforcing import Enforcing
from powercoord.registry.drift_episodes import Episodes
from powercoord.registry.drift_looks import Looks
from powercoord.registry.surroundings import Write
from powercoord.registry.wants_projection import wanted_after

SPREAD = 0.02
"""
Seconds between the first looks at two nodes at the start.
"""

_AS_WANTED = {Goal.ON: PowerState.ON, Goal.OFF: PowerState.OFF}
_SEEN = frozenset(_AS_WANTED.values())
_WISHES = (Accepted, Followed, Ended, Resolved)


@define(eq=False, kw_only=True)
class Wants:
    """
    What is wanted, who has drifted, and what is done about it.

    # Note [Drift is seen at rest]

    While an action is in play, other power than is wanted is what it is there
    to change.  Only when nothing is in play nor waiting, and the end of the
    last one is written, has a node drifted.  An end is told a moment before
    the lane knows that it is at rest, so nodes are judged in the next turn of
    the reactor.

    # Note [Held up]

    It begins as if paused: drift is told, but no read and no request is made,
    and no timer waits for one, until `resume`, when the service serves.

    :param find: the node as it is configured now; asked each time.
    :param last: what was last seen of a node.
    :param at_rest: whether nothing is in play or waiting on a node.
    :param submit: the registry's own way in.
    :param read: reads a node, as a query does.
    :param trouble: why nothing can be written just now, else None.
    :param forbidden: whether somebody forbids to turn a node on, or off.
    :param parked: whether a node's endpoint is left alone just now.
    """

    clock: IReactorTime
    now: Callable[[], datetime]
    write: Write
    jitter: Callable[[float], float]
    find: Callable[[str], Node | None]
    last: Callable[[str], Observation]
    at_rest: Callable[[str], bool]
    submit: Callable[[Request], Deferred[ITicket]]
    read: Callable[[str], Deferred[Observation]]
    new_id: Callable[[], str]
    trouble: Callable[[], str | None]
    forbidden: Callable[[str, Goal], bool] = lambda _name, _goal: False
    parked: Callable[[str], bool] = field(default=lambda _: False)
    _wanted: dict[str, Wanted] = field(factory=dict, init=False)
    _resolved: dict[str, str] = field(factory=dict, init=False)
    _to_judge: Alarms = field(init=False)
    _episodes: Episodes = field(init=False)
    _looks: Looks = field(init=False)
    _enforcing: Enforcing = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._to_judge = Alarms(self.clock, self._judge)
        self._episodes = Episodes(clock=self.clock, now=self.now, write=self.write, told=self._told)
        self._looks = Looks(
            clock=self.clock, jitter=self.jitter, read=self.read, at_rest=self.at_rest, seen=self.saw
        )
        self._enforcing = Enforcing(
            clock=self.clock,
            jitter=self.jitter,
            submit=self.submit,
            new_id=self.new_id,
            trouble=self.trouble,
            parked=self.parked,
            to_bring_back=self._to_bring_back,
        )
        self.pause()

    def begin(self, wanted: Mapping[str, Wanted]) -> None:
        """
        Go on from what was wanted before; called once, when lanes and sightings are as they were.

        Nodes that had drifted have been told of.  Those that are to be brought
        back, and those of which nothing was known, are looked at first.
        """
        self._wanted.update(wanted)
        delay = 0.0
        for name, each in wanted.items():
            if self.find(name) is None or not self.at_rest(name):
                continue
            state = self.last(name).state
            if state in _SEEN and state is not _AS_WANTED[each.goal]:
                self._episodes.begin(name, each.goal, state, told=True)
            if state is PowerState.UNKNOWN or self._enforced(name):
                self._looks.begin(name, delay)
                delay += SPREAD

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        These have become true (a `Listener`).
        """
        for entry in entries:
            if isinstance(entry, Observed):
                self._observed(entry)
            elif isinstance(entry, _WISHES):
                self._project(entry)

    def saw(self, name: str) -> None:
        """
        A read of a node ended; cheap, and may be called for every read.
        """
        wanted = self._wanted.get(name)
        state = self.last(name).state
        if wanted is None or state not in _SEEN:
            return
        if state is not _AS_WANTED[wanted.goal]:
            self._to_judge.set(name, 0.0)
        elif self._episodes.end(name):
            self._enforcing.agreed(name)

    def of(self, name: str) -> Wanted | None:
        """
        What is wanted of a node.
        """
        return self._wanted.get(name)

    def drifted(self, name: str) -> bool:
        """
        Whether a node is at rest and was seen with other power than is wanted.
        """
        return name in self._episodes and self.at_rest(name) and self.find(name) is not None

    def drifting(self) -> Sequence[str]:
        """
        The nodes that have drifted.
        """
        return [name for name in self._episodes if self.drifted(name)]

    def reconsider(self) -> None:
        """
        The configuration has changed: what was to be flagged may be to be enforced.
        """
        for name in self._episodes:
            self._to_judge.set(name, 0.0)

    def free(self, name: str) -> None:
        """
        A hold on a node is over: what was seen while it was held may be to be enforced.
        """
        if name in self._episodes:
            self._to_judge.set(name, 0.0)

    def pause(self) -> None:
        """
        Begin nothing (a drain): no reads, no requests, and no timer for any.
        """
        self._looks.alarms.pause()
        self._enforcing.alarms.pause()

    def resume(self) -> None:
        """
        Begin, or go on with what `pause` held up; see note [Held up].
        """
        self._looks.alarms.resume()
        self._enforcing.alarms.resume()

    def stop(self) -> None:
        """
        Begin nothing any more; no timer is left.
        """
        self._to_judge.stop()
        self._looks.stop()
        self._enforcing.alarms.stop()
        self._episodes.stop()

    def _project(self, entry: Accepted | Followed | Ended | Resolved) -> None:
        name = entry.request.node if isinstance(entry, Accepted) else entry.node
        before = self._wanted.get(name)
        after = wanted_after(before, entry)
        if after is None:
            self._wanted.pop(name, None)
        else:
            self._wanted[name] = after
        if (before and before.goal) is not (after and after.goal):
            self._episodes.end(name)
            self._enforcing.forget(name)
        if isinstance(entry, Ended):
            self._ended(entry)
        elif isinstance(entry, Resolved):
            self._resolved[name] = entry.action
            self._looks.forget(name)

    def _ended(self, entry: Ended) -> None:
        """
        An action is over; whose end a person declared is not looked after.
        """
        name = entry.node
        resolved = self._resolved.get(name) == entry.action
        if resolved:
            del self._resolved[name]
        elif isinstance(entry.outcome, Unknown):
            self._looks.begin(name)
        self._enforcing.ended(name)
        self.saw(name)

    def _observed(self, entry: Observed) -> None:
        if entry.observation.state in _SEEN:
            self._looks.forget(entry.node)
        self.saw(entry.node)

    def _judge(self, name: str) -> None:
        """
        Say whether a node has drifted; see note [Drift is seen at rest].
        """
        wanted = self._wanted.get(name)
        state = self.last(name).state
        if wanted is None or not self.at_rest(name) or self.find(name) is None:
            return
        if state in _SEEN and state is not _AS_WANTED[wanted.goal]:
            self._episodes.begin(name, wanted.goal, state)
            self._told(name)

    def _told(self, name: str) -> None:
        if self._to_bring_back(name) is not None:
            self._enforcing.drifted(name)

    def _enforced(self, name: str) -> bool:
        node = self.find(name)
        return node is not None and node.on_drift is OnDrift.ENFORCE

    def _to_bring_back(self, name: str) -> Wanted | None:
        """
        What is wanted of a node, if it has drifted and that is to be enforced, and nobody forbids it.
        """
        if not self._episodes.is_told(name) or not self.drifted(name) or not self._enforced(name):
            return None
        wanted = self._wanted.get(name)
        return None if wanted is None or self.forbidden(name, wanted.goal) else wanted
