# SPDX-License-Identifier: MIT
"""
What a command needs to do its work, and who provides it.

A command is a coroutine over a `World`: a connected client, a clock, a screen.
Here the world is real; tests bring another.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import evolve, field, frozen

from powercoord.cli.screen import Screen

if TYPE_CHECKING:  # at run time it would import Twisted
    from twisted.internet.interfaces import IReactorTime

    from powercoord.client import Client
    from powercoord.interfaces import IPowerDriver

T = TypeVar("T")


def _nowhere(endpoint: str) -> Client:
    raise NotImplementedError(endpoint)


@frozen
class World:
    """
    Everything around a command.

    :param reach: a client of another coordinator, not connected yet.
    """

    client: Client
    clock: IReactorTime
    screen: Screen
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    reach: Callable[[str], Client] = _nowhere


Work = Callable[[World], Coroutine[Any, Any, int]]


class Session(Protocol):
    """
    The way from the command line to a coordinator.
    """

    def using(self, connect: str | None, config: str | None) -> Session:
        """
        This session with the global options.
        """

    @property
    def config(self) -> str | None:
        """
        The configuration file that was named.
        """

    def drivers(self) -> tuple[Mapping[str, IPowerDriver], Mapping[str, str]]:
        """
        The drivers that are installed here, and why others do not work.
        """

    def run(self, work: Work, screen: Screen, requester: str | None = None) -> int:
        """
        Connect, do the work, disconnect; returns its exit code.

        Ctrl-C cancels what the work waits for.
        """

    def locally(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """
        Do work that needs no coordinator; returns its exit code.
        """


@frozen
class RealSession:
    """
    The coordinator that listens where the options say, or at the local socket.
    """

    connect: str | None = None
    config: str | None = None
    environment: dict[str, str] = field(factory=lambda: dict(os.environ), repr=False)

    def using(self, connect: str | None, config: str | None) -> RealSession:
        return evolve(self, connect=connect, config=config)

    def drivers(self) -> tuple[Mapping[str, IPowerDriver], Mapping[str, str]]:
        from twisted.internet import reactor

        from powercoord.installed import find_drivers

        installed = find_drivers(reactor)
        return installed.drivers, installed.broken

    def run(self, work: Work, screen: Screen, requester: str | None = None) -> int:
        from powercoord.cli.calling import call

        return call(work, screen, requester or login(), self.connect, self.config)

    def locally(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        from twisted.internet import reactor

        from powercoord.cli.calling import run

        return run(work, reactor)


def login() -> str:
    """
    Who sits at the keyboard, as far as the system knows.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
