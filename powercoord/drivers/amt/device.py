# SPDX-License-Identifier: MIT
"""
One AMT device: its web server, our account there, and one operation at a time.

Its processor is a small one, and its web server serves few connections: operations wait in line, and there
is a short rest between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.drivers.amt.answer import Answer, Fault, NotWsman, read_answer
from powercoord.drivers.amt.envelope import CONTENT_TYPE, PATH, Request
from powercoord.drivers.turns import Turns
from powercoord.drivers.web import Answer as Reply
from powercoord.drivers.web import Ask, Exchange
from powercoord.drivers.web.digest import ChallengeUnsupported, CredentialsRefused, Digest, NonceRefused
from powercoord.errors import PowerActionError, PowerAuthError, PowerConnError, PowerError, PowerRefusedError
from powercoord.interfaces import IOperation

#: Seconds between two operations.
REST = 0.05

#: Faults come with these (DSP0226 section 14.6 has 400 and 500).
_FAULTY = (400, 500)

#: Statuses that mean that somebody looked at our credentials and let us in.
_SERVED = (200, *_FAULTY)


@define(eq=False)
class Device:
    """
    Speaks to one device, as one account.

    :param what: how errors name it.
    :param standby: whether it may have a modern standby; False once it has said that it knows of none.
    """

    what: str
    _clock: IReactorTime
    _exchange: Exchange
    _digest: Digest
    standby: bool = field(default=True, init=False)
    _turns: Turns = field(init=False)
    _busy: bool = field(default=False, init=False)
    _resting: IDelayedCall | None = field(default=None, init=False)
    _messages: Iterator[int] = field(factory=count, init=False)

    def __attrs_post_init__(self) -> None:
        """
        Nothing is opened yet.
        """
        self._turns = Turns(self._clock)

    @property
    def busy(self) -> bool:
        """
        Whether an operation goes on, or has just ended.
        """
        return self._busy

    async def enter(self, operation: IOperation, until: float) -> None:
        """
        Wait for one's turn; who had it calls `leave`.

        :raises PowerConnError: it did not come in time.
        :raises OperationCancelled: politely asked to stop.
        """
        while self._busy:
            late = PowerConnError(f"{self.what}: still busy with another operation")
            await self._turns.wait(operation, until, late)
        self._busy = True

    def leave(self) -> None:
        """
        Let the next one come, after a rest.
        """
        self._resting = self._clock.callLater(REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._busy = False
        self._turns.release()

    async def close(self) -> None:
        """
        End what goes on, and leave no socket and no timer behind.
        """
        self._turns.dismiss(PowerConnError(f"{self.what}: the driver is closed"))
        await self._exchange.close()
        if self._resting is not None:
            self._resting.cancel()
            self._rested()

    async def ask(self, request: Request, operation: IOperation, until: float) -> Answer | Fault:
        """
        Have one request answered.

        It leaves again only with other credentials than were refused; the device has not looked at it then.

        :raises PowerError: there is no answer, or one that is neither an answer nor a fault.
        """
        attempt = self._digest.attempt("POST", PATH)
        body = request.write(str(next(self._messages)))
        while True:
            headers = {"Content-Type": CONTENT_TYPE}
            authorization = attempt.authorization()
            if authorization is not None:
                headers["Authorization"] = authorization
            ask = Ask(method="POST", path=PATH, headers=headers, body=body, repeatable=not request.changes)
            reply = await self._exchange.ask(ask, operation, until, changes=request.changes)
            if reply.status != 401:
                if reply.status in _SERVED:
                    attempt.accepted()
                return self._read(reply, request)
            try:
                attempt.challenged(_challenges(reply))
            except CredentialsRefused:
                raise PowerAuthError(
                    f"{self.what}: user name or password refused, or the account is locked for a while;"
                    " not tried again"
                ) from None
            except NonceRefused as error:
                raise PowerActionError(f"{self.what}: {error}") from None
            except ChallengeUnsupported as error:
                raise PowerRefusedError(f"{self.what}: no way to log in: {error}") from None

    def _read(self, reply: Reply, request: Request) -> Answer | Fault:
        doing = f"{self.what}: {request.what}"
        if reply.status not in _SERVED:
            raise _unserved(doing, reply.status, changes=request.changes)
        try:
            answer = read_answer(reply.body, request.resource, request.answer)
        except NotWsman as error:
            raise PowerActionError(f"{doing}: HTTP {reply.status}: {error}", sent=request.changes) from None
        if reply.status in _FAULTY and not isinstance(answer, Fault):
            raise PowerActionError(f"{doing}: HTTP {reply.status} without a fault", sent=request.changes)
        return answer


def _challenges(reply: Reply) -> list[str]:
    return [
        value.decode("utf-8", "replace") for value in reply.headers.getRawHeaders(b"WWW-Authenticate", [])
    ]


def _unserved(doing: str, status: int, *, changes: bool) -> PowerError:
    """
    What a status says that has no envelope with it.
    """
    if status in (404, 405):
        return PowerRefusedError(f"{doing}: HTTP {status}: no AMT there; is the port right?")
    if status == 403:
        return PowerRefusedError(f"{doing}: HTTP 403: this user may not do that")
    if status == 503:
        return PowerActionError(f"{doing}: HTTP 503: it is busy")
    return PowerActionError(f"{doing}: HTTP {status}", sent=changes)
