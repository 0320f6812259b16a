# SPDX-License-Identifier: MIT
"""
What stands behind the client's methods: its connection, and what outlives connections.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self
from uuid import uuid4
from weakref import WeakKeyDictionary

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.protocols.amp import Command

from powercoord.api.dialling import Backoff, Dialler
from powercoord.api.limits import PeerLog
from powercoord.api.wire import Link
from powercoord.client.errors import ClientClosed, Unreachable
from powercoord.client.lifeline import Lifeline
from powercoord.client.line import Line, Outfit
from powercoord.client.outcomes import Fate, Outcomes, is_end
from powercoord.client.reading import Looker
from powercoord.client.results import Accepted, Answer
from powercoord.client.submitting import Submitter
from powercoord.client.subscriptions import Subscription, Subscriptions
from powercoord.client.watch import Watch
from powercoord.errors import PowercoordError
from powercoord.model import Request

Send = Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]


@frozen(kw_only=True)
class Patience:
    """
    How long a client waits, in seconds.

    :param connect: for one attempt to connect.
    :param call: for the answer to any call, lost connections and all.  What
        waits for a BMC or an outcome has no such limit: actions have deadlines.
    :param retry_first: before the second attempt to connect; it grows up to
        ``retry_longest``.
    """

    connect: float = 10.0
    call: float = 30.0
    retry_first: float = 0.25
    retry_longest: float = 10.0


class Connected:
    """
    A connection to one coordinator that is made again whenever it is lost.
    """

    def __init__(
        self,
        clock: Any,
        endpoint: IStreamClientEndpoint | None,
        *,
        name: str = "the coordinator",
        requester: str = "",
        secret: bytes | None = None,
        patience: Patience = Patience(),
        jitter: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        """
        :param clock: the reactor.
        :param endpoint: where to dial; None for one that dials us (`racks`).
        :param name: what error messages call the coordinator.
        :param requester: who asks, for the history and for other operators.
        :param secret: the shared secret, where the coordinator demands it.
        """
        self.name = name
        self._requester = requester
        self._patience = patience
        self._prefix, self._made = f"{new_id()}-", 0
        self._lifeline = Lifeline(name, clock)
        self._subscriptions = Subscriptions(self._lifeline)
        self._submitter = Submitter(self._lifeline, patience.call)
        self._looker = Looker(self._lifeline, patience.call)
        self._outcomes = Outcomes(self._submitter.submit)
        answers = {"request_prefix": self._prefix, "kinds": ["answered"]}
        self._answers = Subscription(answers, True, self._outcomes.tell, self._outcomes.missed)
        self._watches: dict[Watch, Subscription] = {}
        self._lines: WeakKeyDictionary[Link, Line] = WeakKeyDictionary()
        self._first: list[Deferred[None]] = []
        self.outfit = Outfit(clock, requester, new_id, os.urandom, PeerLog(clock), secret)
        self._dialler = None if endpoint is None else self._make_dialler(endpoint, jitter)

    @classmethod
    def from_string(cls, reactor: Any, endpoint: str, **options: Any) -> Self:
        """
        Make a client of a Twisted client endpoint string.

        :raises ValueError: that is no endpoint; the text says why.
        """
        try:
            made = clientFromString(reactor, endpoint)
        except Exception as error:  # noqa: BLE001 - the parsers of endpoints raise whatever they like
            raise ValueError(
                f"{endpoint!r} is no endpoint ({error}); one is unix:/run/powercoord/amp.sock"
            ) from None
        return cls(reactor, made, name=endpoint, **options)

    def connect(self) -> Deferred[None]:
        """
        Connect now or fail with `Unreachable`, naming endpoint and reason.
        """
        first: Deferred[None] = Deferred(self._first.remove)
        self._first.append(first)
        self.start()
        return first

    def start(self) -> None:
        """
        Begin to connect, and keep trying until `close`.
        """
        if self._dialler is not None:
            self._dialler.start()

    def attach(self, line: Line) -> None:
        """
        Use a connection that was made and greeted.
        """
        self._lifeline.attach(line)
        self._begun(None)

    def close(self) -> Deferred[None]:
        """
        Disconnect; calls that still wait fail with `ClientClosed`.
        """
        if self._dialler is not None:
            self._dialler.stop()
        for watch in list(self._watches):
            watch.stop()
        gone = self._lifeline.close()
        closed = ClientClosed(f"the client of {self.name} was closed")
        self._outcomes.close(closed)
        self._begun(closed)
        return gone

    def _make_dialler(self, endpoint: IStreamClientEndpoint, jitter: Callable[[], float]) -> Dialler:
        patience = self._patience
        return Dialler(
            clock=self.outfit.clock,
            endpoint=endpoint,
            make=self._make_link,
            greet=lambda link: Deferred.fromCoroutine(self._lines[link].greet()),
            ready=lambda link: self.attach(self._lines[link]),
            failed=self._failed,
            backoff=Backoff(first=patience.retry_first, longest=patience.retry_longest, jitter=jitter),
            patience=patience.connect,
        )

    def _make_link(self) -> Link:
        line = Line(self.outfit)
        self._lines[line.link] = line
        return line.link

    def _failed(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        self._lifeline.trouble = reason
        if self._first and self._dialler is not None:
            self._dialler.stop()
            self._begun(
                error if isinstance(error, PowercoordError) else Unreachable(f"{self.name}: {reason}")
            )

    def _begun(self, error: Exception | None) -> None:
        first, self._first = self._first, []
        for deferred in first:
            if error is None:
                deferred.callback(None)
            else:
                deferred.errback(error)

    def _next_id(self) -> str:
        self._made += 1
        return f"{self._prefix}{self._made}"

    def _call(self, command: type[Command], **values: Any) -> Deferred[dict[str, Any]]:
        return self._lifeline.call(self._patience.call, command, **values)

    async def _submit(self, requests: Sequence[Request], send: Send | None = None) -> tuple[Answer, ...]:
        """
        Submit, having seen to it that the answers will be heard.
        """
        send = send or self._submitter.submit
        await self._follow(self._answers)
        foreign = [it.request_id for it in requests if not it.request_id.startswith(self._prefix)]
        if foreign:
            await self._subscriptions.follow(foreign)
        fates = [self._outcomes.expect(request) for request in requests]
        answers = await send(requests)
        return tuple(map(self._marked, answers, fates))

    def _marked(self, answer: Answer, fate: Fate) -> Answer:
        if not isinstance(answer, Accepted):
            return answer
        if answer.outcome is not None and is_end(answer.outcome) and fate.outcome is None:
            self._outcomes.settle(fate, answer.outcome)
        return evolve(answer, fate=fate)

    async def _watch(self, wanted: dict[str, Any], *, mine: bool, after: int | None) -> Watch:
        await self._follow(self._answers)  # while there is room for it: without it nothing can be submitted
        watch = Watch(self._unwatch, after)
        subscription = Subscription(wanted, mine, watch.tell, watch.missed, True, after)
        self._watches[watch] = subscription
        try:
            await self._follow(subscription)
        except BaseException:
            watch.stop()
            raise
        return watch

    def _unwatch(self, watch: Watch) -> None:
        self._subscriptions.remove(self._watches.pop(watch))

    def _follow(self, subscription: Subscription) -> Deferred[None]:
        return self._lifeline.within(self._patience.call, self._subscriptions.add(subscription), "Subscribe")
