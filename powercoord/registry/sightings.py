# SPDX-License-Identifier: MIT
"""
What was last seen of each node, and who wants to know the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.model import Observation, PowerState
from powercoord.registry.audience import Audience

_POWER = (PowerState.ON, PowerState.OFF)
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
    _power: dict[str, PowerState] = field(factory=dict, init=False)
    _off_since: dict[str, float] = field(factory=dict, init=False)
    _on_since: dict[str, float] = field(factory=dict, init=False)
    _sure: dict[str, Observation] = field(factory=dict, init=False)
    _recalled: set[str] = field(factory=set, init=False)
    _curious: dict[str, Audience[Observation]] = field(factory=dict, init=False)

    def last(self, name: str) -> Observation:
        """
        What is known of a node.
        """
        return self._last.get(name, _NEVER)

    def recall(self, name: str, observation: Observation) -> None:
        """
        That was seen before a restart: the next read is news, whatever it says.
        """
        self._keep(name, observation)
        self._recalled.add(name)
        if observation.state in _POWER:
            self._power[name] = observation.state
        if observation.state in _POWER and observation.at is not None:
            since = self._off_since if observation.state is PowerState.OFF else self._on_since
            since[name] = observation.at

    def saw(self, name: str, state: PowerState, text: str = "") -> None:
        """
        A read of the node ended; a failed one is UNKNOWN or ERROR, and why.
        """
        observation = Observation(state, self._clock.seconds(), text)
        before = self.last(name)
        self._keep(name, observation)
        self._note_change(name, state)
        if (before.state, before.text) != (state, text) or name in self._recalled:
            self._recalled.discard(name)
            self._changed(name, observation)
        self._tell(name, observation)

    def off_since(self, name: str) -> float:
        """
        When a node was last seen to have gone off; minus infinity: it never was.
        """
        return self._off_since.get(name, -inf)

    def on_since(self, name: str) -> float:
        """
        When a node was first seen on after it was off; minus infinity: it was never seen off.
        """
        return self._on_since.get(name, -inf)

    def went_off(self, name: str) -> None:
        """
        It was turned off just now, whatever was known of it before.
        """
        self._off_since[name] = self._clock.seconds()

    def unread(self, name: str, reason: str) -> Observation:
        """
        What is known of a node that is not asked just now, for that reason.

        It is as old as what was last heard of it, and not surer than that.
        """
        last, sure, now = self.last(name), self._sure.get(name), self._clock.seconds()
        state = PowerState.ERROR if last.state is PowerState.ERROR else PowerState.UNKNOWN
        was = f"; was {sure.state.value} {now - (sure.at or 0.0):.0f} s ago" if sure is not None else ""
        return Observation(state, last.at, reason + was)

    def withhold(self, name: str, reason: str) -> None:
        """
        It was not asked after all: tell those who wait, and keep what was known.
        """
        self._tell(name, self.unread(name, reason))

    def next(self, name: str) -> Deferred[Observation]:
        """
        Fires with the next observation of a node; a new Deferred each time.
        """
        curious = self._curious.get(name)
        if curious is None:
            curious = self._curious[name] = Audience(partial(self._deserted, name))
        return curious.join()

    def awaited(self, name: str) -> bool:
        """
        Whether anybody waits for the next observation of a node.
        """
        return bool(self._curious.get(name))

    def give_up(self, name: str, reason: str) -> None:
        """
        No read will come: tell those who wait, and keep what was known.
        """
        self._tell(name, Observation(PowerState.UNKNOWN, self._clock.seconds(), reason))

    def give_up_all(self, reason: str) -> None:
        """
        No read will come of any node.
        """
        for name in list(self._curious):
            self.give_up(name, reason)

    def _note_change(self, name: str, now: PowerState) -> None:
        """
        A read that fails between two says nothing; the first ever says nothing of the time before.
        """
        before = self._power.get(name)
        if now is PowerState.OFF and before is PowerState.ON:
            self._off_since[name] = self._clock.seconds()
        if now is PowerState.ON and before is PowerState.OFF:
            self._on_since[name] = self._clock.seconds()
        if now in _POWER:
            self._power[name] = now

    def _keep(self, name: str, observation: Observation) -> None:
        self._last[name] = observation
        if observation.state in _POWER:
            self._sure[name] = observation

    def _deserted(self, name: str, audience: Audience[Observation]) -> None:
        if self._curious.get(name) is audience:
            del self._curious[name]

    def _tell(self, name: str, observation: Observation) -> None:
        """
        Who asks again on being told waits for another read: a new audience.
        """
        curious = self._curious.pop(name, None)
        if curious is not None:
            curious.tell(observation)
