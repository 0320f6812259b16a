# SPDX-License-Identifier: MIT
"""
Answering a peer's commands: each gets exactly one answer, and none can spoil another's.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from powercoord.api.boxes import Box, ValueTooLong, encode
from powercoord.api.calls import ANSWER, ASK, CODE, COMMAND, ERROR, TEXT
from powercoord.api.codec import Compiled, compiled
from powercoord.api.commands import AnswerTooLong
from powercoord.api.limits import Limits

MAX_TAG = 32
MAX_TEXT = 2_000

Responder = Callable[..., Any]
Responders = Mapping[type[Command], Responder]
Gate = Callable[[bytes], Exception | Deferred[None] | None]


@frozen
class Later:
    """
    An answer that waits for a BMC or an outcome: it does not count as work in flight.

    ``result`` is cancelled when the connection ends first.
    """

    result: Deferred[Mapping[str, Any]]


@frozen
class _Served:
    command: Compiled
    respond: Responder


@define(eq=False)
class Serving:
    """
    What we answer, and what is being answered.

    A responder gets the arguments by name and returns a dict, a coroutine or
    a Deferred of one, or of a `Later`.

    :param send: sends bytes, or forgets them if there is nobody to read them.
    :param eased: called when `busy` may have ended.
    :param gate: lets a command by name pass (None), or says why not, or when.
    :param new_reference: makes the word that joins an internal error's answer
        to its traceback in our log.
    """

    _send: Callable[[bytes], None]
    _eased: Callable[[], None]
    _limits: Limits
    _new_reference: Callable[[], str]
    peer: str = "?"
    gate: Gate | None = None
    _log: Logger = field(factory=Logger)
    _served: dict[bytes, _Served] = field(factory=dict, init=False)
    _in_flight: int = field(default=0, init=False)
    _waits: set[Deferred[Any]] = field(factory=set, init=False)
    _idle: list[Deferred[None]] = field(factory=list, init=False)
    _abandoned: bool = field(default=False, init=False)

    def add(self, responders: Responders) -> None:
        """
        Answer these commands too.
        """
        for command, respond in responders.items():
            schema = compiled(command)
            self._served[schema.name] = _Served(schema, respond)

    @property
    def busy(self) -> bool:
        """
        Whether nothing more may be taken on.
        """
        return self._in_flight >= self._limits.in_flight or len(self._waits) >= self._limits.waiting

    @property
    def pending(self) -> int:
        """
        How many answers are owed.
        """
        return self._in_flight + len(self._waits)

    def asked(self, box: Box) -> None:
        """
        Answer a command, now or later.
        """
        name, ask = box[COMMAND], box.get(ASK)
        served = self._served.get(name)
        if served is None:
            self._error(ask, b"UNHANDLED", f"there is no command {name[:64]!r} here")
            return
        passed = None if self.gate is None else self.gate(name)
        if isinstance(passed, Deferred):
            passed.addCallback(lambda _: self._respond(served, box))
            self._settle(passed, served, ask)
        else:
            self._settle(passed or self._respond(served, box), served, ask)

    def _respond(self, served: _Served, box: Box) -> Any:
        try:
            return served.respond(**served.command.arguments.read(box))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this call's own
            return error

    def _settle(self, result: Any, served: _Served, ask: bytes | None) -> None:
        """
        Answer with a result, or wait for it.
        """
        if type(result) is dict:
            self._answer(result, served, ask)
        elif isinstance(result, Exception | Failure):
            self._fail(result, served, ask)
        elif isinstance(result, Later):
            self._wait(result.result, served, ask)
        else:
            if isinstance(result, Coroutine):
                result = Deferred.fromCoroutine(result)
            self._in_flight += 1
            result.addBoth(self._landed, served, ask)

    def _landed(self, result: Any, served: _Served, ask: bytes | None) -> None:
        self._in_flight -= 1
        self._settle(result, served, ask)
        self._ease()

    def _wait(self, result: Deferred[Any], served: _Served, ask: bytes | None) -> None:
        self._waits.add(result)

        def over(outcome: Any) -> None:
            self._waits.discard(result)
            if not (self._abandoned and isinstance(outcome, Failure) and outcome.check(CancelledError)):
                self._settle(outcome, served, ask)
            self._ease()

        result.addBoth(over)
        if self._abandoned:
            result.cancel()

    def _ease(self) -> None:
        if not self.pending:
            idle, self._idle = self._idle, []
            for deferred in idle:
                deferred.callback(None)
        self._eased()

    def idle(self) -> Deferred[None]:
        """
        Fires when no answer is owed; a new Deferred each time.
        """
        idle: Deferred[None] = Deferred(self._idle.remove)
        if self.pending:
            self._idle.append(idle)
        else:
            idle.callback(None)
        return idle

    def refuse(self, box: Box, reason: str) -> None:
        """
        Answer a box that cannot be understood.
        """
        self._error(box.get(ASK), b"BAD_REQUEST", reason)

    def _answer(self, values: Mapping[str, Any], served: _Served, ask: bytes | None) -> None:
        if ask is None:
            return
        try:
            data = encode(served.command.response.write(values, {ANSWER: ask}))
        except ValueTooLong as error:
            self._fail(
                AnswerTooLong(f"the answer is too long ({error}); ask for less at a time"), served, ask
            )
        except Exception as error:  # noqa: BLE001 - our own mistake, and this call's alone
            self._fail(error, served, ask)
        else:
            self._send(data)

    def _fail(self, error: Exception | Failure, served: _Served, ask: bytes | None) -> None:
        failure = error if isinstance(error, Failure) else Failure(error)
        code, text = served.command.code(failure.type), failure.getErrorMessage()
        if code is None:
            reference = self._new_reference()
            self._log.failure(
                "AMP command {command} of peer {peer} broke, reference {reference}",
                failure,
                command=served.command.name.decode(),
                peer=self.peer,
                reference=reference,
            )
            code, text = b"INTERNAL", f"internal error; the log of the coordinator has it as {reference}"
        self._error(ask, code, text)

    def _error(self, ask: bytes | None, code: bytes, text: str) -> None:
        if ask is not None:
            words = text[:MAX_TEXT].encode("utf-8", "replace")
            self._send(encode({ERROR: ask, CODE: code, TEXT: words}))

    def abandon(self) -> None:
        """
        The peer is gone: nobody waits any more.
        """
        self._abandoned = True
        for wait in list(self._waits):
            wait.cancel()
