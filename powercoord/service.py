# SPDX-License-Identifier: MIT
"""
Where the rooms are put together, for twistd and for tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from random import Random
from secrets import token_bytes, token_hex
from socket import gethostname
from typing import Any

from attrs import define
from twisted.python import usage
from zope.interface import implementer

from powercoord.api.dial import RegionDialler
from powercoord.api.listen import AmpListener
from powercoord.api.reception import Coordinator as Shared
from powercoord.api.reception import Reception
from powercoord.config import DEFAULT, ConfigMistakes, Configuration, load
from powercoord.durable import IJournal
from powercoord.installed import Installed, find_drivers
from powercoord.interfaces import IDoor, IPowerDriver
from powercoord.journal import NullJournal
from powercoord.lifecycle import Coordinator
from powercoord.lifecycle.exiting import EX_CONFIG, EX_UNAVAILABLE, exit_with
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster


class Options(usage.Options):
    """
    ``twistd powercoord``.
    """

    optParameters = [
        ["config", "c", DEFAULT, "The configuration file."],
    ]


def makeService(options: Options) -> Coordinator:
    """
    The service that ``twistd powercoord --config FILE`` runs.

    Mistakes in the configuration are told on standard error, a line each,
    and end the process with 78 before anything has begun.
    """
    from twisted.internet import reactor

    installed = find_drivers(reactor)
    try:
        configuration = load(options["config"], installed.drivers, installed.broken)
    except ConfigMistakes as mistakes:
        _tell(str(mistakes))
        raise SystemExit(EX_CONFIG) from None
    for warning in configuration.warnings:
        _tell(f"warning: {warning}")
    return build(reactor, configuration, installed, NullJournal(), _end(reactor))


@implementer(IDoor)
@define(eq=False)
class AmpDoor:
    """
    Callers that connect to us.
    """

    _listener: AmpListener
    _reception: Reception
    name: str

    async def open(self) -> None:
        """
        Listen on every endpoint, or on none.
        """
        await self._listener.listen()

    async def stop_accepting(self) -> None:
        """
        Take no new connections.
        """
        await self._listener.stop_accepting()

    async def close(self) -> None:
        """
        Answer what is owed, say goodbye, and part from every peer.
        """
        await self._reception.close("it is stopping")


@implementer(IDoor)
@define(eq=False)
class RegionDoor:
    """
    Region controllers to which we connect.
    """

    _dialler: RegionDialler
    name: str

    async def open(self) -> None:
        """
        Begin to dial; a region that is away is no reason not to serve others.
        """
        self._dialler.startService()

    async def stop_accepting(self) -> None:
        """
        Dial no more.
        """
        await self._dialler.stopService()

    async def close(self) -> None:
        """
        The connections are parted from with all others.
        """


def build(
    reactor: Any,
    configuration: Configuration,
    installed: Installed,
    journal: IJournal,
    cannot_serve: Callable[[str], None],
) -> Coordinator:
    """
    A coordinator for a configuration; nothing is opened before it is started.

    :param cannot_serve: called with the reason when a door cannot be opened.
    """
    registry = _registry(reactor, configuration, installed.drivers, journal)
    return Coordinator(
        reactor,
        registry,
        _doors(reactor, configuration, registry, installed.drivers),
        tuple(installed.drivers.values()),
        journal,
        float(configuration.server.graceful_shutdown_timeout),
        cannot_serve,
    )


def _registry(
    reactor: Any, configuration: Configuration, drivers: Mapping[str, IPowerDriver], journal: IJournal
) -> Registry:
    roster = Roster(
        configuration.nodes,
        drivers,
        defaults=configuration.defaults,
        max_adopted=int(configuration.server.max_adopted),
        in_use=lambda name: registry.is_busy(name),  # noqa: PLW0108 - there is no registry yet
    )
    # Unlike a counter alone, ids of two runs can not be mistaken for each other.
    instance, numbers = token_hex(3), count(1)
    random = Random()  # noqa: S311 - spreads retries, guards nothing
    registry = build_registry(
        clock=reactor,
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"{instance}-{next(numbers)}",
        jitter=lambda pause: pause * random.uniform(0.8, 1.2),
        roster=roster,
        drivers=drivers,
        journal=journal,
        limits=Limits(
            fleet=configuration.fleet,
            groups=configuration.groups,
            endpoints={name: configuration.endpoint_limit_of(name) for name in drivers},
        ),
    )
    return registry


def _doors(
    reactor: Any, configuration: Configuration, registry: Registry, drivers: Mapping[str, IPowerDriver]
) -> list[IDoor]:
    server, region = configuration.server, configuration.region
    shared = Shared(
        registry=registry,
        drivers=drivers,
        clock=reactor,
        ident=gethostname(),
        new_id=lambda: token_hex(8),
        random=token_bytes,
        secret=_bytes(server.secret),
    )
    reception = Reception(shared)
    listener = AmpListener(reactor, server.amp, reception, server.insecure)
    doors: list[IDoor] = [AmpDoor(listener, reception, f"AMP at {', '.join(server.amp) or 'no endpoint'}")]
    if region.connect:
        jitter = Random().random  # noqa: S311 - spreads attempts, guards nothing
        dialler = RegionDialler(reactor, region.connect, reception, _bytes(region.secret), jitter)
        doors.append(RegionDoor(dialler, f"region at {', '.join(region.connect)}"))
    return doors


def _bytes(secret: str | None) -> bytes | None:
    return None if secret is None else secret.encode()


def _end(reactor: Any) -> Callable[[str], None]:
    """
    End the process when it can serve nobody; twistd would run on without a door.
    """

    def end(reason: str) -> None:
        _tell(reason)
        exit_with(EX_UNAVAILABLE)
        # A port that is taken is known before the reactor runs, and it cannot be stopped before.
        reactor.callWhenRunning(reactor.stop)

    return end


def _tell(text: str) -> None:
    """
    Say it where whoever started the process looks; the log may be elsewhere.
    """
    sys.stderr.write("".join(f"powercoord: {line}\n" for line in text.splitlines()))
