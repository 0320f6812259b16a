# SPDX-License-Identifier: MIT
"""
Subscriptions that outlive the connections they are made on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.api.calls import CallFailed, LinkLost
from powercoord.api.extensions import Follow, Subscribe, Unsubscribe
from powercoord.client.errors import error_of
from powercoord.client.lifeline import Lifeline
from powercoord.client.line import Form, Line

CHUNK = 1_000


@define(eq=False)
class Subscription:
    """
    Something to follow.

    :param wanted: the filter, as the wire has it.
    :param mine: whether requests that the client makes are added to it.
    :param tell: told events; may answer with a Deferred that fires when it
        can take more.
    :param missed: told that events were missed, and why.
    :param resumes: whether what happens while there is no line is told later.
    :param cursor: the number of the last event that was told.
    """

    wanted: Form
    mine: bool
    tell: Callable[[Sequence[Form]], Deferred[None] | None]
    missed: Callable[[str], None]
    resumes: bool = False
    cursor: int | None = None
    number: int | None = field(default=None, init=False)
    made: bool = field(default=False, init=False)
    waiting: list[Deferred[None]] = field(factory=list, init=False)
    followed: set[str] = field(factory=set, init=False)


@define(eq=False)
class Subscriptions:
    """
    All subscriptions of a client.
    """

    _lifeline: Lifeline
    _all: list[Subscription] = field(factory=list, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def __attrs_post_init__(self) -> None:
        self._lifeline.on_ready(self._again)

    def add(self, subscription: Subscription) -> Deferred[None]:
        """
        Follow; fires when the coordinator has begun to tell.
        """
        if subscription.made:
            return succeed(None)
        waiting: Deferred[None] = Deferred(subscription.waiting.remove)
        subscription.waiting.append(waiting)
        if subscription not in self._all:
            self._all.append(subscription)
            line = self._lifeline.line
            if line is not None and line.usable:
                self._begin(line, subscription)
        return waiting

    def remove(self, subscription: Subscription) -> None:
        """
        Follow no more.
        """
        if subscription in self._all:
            self._all.remove(subscription)
        line, number = self._lifeline.line, subscription.number
        if line is not None and number is not None:
            line.events.pop(number, None)
            line.link.call(Unsubscribe, subscription=number).addErrback(self._gone)

    async def follow(self, requests: Sequence[str]) -> None:
        """
        Add requests to what is followed as the client's own, before they are made.
        """
        line = self._lifeline.line
        calls = []
        for subscription in self._all:
            if subscription.mine:
                subscription.followed.update(requests)
                if line is not None and subscription.number is not None:
                    number, wanted = subscription.number, list(requests)
                    calls.append(line.link.call(Follow, subscription=number, requests=wanted))
        await gatherResults([call.addErrback(self._gone) for call in calls])

    def _again(self, line: Line) -> None:
        """
        There is a new line: subscribe on it to all that is followed.
        """
        for subscription in self._all:
            subscription.number = None
            self._begin(line, subscription)

    def _begin(self, line: Line, subscription: Subscription) -> None:
        making = Deferred.fromCoroutine(self._make(line, subscription))
        making.addCallbacks(
            self._made, self._not_made, callbackArgs=(subscription,), errbackArgs=(subscription,)
        )

    def _made(self, resumed: bool, subscription: Subscription) -> None:
        if subscription.made and not resumed:
            subscription.missed(self._lifeline.trouble)
        subscription.made = True
        waiting, subscription.waiting = subscription.waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def _not_made(self, failure: Failure, subscription: Subscription) -> None:
        """
        A lost line is followed by another; a refusal is final.
        """
        if failure.check(LinkLost):
            return
        self._all.remove(subscription)
        error = failure.value
        if isinstance(error, CallFailed):
            error = error_of(error.code, error.text)
        waiting, subscription.waiting = subscription.waiting, []
        for deferred in waiting:
            deferred.errback(error)

    async def _make(self, line: Line, subscription: Subscription) -> bool:
        """
        Subscribe, if possible from where the last line was lost; returns whether it was.
        """
        number, resumed = await self._subscribe(line, subscription)
        subscription.number = number
        line.events[number] = lambda forms: self._tell(subscription, forms)
        followed = list(subscription.followed)
        for index in range(0, len(followed), CHUNK):
            await line.link.call(Follow, subscription=number, requests=followed[index : index + CHUNK])
        return resumed

    async def _subscribe(self, line: Line, subscription: Subscription) -> tuple[int, bool]:
        wanted, after = subscription.wanted, subscription.cursor
        if after is not None:
            try:
                said = await line.link.call(Subscribe, filter=wanted, after=after)
            except CallFailed as error:
                if not (subscription.made and error.code == "BadRequest"):
                    raise
                self._log.info("events were missed: {reason}", reason=error.text)
                subscription.cursor = None
            else:
                return said["subscription"], True
        said = await line.link.call(Subscribe, filter=wanted)
        if subscription.resumes:
            subscription.cursor = said["cursor"]
        return said["subscription"], False

    def _tell(self, subscription: Subscription, forms: Sequence[Form]) -> Deferred[None] | None:
        for form in forms:
            if form["event"] == "lagged":
                lost = f"{form['dropped']} events came faster than they were read"
                subscription.missed(form.get("text", lost))
            elif form["event"] == "answered":
                subscription.followed.discard(form["request_id"])
        if subscription.resumes and forms:
            numbers = (form["number"] for form in reversed(forms) if "number" in form)
            subscription.cursor = next(numbers, subscription.cursor)
        return subscription.tell([form for form in forms if form["event"] != "lagged"])

    def _gone(self, failure: Failure) -> None:
        failure.trap(LinkLost, CallFailed)
        self._log.debug("not subscribed: {reason}", reason=failure.getErrorMessage())
