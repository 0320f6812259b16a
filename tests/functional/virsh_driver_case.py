# SPDX-License-Identifier: MIT
"""
What tests of the virsh driver share: a hypervisor for the class, a driver of its own for each test.
"""

from __future__ import annotations

import atexit
from collections.abc import Coroutine, Iterable
from functools import cache
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from powercoord.drivers.virsh import VirshDriver, VirshSettings, driver
from powercoord.errors import PowercoordError
from powercoord.model import Command, PowerState, Target
from powercoord.strict import Moment
from tests.functional.libvirt_peer import LibvirtHost
from tests.ipmi_world import FakeOperation

reactor: Any = global_reactor


@cache
def shared_host(module: str = "") -> LibvirtHost:  # noqa: ARG001 - who it is for
    """
    One hypervisor for all tests of a module: it takes a third of a second to start one.
    """
    host = LibvirtHost()
    atexit.register(host.close)
    host.start()
    return host


class VirshDriverCase(TestCase):
    """
    Trial sees whether a test leaves a connection, a child or a timer behind.
    """

    timeout = 60

    def setUp(self) -> None:
        self.host = shared_host(type(self).__module__)
        self.driver: VirshDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def target(self, domain: str, **settings: Any) -> Target:
        """
        A guest of that hypervisor.
        """
        words = {"instance": "session", "socket": self.host.socket, "timeout": Moment(15.0)}
        return self.driver.target(VirshSettings(domain=domain, **{**words, **settings}))

    def operation(self) -> FakeOperation:
        return FakeOperation(reactor.seconds() + 30)

    def read(self, target: Target) -> Coroutine[Any, Any, PowerState]:
        return self.driver.read(target, self.operation())

    def command(self, target: Target, command: Command) -> Coroutine[Any, Any, None]:
        return self.driver.command(target, command, self.operation())

    async def together(self, calls: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """
        All at once.
        """
        results: list[Any] = await gatherResults(
            [Deferred.fromCoroutine(call) for call in calls], consumeErrors=True
        )
        return results

    async def error(self, call: Coroutine[Any, Any, Any]) -> PowercoordError:
        """
        What a call fails with.
        """
        try:
            await call
        except PowercoordError as error:
            return error
        raise AssertionError("it did not fail")

    async def seen(self, target: Target, wanted: PowerState, seconds: float = 10.0) -> float:
        """
        How long it took until a guest was seen like that.
        """
        begun = reactor.seconds()
        while await self.read(target) is not wanted:
            if reactor.seconds() > begun + seconds:
                raise AssertionError(f"{target.selector} is not {wanted.value}")
            await self.wait(0.05)
        return float(reactor.seconds() - begun)

    async def wait(self, seconds: float) -> None:
        await deferLater(reactor, seconds)
