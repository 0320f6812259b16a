# SPDX-License-Identifier: MIT
"""
What is known of the endpoints that are left alone, for whoever wants to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.marks import mark
from powercoord.model import Node
from powercoord.parking import Cause, Parking
from powercoord.registry.breaker import Parked, State, is_another


@define(eq=False)
class Standstill:
    """
    One state for each endpoint that is not simply well, to be looked at.

    :param find: the node of that name as it is now, if there is one.
    :param key: what makes marks of settings.
    """

    _clock: IReactorTime
    _states: dict[str, State] = field(factory=dict, init=False)
    _find: Callable[[str], Node | None] = field(default=lambda _: None, init=False)
    _key: bytes = field(default=b"", init=False, repr=False)

    def parking(self, node: Node) -> Parking | None:
        """
        Why a node's endpoint is left alone, if it is.
        """
        endpoint = node.target.endpoint
        state = self._states.get(endpoint)
        if not isinstance(state, Parked) or self._is_another(state, node):
            return None
        remaining = 0.0 if state.trying else max(0.0, state.due - self._clock.seconds())
        return Parking(
            endpoint=endpoint,
            cause=state.cause,
            since=state.since,
            reason=state.reason,
            next_try=remaining,
        )

    def resting(self, node: Node) -> float | None:
        """
        Until when nobody needs to look at a node, because its endpoint is tried anyway then.
        """
        parked = self.parking(node)
        return None if parked is None else self._clock.seconds() + parked.next_try

    def is_parked(self, name: str) -> bool:
        """
        Whether a node's endpoint is left alone.
        """
        node = self._find(name)
        return node is not None and self.parking(node) is not None

    def causes(self) -> Iterator[Cause]:
        """
        Why each of those that are parked is.
        """
        return (state.cause for state in self._states.values() if isinstance(state, Parked))

    def _is_another(self, state: Parked, node: Node) -> bool:
        """
        Whether a node that has shown why is reached in another way by now.
        """
        return is_another(state, node, partial(mark, self._key))

    def _text(self, endpoint: str, state: Parked) -> str:
        """
        Why it is left alone, for who is refused.
        """
        remaining = max(0.0, state.due - self._clock.seconds())
        then = "being tried now" if state.trying else f"next try in {remaining:.0f} s"
        since = state.since.isoformat(" ", "seconds")
        return f"{endpoint} is parked since {since}, because {state.reason}; {then}"
