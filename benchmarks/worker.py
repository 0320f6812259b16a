# SPDX-License-Identifier: MIT
"""
A process of its own for what is measured, so that its CPU and memory are nobody else's.

It takes orders on standard input and answers on standard output, a line of JSON each, one at a time
(`benchmarks.child` is the other end), and ends when its input does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from cProfile import Profile
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

Order = Callable[..., Coroutine[Any, Any, Mapping[str, Any]]]

#: Names the file that a worker writes its profile to.
PROFILE = "POWERCOORD_BENCHMARK_PROFILE"


@define(eq=False, slots=False)
class _Orders(LineReceiver):
    """
    Standard input and output.
    """

    reactor: Any
    orders: Mapping[str, Order]
    profile: Profile | None
    delimiter = b"\n"
    MAX_LENGTH = 1 << 24
    _busy: bool = field(default=False, init=False)

    def lineReceived(self, line: bytes) -> None:
        order = json.loads(line)
        if self.profile is not None:
            self.profile.enable()
        done = Deferred.fromCoroutine(self.orders[order.pop("order")](**order))
        done.addBoth(self._answer)

    def _answer(self, result: Any) -> None:
        if self.profile is not None:
            self.profile.disable()
        if isinstance(result, Failure):
            sys.stderr.write(result.getTraceback())
            result = {"failed": result.getErrorMessage()}
        self.sendLine(json.dumps(result).encode())

    def connectionLost(self, reason: object = None) -> None:
        if self.reactor.running:
            self.reactor.stop()


def obey(orders: Callable[[Any], Mapping[str, Order]]) -> None:
    """
    Carry out orders until there are no more.

    :param orders: makes them, given the reactor.
    """
    from twisted.internet import reactor

    warnings = LogLevelFilterPredicate(LogLevel.warn)
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [warnings])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    path = os.environ.get(PROFILE)
    profile = Profile() if path else None
    StandardIO(_Orders(reactor, orders(reactor), profile), reactor=reactor)
    reactor.run()
    if profile is not None and path:
        profile.dump_stats(Path(path))
