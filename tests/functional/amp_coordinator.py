# SPDX-License-Identifier: MIT
"""
A coordinator over fake machines on real sockets.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from powercoord.api.limits import Limits
from powercoord.api.listen import AmpListener
from powercoord.api.reception import Coordinator, Reception
from powercoord.registry import Registry, build_registry
from powercoord.testing.driver import FakeDriver
from tests.registry.world import FixedRoster, ListJournal, World


@define(eq=False)
class RealCoordinator:
    """
    Listens on a local socket and on the loopback interface.
    """

    reactor: Any
    count: int = 50
    limits: Limits = field(factory=Limits)
    secret: bytes | None = None
    folder: Path = field(init=False)
    driver: FakeDriver = field(init=False)
    drivers: dict[str, Any] = field(init=False)
    registry: Registry = field(init=False)
    reception: Reception = field(init=False)
    listener: AmpListener = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amp-"))
        self.driver = FakeDriver(self.reactor)
        self.drivers = {"fake": self.driver}
        world = World(0)
        world.driver = self.driver
        ids = count(1)
        self.registry = build_registry(
            clock=self.reactor,
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"a{next(ids)}",
            jitter=lambda pause: pause,
            roster=FixedRoster({name: world.node(name) for name in self.names()}),
            drivers=self.drivers,
            journal=ListJournal(),
        )
        self.reception = Reception(
            Coordinator(
                registry=self.registry,
                drivers=self.drivers,
                clock=self.reactor,
                ident="rack1",
                new_id=lambda: f"id{next(ids)}",
                random=os.urandom,
                limits=self.limits,
                secret=self.secret,
            )
        )
        endpoints = (f"unix:{self.socket}", "tcp:0:interface=127.0.0.1")
        self.listener = AmpListener(self.reactor, endpoints, self.reception)

    def names(self) -> list[str]:
        """
        The nodes' names.
        """
        return [f"n{number}" for number in range(1, self.count + 1)]

    @property
    def socket(self) -> str:
        """
        Where the local socket is.
        """
        return str(self.folder / "amp.sock")

    @property
    def port(self) -> int:
        """
        The port on the loopback interface.
        """
        host: Any = self.listener.ports[1].getHost()
        return int(host.port)
