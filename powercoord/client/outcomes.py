# SPDX-License-Identifier: MIT
"""
How the requests of a client end, though connections and coordinators come and go.

One subscription tells the answers to all requests.  What may have been missed
is asked for again under the same request id, which a coordinator answers with
the outcome, or by joining.

# Note [Another coordinator]

Behind one address there may be two coordinators, and the one that answers now
may never have heard of a request.  It may do an on or an off: nodes end as was
wanted, however often that is asked for.  A cycle or a reset must not be done
by both, and so is only asked about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from powercoord.client.results import Answer, Refused
from powercoord.forms import outcome_from
from powercoord.model import Interrupted, Outcome, Request, Unknown, Verb

AGAIN = 200
_ONCE = frozenset({Verb.CYCLE, Verb.RESET})


def is_end(outcome: Outcome) -> bool:
    """
    Whether nothing comes after it: what a stop interrupted goes on after the restart, and is asked for then.
    """
    return not isinstance(outcome, Interrupted)


@define(eq=False, weakref_slot=True)
class Fate:
    """
    What becomes of one request.

    :param doubtful: whether the outcome may have been missed.
    """

    request: Request
    outcome: Outcome | None = field(default=None, init=False)
    doubtful: bool = field(default=False, init=False)
    waiting: list[Deferred[Outcome]] = field(factory=list, init=False)


@define(eq=False)
class Outcomes:
    """
    The fates of all requests that somebody may ask about.

    A fate lives as long as somebody holds it (it hangs on the `Accepted`) or
    waits for it.

    :param submit: submits requests again.
    """

    _submit: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]
    _known: WeakValueDictionary[str, Fate] = field(factory=WeakValueDictionary, init=False)
    _awaited: dict[str, Fate] = field(factory=dict, init=False)
    _asking: bool = field(default=False, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def expect(self, request: Request) -> Fate:
        """
        The fate of a request that is about to be submitted.
        """
        fate = self._known.get(request.request_id)
        if fate is None:
            fate = self._known[request.request_id] = Fate(request)
        return fate

    def wait(self, fate: Fate) -> Deferred[Outcome]:
        """
        A new Deferred for an outcome.
        """
        if fate.outcome is not None:
            return succeed(fate.outcome)
        waiting: Deferred[Outcome] = Deferred(fate.waiting.remove)
        fate.waiting.append(waiting)
        self._awaited[fate.request.request_id] = fate
        if fate.doubtful:
            self._ask_again()
        return waiting

    def tell(self, forms: Sequence[dict[str, Any]]) -> None:
        """
        Take a page of answers.
        """
        for form in forms:
            fate = self._known.get(form["request_id"])
            if fate is not None:
                self.settle(fate, outcome_from(form["outcome"]))

    def settle(self, fate: Fate, outcome: Outcome) -> None:
        """
        An outcome is known.
        """
        fate.outcome = outcome
        self._awaited.pop(fate.request.request_id, None)
        waiting, fate.waiting = fate.waiting, []
        for deferred in waiting:
            deferred.callback(outcome)

    def missed(self, _: str) -> None:
        """
        Answers may have been missed: ask for those that somebody waits for.
        """
        for fate in self._known.values():
            fate.doubtful = fate.outcome is None
        self._ask_again()

    def close(self, error: Exception) -> None:
        """
        Nobody will hear any more.
        """
        awaited, self._awaited = list(self._awaited.values()), {}
        for fate in awaited:
            waiting, fate.waiting = fate.waiting, []
            for deferred in waiting:
                deferred.errback(error)

    def _ask_again(self) -> None:
        if not self._asking:
            self._asking = True
            asking = Deferred.fromCoroutine(self._ask())
            asking.addErrback(lambda failure: self._log.warn("outcomes unknown: {e}", e=failure.value))

    async def _ask(self) -> None:
        try:
            while doubtful := [fate for fate in self._awaited.values() if fate.doubtful][:AGAIN]:
                for fate in doubtful:
                    fate.doubtful = False
                try:
                    answers = await self._submit([_question(fate.request) for fate in doubtful])
                except Exception:
                    for fate in doubtful:
                        fate.doubtful = True
                    raise
                for fate, answer in zip(doubtful, answers, strict=True):
                    self._reconcile(fate, answer)
        finally:
            self._asking = False

    def _reconcile(self, fate: Fate, answer: Answer) -> None:
        if fate.outcome is not None:
            return
        if isinstance(answer, Refused):
            self.settle(fate, Unknown(f"the coordinator knows nothing of it any more: {answer.error}"))
        elif answer.outcome is not None and is_end(answer.outcome):
            self.settle(fate, answer.outcome)


def _question(request: Request) -> Request:
    """
    What asks about a request; see note [Another coordinator].
    """
    return evolve(request, again=True) if request.verb in _ONCE else request
