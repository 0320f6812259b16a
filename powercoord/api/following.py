# SPDX-License-Identifier: MIT
"""
Telling subscribers what happens.

The registry is listened to only while somebody follows.  Each entry is
written as JSON once for all who want it, and what happens in one turn of the
reactor travels together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.api.arguments import dump
from powercoord.api.batch import read_words
from powercoord.api.extensions import Follow, Subscribe, Unsubscribe
from powercoord.api.limits import Limits
from powercoord.api.pages import Pusher
from powercoord.api.serving import Responders
from powercoord.entries import Accepted, Answered, Ended, Entry, Followed
from powercoord.errors import BadRequest
from powercoord.forms import KINDS, event_form
from powercoord.interfaces import IRegistry

MAX_FILTER = 2_000
MAX_FOLLOWED = 50_000
_LISTS = ("nodes", "actions", "requests")


@define(eq=False)
class Filter:
    """
    Which entries somebody wants.

    A request that matches brings its action along, with all that becomes of
    it, also when another action takes its place.
    """

    everything: bool
    nodes: frozenset[str]
    actions: frozenset[str]
    requests: set[str]
    prefix: str
    kinds: frozenset[str]
    _found: set[str] = field(factory=set, init=False)

    @classmethod
    def read(cls, form: Any) -> Filter:
        """
        The filter in a form; an empty one wants everything.

        :raises BadRequest: that is no filter; the text says what is wrong with it.
        """
        if type(form) is not dict:
            raise BadRequest("filter: it must be an object")
        if unknown := form.keys() - {*_LISTS, "request_prefix", "kinds"}:
            raise BadRequest(f"filter: there is no field {min(unknown)[:64]!r}")
        prefix, kinds = _prefix(form.get("request_prefix")), _kinds(form.get("kinds"))
        nodes, actions, requests = (_words(form.get(name), name) for name in _LISTS)
        everything = not (nodes or actions or requests or prefix)
        return cls(everything, nodes, actions, set(requests), prefix, kinds)

    def add(self, requests: Any) -> None:
        """
        Want these requests too.

        :raises BadRequest: that is no list of them, or too many to keep.
        """
        more = read_words(requests, "requests", MAX_FILTER)
        if len(self.requests) + len(more) > MAX_FOLLOWED:
            raise BadRequest(f"requests: a subscription follows at most {MAX_FOLLOWED} unanswered requests")
        self.requests.update(more)

    def wants(self, entry: Entry) -> bool:
        """
        Whether an entry is to be told; to be asked about every entry, in order.
        """
        return (self.everything or self._concerns(entry)) and (
            not self.kinds or KINDS[type(entry)] in self.kinds
        )

    def _concerns(self, entry: Entry) -> bool:
        node, action, request = _about(entry)
        mine = request in self.requests or (self.prefix != "" and request.startswith(self.prefix))
        if mine and isinstance(entry, Accepted | Followed):
            self._found.add(action)
        wanted = mine or node in self.nodes or action in self.actions or action in self._found
        if isinstance(entry, Ended):
            self._found.discard(action)
        elif mine and isinstance(entry, Answered):
            self.requests.discard(request)
        return wanted


def _about(entry: Entry) -> tuple[str, str, str]:
    """
    The node, the action and the request id of an entry, as far as it has them.
    """
    if isinstance(entry, Accepted):
        return entry.request.node, entry.action, entry.request.request_id
    return entry.node, getattr(entry, "action", ""), getattr(entry, "request_id", "")


def _words(value: Any, name: str) -> frozenset[str]:
    return frozenset() if value is None else frozenset(read_words(value, f"filter: {name}", MAX_FILTER))


def _prefix(value: Any) -> str:
    return "" if value is None else read_words([value], "filter: request_prefix", 1)[0]


def _kinds(value: Any) -> frozenset[str]:
    kinds = _words(value, "kinds")
    if unknown := kinds - set(KINDS.values()):
        raise BadRequest(f"filter: kinds: there is no {min(unknown)}; there are {', '.join(KINDS.values())}")
    return kinds


@define(eq=False)
class Audience:
    """
    Everybody who follows, whatever the connection.
    """

    _registry: IRegistry
    _clock: IReactorTime
    _followers: list[tuple[Filter, Pusher]] = field(factory=list, init=False)
    _happened: list[Entry] = field(factory=list, init=False)
    _telling: IDelayedCall | None = field(default=None, init=False)
    _stop: Callable[[], None] | None = field(default=None, init=False)

    def join(self, wanted: Filter, pusher: Pusher) -> Callable[[], None]:
        """
        Push what is wanted from now on; call the result to stop.
        """
        follower = (wanted, pusher)
        if self._stop is None:
            self._stop = self._registry.subscribe(self._listen)
        self._followers.append(follower)
        return lambda: self._leave(follower)

    def _leave(self, follower: tuple[Filter, Pusher]) -> None:
        follower[1].stop()
        if follower in self._followers:
            self._followers.remove(follower)
        if not self._followers and self._stop is not None:
            self._stop()
            self._stop = None
            self._happened.clear()
            if self._telling is not None:
                self._telling.cancel()
                self._telling = None

    def _listen(self, _: int, entries: Sequence[Entry]) -> None:
        self._happened.extend(entries)
        if self._telling is None:
            self._telling = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        self._telling = None
        entries, self._happened = self._happened, []
        written: dict[int, bytes] = {}
        for wanted, pusher in list(self._followers):
            told = []
            for index, entry in enumerate(entries):
                if wanted.wants(entry):
                    if index not in written:
                        written[index] = dump(event_form(entry))
                    told.append(written[index])
            if told:
                pusher.add(told)


@define(eq=False)
class SubscriptionDesk:
    """
    The subscriptions of one connection.

    :param push: sends one page of a subscription.
    """

    _audience: Audience
    _limits: Limits
    _push: Callable[[int, bytes], Deferred[Any]]
    _last: int = field(default=0, init=False)
    _open: dict[int, tuple[Filter, Callable[[], None]]] = field(factory=dict, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {Subscribe: self._subscribe, Follow: self._follow, Unsubscribe: self._unsubscribe}

    def close(self) -> None:
        """
        The connection is gone.
        """
        while self._open:
            self._open.popitem()[1][1]()

    def _subscribe(self, *, filter: Any) -> dict[str, Any]:  # noqa: A002 - its name on the wire
        if len(self._open) >= self._limits.subscriptions:
            raise BadRequest(
                f"a connection has at most {self._limits.subscriptions} subscriptions; end one first"
            )
        wanted = Filter.read({} if filter is None else filter)
        self._last += 1
        pusher = Pusher(partial(self._push, self._last), self._limits.queue)
        self._open[self._last] = (wanted, self._audience.join(wanted, pusher))
        return {"subscription": self._last}

    def _follow(self, *, subscription: int, requests: Any) -> dict[str, Any]:
        self._find(subscription)[0].add(requests)
        return {}

    def _unsubscribe(self, *, subscription: int) -> dict[str, Any]:
        self._find(subscription)[1]()
        del self._open[subscription]
        return {}

    def _find(self, subscription: int) -> tuple[Filter, Callable[[], None]]:
        try:
            return self._open[subscription]
        except KeyError:
            raise BadRequest(f"there is no subscription {subscription} on this connection") from None
