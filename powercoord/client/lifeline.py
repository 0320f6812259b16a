# SPDX-License-Identifier: MIT
"""
The connection that a client has, or waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from powercoord.api.boxes import ValueTooLong
from powercoord.api.calls import CallFailed, LinkLost
from powercoord.client.errors import CallTimeout, ClientClosed, error_of
from powercoord.client.line import Line
from powercoord.errors import BadRequest, Draining


@define(eq=False)
class Lifeline:
    """
    Gives the usable line to whoever wants to call, as soon as there is one.

    :param name: what errors call the coordinator.
    """

    name: str
    _clock: IReactorTime
    line: Line | None = field(default=None, init=False)
    closed: bool = field(default=False, init=False)
    trouble: str = field(default="not connected yet", init=False)
    _waiting: list[Deferred[Line]] = field(factory=list, init=False)
    _on_ready: list[Callable[[Line], None]] = field(factory=list, init=False)
    _log: Logger = field(factory=Logger)

    def on_ready(self, callback: Callable[[Line], None]) -> None:
        """
        Tell every new line, before anybody else may call on it.
        """
        self._on_ready.append(callback)

    def attach(self, line: Line) -> None:
        """
        Use a line from now on.
        """
        old, self.line = self.line, line
        if old is not None:
            old.link.close()
        line.link.when_lost(lambda reason: self._lost(line, reason))
        for callback in self._on_ready:
            callback(line)
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(line)

    def close(self) -> Deferred[None]:
        """
        Use none any more; fires when the last is gone.
        """
        self.closed = True
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.errback(self._refusal())
        gone: Deferred[None] = Deferred()
        if self.line is None:
            return succeed(None)
        self.line.link.when_lost(lambda _: gone.callback(None))
        self.line.link.close()
        return gone

    async def usable(self) -> Line:
        """
        The line, or the next one.
        """
        if self.closed:
            raise self._refusal()
        if self.line is not None and self.line.usable:
            return self.line
        waiting: Deferred[Line] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return await waiting

    def call(self, patience: float | None, command: type[Command], **values: Any) -> Deferred[dict[str, Any]]:
        """
        Call, and call again on the next line if this one is lost first.

        :param patience: None: without end.
        """
        calling = Deferred.fromCoroutine(self._call(command, values))
        return calling if patience is None else self.within(patience, calling, command.commandName.decode())

    def within(self, patience: float, deferred: Deferred[Any], what: str) -> Deferred[Any]:
        """
        Let a Deferred fail with `CallTimeout` when it takes too long.
        """

        def late(result: Any, limit: float) -> Any:
            if not isinstance(result, Failure):
                return result
            connected = self.line is not None and self.line.usable
            why = "" if connected else f" ({self.trouble})"
            raise CallTimeout(f"{what}: no answer from {self.name} within {limit:g} s{why}")

        return deferred.addTimeout(patience, self._clock, late)

    async def _call(self, command: type[Command], values: dict[str, Any]) -> dict[str, Any]:
        while True:
            line = await self.usable()
            try:
                return await line.link.call(command, **values)
            except LinkLost as error:
                self.trouble = str(error)
            except ValueTooLong as error:
                raise BadRequest(str(error)) from None
            except CallFailed as error:
                failed = error_of(error.code, error.text)
                if not (line.retired and isinstance(failed, Draining)):
                    raise failed from None

    def _lost(self, line: Line, reason: str) -> None:
        self.trouble = f"the connection was lost: {reason}"
        if self.line is line:
            self.line = None

    def _refusal(self) -> ClientClosed:
        return ClientClosed(f"the client of {self.name} was closed")
