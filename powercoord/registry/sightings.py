# SPDX-License-Identifier: MIT
"""
What was last seen of each node, and who wants to know the next time.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.model import Observation, PowerState

_NEVER = Observation(PowerState.NEVER_CHECKED)


@define(eq=False)
class Sightings:
    """
    The last observation of each node.

    :param changed: called with a node's name when what is known of it is
        something else than before (another age alone is not).
    """

    _clock: IReactorTime
    _changed: Callable[[str, Observation], None]
    _last: dict[str, Observation] = field(factory=dict, init=False)
    _curious: dict[str, list[Deferred[Observation]]] = field(factory=dict, init=False)

    def last(self, name: str) -> Observation:
        """
        What is known of a node.
        """
        return self._last.get(name, _NEVER)

    def saw(self, name: str, state: PowerState, text: str = "") -> Observation:
        """
        A read of the node ended; a failed one is UNKNOWN or ERROR, and why.
        """
        observation = Observation(state, self._clock.seconds(), text)
        before = self.last(name)
        self._last[name] = observation
        if (before.state, before.text) != (state, text):
            self._changed(name, observation)
        for curious in self._curious.pop(name, ()):
            curious.callback(observation)
        return observation

    def next(self, name: str) -> Deferred[Observation]:
        """
        Fires with the next observation of a node; a new Deferred each time.
        """
        curious: Deferred[Observation] = Deferred(lambda gone: self._forget(name, gone))
        self._curious.setdefault(name, []).append(curious)
        return curious

    def give_up(self, name: str, reason: str) -> None:
        """
        No read will come: tell those who wait, and keep what was known.
        """
        for curious in self._curious.pop(name, ()):
            curious.callback(Observation(PowerState.UNKNOWN, self._clock.seconds(), reason))

    def _forget(self, name: str, gone: Deferred[Observation]) -> None:
        remaining = [curious for curious in self._curious.pop(name, ()) if curious is not gone]
        if remaining:
            self._curious[name] = remaining
