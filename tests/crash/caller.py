# SPDX-License-Identifier: MIT
"""
A caller who keeps a note of what was said to it, through all deaths of who says it.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from powercoord.client import Accepted, Client, Patience
from powercoord.errors import PowerActionFail, PowercoordError
from powercoord.model import Outcome, Request, Verb

#: A life is short here, so is the pause before the next attempt to connect.
PATIENCE = Patience(connect=2.0, call=60.0, retry_first=0.02, retry_longest=0.1)


@define(eq=False)
class Caller:
    """
    Asks, and asks again under the same request ids after a lost connection, as `powercoord.client` does.

    :ivar asked: every request, in order.
    :ivar heard: what was said to have been accepted, by request id.
    :ivar outcomes: how it was said to have ended.
    :ivar refusals: what was refused without a good reason, in words.
    """

    _reactor: Any
    client: Client
    asked: list[Request] = field(factory=list, init=False)
    heard: dict[str, Accepted] = field(factory=dict, init=False)
    outcomes: dict[str, Outcome] = field(factory=dict, init=False)
    refusals: list[str] = field(factory=list, init=False)
    _pending: list[Deferred[None]] = field(factory=list, init=False)

    @classmethod
    def at(cls, reactor: Any, endpoint: str) -> Caller:
        """
        Call there.
        """
        client = Client.from_string(reactor, endpoint, requester="crash test", patience=PATIENCE)
        client.start()
        return cls(reactor, client)

    async def ask(self, node: str, verb: Verb, **options: Any) -> Accepted | None:
        """
        Returns when it is accepted; how it ends is noted when that is told.
        """
        request = self.client.request(node, verb, **options)
        self.asked.append(request)
        (answer,) = await self.client.submit([request])
        if not isinstance(answer, Accepted):
            self._refused(request, answer.error)
            return None
        self.heard[request.request_id] = answer
        self._pending.append(self.client.outcome(answer).addCallback(self._ended, request))
        return answer

    async def cancel(self, action: str) -> None:
        """
        Cancel; that there is nothing to cancel any more is as good.
        """
        try:
            await self.client.cancel(action)
        except PowercoordError as error:
            if error.code != "NoSuchAction":
                self.refusals.append(f"cancel of {action}: {error}")

    async def end_of(self, accepted: Accepted) -> None:
        """
        Returns when that has ended.
        """
        await self.client.outcome(accepted)

    async def pause(self, seconds: float) -> None:
        """
        Wait a little.
        """
        await deferLater(self._reactor, seconds)

    async def hear_all(self) -> None:
        """
        Returns when everything asked for so far has ended.
        """
        await gatherResults(self._pending, consumeErrors=True)

    async def idle(self) -> None:
        """
        Returns when nothing is in play or waiting anywhere.
        """
        while await self.client.list_actions():
            await self.pause(0.05)

    async def ask_all_again(self) -> list[str]:
        """
        Send every request once more; complaints about what is not the recorded end.
        """
        answers = await self.client.submit(self.asked)
        before = [self.outcomes.get(request.request_id) for request in self.asked]
        return [
            f"{answer.request_id}, asked again, got {answer}, and had {outcome}"
            for answer, outcome in zip(answers, before, strict=True)
            if outcome is not None and (not isinstance(answer, Accepted) or answer.outcome != outcome)
        ]

    def _refused(self, request: Request, error: PowercoordError) -> None:
        self.asked.remove(request)
        # A reset behind an off is refused, and that is right.
        if not (request.verb is Verb.RESET and isinstance(error, PowerActionFail)):
            self.refusals.append(f"{request.node}: {request.verb.value} was refused: {error}")

    def _ended(self, outcome: Outcome, request: Request) -> None:
        self.outcomes[request.request_id] = outcome
