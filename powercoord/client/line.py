# SPDX-License-Identifier: MIT
"""
One connection of a client, with what the coordinator sends on it unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.api.commands import Identify
from powercoord.api.extensions import ActionEvent, GoingAway, Readings
from powercoord.api.limits import Limits, PeerLog
from powercoord.api.serving import Responders
from powercoord.api.trust import Trust
from powercoord.api.wire import Link

Form = dict[str, Any]
Listener = Callable[[Sequence[Form]], Deferred[None] | None]


@frozen
class Outfit:
    """
    What a client equips each of its connections with.

    :param ident: what it answers to Identify.
    :param random: random bytes that nobody can guess.
    """

    clock: IReactorTime
    ident: str
    new_id: Callable[[], str]
    random: Callable[[int], bytes]
    peers: PeerLog
    secret: bytes | None = field(default=None, repr=False)
    limits: Limits = field(factory=Limits)


@define(eq=False)
class Line:
    """
    A link, and who gets the events and readings that come on it.

    :param retired: the coordinator said that it goes away: call no more.
    """

    _outfit: Outfit
    _dialled: bool = True
    link: Link = field(init=False)
    retired: bool = field(default=False, init=False)
    events: dict[int, Listener] = field(factory=dict, init=False)
    streams: dict[int, Listener] = field(factory=dict, init=False)
    on_retired: Callable[[], None] | None = field(default=None, init=False)
    _trust: Trust = field(init=False)

    def __attrs_post_init__(self) -> None:
        it = self._outfit
        self._trust = Trust(it.secret, not self._dialled and it.secret is not None, self._dialled, it.random)
        answers: Responders = {
            ActionEvent: self._event,
            Readings: self._readings,
            GoingAway: self._going_away,
            Identify: lambda: {"ident": it.ident},
        }
        self.link = Link(it.clock, answers, limits=it.limits, peers=it.peers, new_reference=it.new_id)
        self.link.serving.add(self._trust.responders())

    @property
    def usable(self) -> bool:
        """
        Whether calls may be made on it.
        """
        return not (self.retired or self.link.ended)

    async def greet(self) -> None:
        """
        See to it that both sides know the secret, where there is one.

        :raises powercoord.api.commands.NotAuthenticated: the peer does not.
        """
        if self._outfit.secret is not None:
            await self._trust.ask(self.link, self._outfit.clock, self._outfit.limits.unauthenticated)

    def _event(self, *, subscription: int, events: list[Form]) -> Any:
        return _told(self.events.get(subscription), events)

    def _readings(self, *, stream: int, readings: list[Form]) -> Any:
        return _told(self.streams.get(stream), readings)

    def _going_away(self, *, reason: str) -> dict[str, Any]:
        self.retired = True
        if self.on_retired is not None:
            self.on_retired()
        return {}


def _told(listener: Listener | None, forms: list[Form]) -> Any:
    """
    The answer to a page: at once, or when its listener has room for another.
    """
    later = listener(forms) if listener is not None else None
    return {} if later is None else later.addCallback(lambda _: {})
