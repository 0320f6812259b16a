# SPDX-License-Identifier: MIT
"""
The rooms of one coordinator, as they are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from secrets import token_bytes, token_hex
from socket import gethostname
from typing import Any

from attrs import define, field
from twisted.internet.endpoints import serverFromString

from powercoord.api.agent import AgentCheck
from powercoord.api.agent_words import Manner
from powercoord.api.dial import RegionDialler
from powercoord.api.http import HttpDoor
from powercoord.api.listen import AmpListener
from powercoord.api.metrics import Metrics
from powercoord.api.reception import Coordinator as Shared
from powercoord.api.reception import Reception
from powercoord.config import Configuration
from powercoord.durable import IHistory, IJournal
from powercoord.installed import Installed
from powercoord.interfaces import IDoor
from powercoord.lifecycle.course import AtDeadline, Companion, StopPlan
from powercoord.lifecycle.drain_file import DrainFile
from powercoord.lifecycle.lifecycle import Lifecycle
from powercoord.lifecycle.makers import WorkMakers
from powercoord.lifecycle.notify import Progress
from powercoord.lifecycle.notify_systemd import Systemd
from powercoord.lifecycle.record import DrainRecord
from powercoord.lifecycle.serving import Coordinator
from powercoord.lifecycle.signals import Signals
from powercoord.registry import Limits, Registry, Sweeping, build_registry
from powercoord.roster import Roster
from powercoord.service_doors import AmpDoor, RegionDoor
from powercoord.service_probe import tcp_probe
from powercoord.service_reload import Reloading


@define(eq=False)
class Around:
    """
    The process around a coordinator.

    :param ended: called once with the exit code, when all is over.
    :param tell: says a line to whoever started the process.
    :param endpoint: makes an endpoint to listen on of a string; None: as Twisted does.
    :param systemd: whom to tell how it goes, if there is one.
    :param read: reads the configuration again; None: signals are not ours.
    :param alive: whether the journal's thread is.
    """

    ended: Callable[[int], None]
    tell: Callable[[str], None]
    endpoint: Callable[[str], Any] | None = None
    systemd: Systemd | None = None
    read: Callable[[], Configuration] | None = None
    alive: Callable[[], bool] = field(default=lambda: True)


@define(eq=False)
class Assembly:
    """
    One coordinator; `coordinator` is what comes of it.
    """

    reactor: Any
    configuration: Configuration
    installed: Installed
    journal: IJournal
    around: Around
    history: IHistory | None
    roster: Roster = field(init=False)
    registry: Registry = field(init=False)
    lifecycle: Lifecycle = field(init=False)
    reception: Reception = field(init=False)
    listener: AmpListener = field(init=False)
    drain_file: DrainFile | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        server = self.configuration.server
        self.roster = self._roster()
        self.registry = self._registry()
        self.lifecycle = self._lifecycle()
        self.reception = self._reception()
        self.listener = AmpListener(
            self.reactor, server.amp, self.reception, server.insecure, self.around.endpoint
        )
        path = server.drain_file
        self.drain_file = None if path is None else DrainFile(self.reactor, Path(path), self.lifecycle)

    def coordinator(self) -> Coordinator:
        """
        The service, and whatever goes along with it.
        """
        server, systemd = self.configuration.server, self.around.systemd
        plan = StopPlan(
            grace=float(server.graceful_shutdown_timeout),
            lameduck=server.lameduck_seconds(),
            at_deadline=AtDeadline(server.drain_timeout_action.value),
            # Behind a load balancer callers find another coordinator at once, and both would do it.
            put_off=not server.agent,
        )
        companions = []
        if systemd is not None:
            companions.append(Companion("what systemd is told", partial(self._follow, systemd), systemd.stop))
        if self.drain_file is not None:
            companions.append(Companion("the drain file", self.drain_file.start, self.drain_file.stop))
        return Coordinator(
            self.reactor,
            self.lifecycle,
            self.registry,
            self._doors(),
            tuple(self.installed.drivers.values()),
            self.journal,
            plan,
            self.around.ended,
            self.around.tell,
            signals=self._signals(),
            companions=companions,
        )

    def _roster(self) -> Roster:
        return Roster(
            self.configuration.nodes,
            self.installed.drivers,
            defaults=self.configuration.defaults,
            max_adopted=int(self.configuration.server.max_adopted),
            in_use=lambda name: self.registry.is_busy(name) or bool(self.registry.holds.of(name)),
        )

    def _registry(self) -> Registry:
        # Unlike a counter alone, ids of two runs can not be mistaken for each other.
        instance, numbers = token_hex(3), count(1)
        random = Random()  # noqa: S311 - spreads retries, guards nothing
        return build_registry(
            clock=self.reactor,
            now=_now,
            new_id=lambda: f"{instance}-{next(numbers)}",
            jitter=lambda pause: pause * random.uniform(0.8, 1.2),
            roster=self.roster,
            drivers=self.installed.drivers,
            journal=self.journal,
            history=self.history,
            limits=_limits(self.configuration, self.installed),
            probe=partial(tcp_probe, self.reactor),
        )

    def _lifecycle(self) -> Lifecycle:
        server, makers = self.configuration.server, WorkMakers()
        makers.add("drift", self.registry.wants.resume, self.registry.wants.pause)
        self.registry.sweep.configure(_sweeping(self.configuration))
        makers.add("sweep", self.registry.sweep.start, self.registry.sweep.pause)
        makers.add("tries of parked endpoints", self.registry.breakers.resume, self.registry.breakers.pause)
        record = DrainRecord(Path(server.state_dir) / "drain")
        return Lifecycle(
            self.reactor, _now, self.registry, record, makers, drain_file=server.drain_file is not None
        )

    def _reception(self) -> Reception:
        return Reception(
            Shared(
                registry=self.registry,
                drivers=self.installed.drivers,
                broken=self.installed.broken,
                origins=self.installed.origins,
                clock=self.reactor,
                ident=gethostname(),
                new_id=lambda: token_hex(8),
                random=token_bytes,
                secret=_bytes(self.configuration.server.secret),
                history=self.history,
                lifecycle=self.lifecycle,
            )
        )

    def _doors(self) -> Sequence[IDoor]:
        """
        Those who only tell how it goes open first and close last.
        """
        server, region = self.configuration.server, self.configuration.region
        doors: list[IDoor] = []
        if server.agent:
            doors.append(self._agent())
        if server.http:
            doors.append(self._http())
        doors.append(
            AmpDoor(self.listener, self.reception, f"AMP at {', '.join(server.amp) or 'no endpoint'}")
        )
        if region.connect:
            jitter = Random().random  # noqa: S311 - spreads attempts, guards nothing
            dialler = RegionDialler(
                self.reactor, region.connect, self.reception, _bytes(region.secret), jitter
            )
            doors.append(RegionDoor(dialler, f"region at {', '.join(region.connect)}"))
        return doors

    def _agent(self) -> IDoor:
        server, drain_file = self.configuration.server, self.drain_file
        manner = Manner(
            shared=server.agent_shared,
            hold=server.agent_hold,
            maintenance=lambda: drain_file is not None and drain_file.maintenance,
        )
        return AgentCheck(
            self.reactor,
            server.agent,
            self.lifecycle,
            manner,
            allow=server.agent_allow,
            endpoint=self._server_from_string,
        )

    def _http(self) -> IDoor:
        wants = self.registry.wants
        metrics = Metrics(
            self.registry,
            self.lifecycle,
            lambda: len(wants.drifting()),
            self.registry.sweep,
            self.registry.breakers.causes,
            self.registry.crowds,
        )
        self.registry.subscribe(metrics.published)
        server = self.configuration.server
        return HttpDoor(
            self.reactor,
            server.http,
            self.registry,
            self.lifecycle,
            metrics,
            server.insecure,
            self._server_from_string,
        )

    def _server_from_string(self, reactor: Any, text: str) -> Any:
        endpoint = self.around.endpoint
        return serverFromString(reactor, text) if endpoint is None else endpoint(text)

    def _signals(self) -> Signals | None:
        if self.around.read is None:
            return None
        reloading = Reloading(
            self.reactor, self.configuration, self.around.read, self._prepare, self._tell_of_reload
        )
        return Signals(self.reactor, self.lifecycle, reloading)

    def _prepare(self, new: Configuration) -> Callable[[], None]:
        """
        What takes another configuration; the roster refuses last, for it changes in doing so.
        """
        use_certificates = self.listener.prepare_certificates()
        self.roster.replace(new.nodes, new.defaults)

        def take() -> None:
            use_certificates()
            limits = _limits(new, self.installed)
            self.registry.limit(limits.fleet, limits.groups, limits.endpoints, limits.gaps, limits.weights)
            self.registry.breakers.rules = limits.parking
            self.registry.breakers.reconsider()
            self.registry.wants.reconsider()
            self.registry.sweep.configure(_sweeping(new))

        return take

    def _tell_of_reload(self, begins: bool) -> None:
        systemd = self.around.systemd
        if systemd is not None:
            (systemd.reloading if begins else systemd.reloaded)()

    def _follow(self, systemd: Systemd) -> None:
        progress = Progress()
        self.registry.subscribe(progress.published)
        systemd.start(self.lifecycle, lambda: progress.count, self.around.alive)


def _limits(configuration: Configuration, installed: Installed) -> Limits:
    return Limits(
        fleet=configuration.fleet,
        groups=configuration.groups,
        endpoints={name: configuration.endpoint_limit_of(name) for name in installed.drivers},
        gaps={name: configuration.endpoint_gap_of(name) for name in installed.drivers},
        parking=configuration.parking,
        weights=configuration.weights,
    )


def _sweeping(configuration: Configuration) -> Sweeping:
    sweep = configuration.sweep
    return Sweeping(interval=sweep.interval, fast=sweep.fast, concurrency=sweep.concurrency)


def _now() -> datetime:
    return datetime.now(UTC)


def _bytes(secret: str | None) -> bytes | None:
    return None if secret is None else secret.encode()
