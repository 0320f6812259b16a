# SPDX-License-Identifier: MIT
"""
The subscriptions of one connection.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from powercoord.api.asking import number_of
from powercoord.api.extensions import Follow, Subscribe, Unsubscribe
from powercoord.api.filter import Filter
from powercoord.api.following import Audience, Follower, Held
from powercoord.api.limits import Limits
from powercoord.api.pages import Pusher
from powercoord.api.past import kept
from powercoord.api.replay import Replay
from powercoord.api.serving import Responders
from powercoord.durable import IHistory
from powercoord.errors import BadRequest


@frozen
class _Open:
    follower: Follower
    leave: Callable[[], None]


@define(eq=False)
class SubscriptionDesk:
    """
    Answers commands about subscriptions, for one connection.

    :param history: None where nothing is kept.
    :param push: sends one page of a subscription.
    """

    _audience: Audience
    _history: IHistory | None
    _clock: IReactorTime
    _limits: Limits
    _push: Callable[[int, bytes], Deferred[Any]]
    _last: int = field(default=0, init=False)
    _open: dict[int, _Open] = field(factory=dict, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {Subscribe: self._subscribe, Follow: self._follow, Unsubscribe: self._unsubscribe}

    def drained(self) -> Deferred[Any]:
        """
        Fires when the peer has taken all that happened so far.
        """
        self._audience.flush()
        taken = [each.follower.pusher.drained() for each in self._open.values()]
        return gatherResults(taken, consumeErrors=True)

    def close(self) -> None:
        """
        The connection is gone.
        """
        while self._open:
            self._open.popitem()[1].leave()

    async def _subscribe(self, *, filter: Any, after: int | None) -> dict[str, Any]:  # noqa: A002 - its name on the wire
        if len(self._open) >= self._limits.subscriptions:
            raise BadRequest(
                f"a connection has at most {self._limits.subscriptions} subscriptions; end one first"
            )
        wanted = Filter.read({} if filter is None else filter)
        begin = number_of(after, "after")
        history = None if begin is None else kept(self._history)
        self._last = number = self._last + 1
        follower = Follower(wanted, Pusher(partial(self._push, number), self._limits.queue))
        held = None if history is None else Held(follower, self._limits.queue)
        self._open[number] = _Open(follower, self._audience.join(follower, held))
        if history is not None and held is not None and begin is not None:
            await self._replay(number, Replay(history, self._audience, held, self._limits.queue), begin)
        return {"subscription": number, "cursor": self._audience.newest if begin is None else begin}

    async def _replay(self, number: int, replay: Replay, begin: int) -> None:
        """
        Begin where the subscriber left off; told only once it knows its subscription's number.
        """
        try:
            first = await replay.first(begin)
        except BaseException:
            if number in self._open:
                self._open.pop(number).leave()
            raise
        self._clock.callLater(0, replay.begin, first)

    def _follow(self, *, subscription: int, requests: Any) -> dict[str, Any]:
        self._find(subscription).follower.wanted.add(requests)
        return {}

    def _unsubscribe(self, *, subscription: int) -> dict[str, Any]:
        self._find(subscription).leave()
        del self._open[subscription]
        return {}

    def _find(self, subscription: int) -> _Open:
        try:
            return self._open[subscription]
        except KeyError:
            raise BadRequest(f"there is no subscription {subscription} on this connection") from None
