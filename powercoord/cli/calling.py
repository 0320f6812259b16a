# SPDX-License-Identifier: MIT
"""
Run a command's work under the reactor, with a client that is connected.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from powercoord.cli.screen import Screen
from powercoord.cli.session import Work, World
from powercoord.cli.where import Where, where
from powercoord.client import Client, Patience
from powercoord.errors import BadRequest

T = TypeVar("T")
_SHORT = Patience(connect=5.0, call=5.0)


def call(work: Work, screen: Screen, requester: str, connect: str | None, config: str | None) -> int:
    """
    Do the work with the coordinator that is meant.

    :raises PowercoordError: it could not be reached, or refused.
    """
    from twisted.internet import reactor

    place = where(connect, config)

    def another(endpoint: str) -> Client:
        return _client(reactor, evolve(place, endpoint=endpoint), requester, patience=_SHORT)

    async def working() -> int:
        client = _client(reactor, place, requester)
        try:
            await client.connect()
            return await work(World(client, reactor, screen, reach=another))
        finally:
            await client.close()

    return run(working, reactor)


def run(main: Callable[[], Coroutine[Any, Any, T]], reactor: Any) -> T:
    """
    Run a coroutine to its end; Ctrl-C cancels it, a second one ends the process.
    """
    ended: list[T | Failure] = []

    def start() -> None:
        running = Deferred.fromCoroutine(main())
        _on_interrupt(running, reactor)
        running.addBoth(ended.append)
        running.addCallback(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not ended:
        raise KeyboardInterrupt
    if isinstance(ended[0], Failure):
        _raise(ended[0])
    return ended[0]


def _raise(failure: Failure) -> NoReturn:
    if failure.check(CancelledError):
        raise KeyboardInterrupt
    failure.raiseException()


def _on_interrupt(running: Deferred[Any], reactor: Any) -> None:
    def interrupted(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        reactor.callFromThread(running.cancel)

    signal.signal(signal.SIGINT, interrupted)


def _client(reactor: Any, place: Where, requester: str, **options: Any) -> Client:
    secret = None if place.secret is None else place.secret.encode()
    try:
        return Client.from_string(reactor, place.endpoint, requester=requester, secret=secret, **options)
    except ValueError as error:
        raise BadRequest(str(error)) from None
