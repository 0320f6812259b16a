# SPDX-License-Identifier: MIT
"""
Taking another configuration while everything goes on.

Nodes, limits, times and certificates are replaced; no action and no connection
is touched: what is in play ends with the node that it began with.  All of it
is taken, or, if anything is wrong with it, nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.config import Configuration, compare
from powercoord.errors import ConfigError

_log = Logger(namespace="powercoord.reload")


@define(eq=False)
class Reloading:
    """
    Reads the configuration again, one time after the other.

    :param read: reads the file; called in a thread, because a large one takes
        a while.
    :param prepare: looks whether a configuration can be taken, and returns
        what takes it; raises `ConfigError` if it cannot.
    :param told: is called before and after, with whether it goes on.
    """

    _reactor: Any
    current: Configuration
    _read: Callable[[], Configuration]
    _prepare: Callable[[Configuration], Callable[[], None]]
    _told: Callable[[bool], None] = lambda _: None
    _busy: bool = field(default=False, init=False)
    _again: bool = field(default=False, init=False)

    def __call__(self) -> None:
        """
        Read it again, soon; asked for while it is being read, once more after that.
        """
        self._again = True
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work()).addErrback(_log_fault)

    async def _work(self) -> None:
        self._told(True)
        try:
            while self._again:
                self._again = False
                await self._once()
        finally:
            self._busy = False
            self._told(False)

    async def _once(self) -> None:
        try:
            new = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._read)
            take = self._prepare(new)
        except ConfigError as error:
            for line in str(error).splitlines():
                _log.error("not reloaded, all stays as it was: {line}", line=line)
            return
        take()
        changes, self.current = compare(self.current, new), new
        for warning in new.warnings:
            _log.warn("{warning}", warning=warning)
        for line in changes.lines() if changes else ("nothing has changed",):
            _log.info("reloaded the configuration; {line}", line=line)


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while reloading the configuration", failure)
