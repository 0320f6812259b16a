# SPDX-License-Identifier: MIT
"""
The IPMI driver on a virtual clock, between a fake coordinator and BMCs in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.drivers.ipmi import IpmiDriver, IpmiSettings
from powercoord.drivers.ipmi.address import Peer
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.fleet import Bounds, Fleet
from powercoord.drivers.ipmi.resolve import Resolver
from powercoord.interfaces import IOperation
from powercoord.model import Boot, BootDevice, Command, PowerState, Target
from tests.ipmi_bmc import ScriptedBmc

T = TypeVar("T")
ADDRESS = "192.0.2.1"
PEER = (ADDRESS, 623)
STEP = 0.01


@implementer(IOperation)
@define(eq=False)
class FakeOperation:
    """
    One operation, as the coordinator holds it.
    """

    deadline: float
    cancelled: bool = False
    announced: int = 0
    on_sending: Callable[[], None] = lambda: None
    _callbacks: list[Callable[[], None]] = field(factory=list)

    def sending(self) -> None:
        self.announced += 1
        self.on_sending()

    def when_cancelled(self, callback: Callable[[], None]) -> None:
        if self.cancelled:
            callback()
        else:
            self._callbacks.append(callback)

    def cancel(self) -> None:
        """
        The polite way.
        """
        self.cancelled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


@define(eq=False)
class Outcome:
    """
    What became of an operation so far.
    """

    call: Deferred[Any]
    results: list[Any] = field(factory=list)

    @classmethod
    def of(cls, call: Deferred[Any]) -> Outcome:
        outcome = cls(call)
        call.addBoth(outcome.results.append)
        return outcome

    @property
    def over(self) -> bool:
        return bool(self.results)

    @property
    def result(self) -> Any:
        """
        What it returned; raises what it failed with.
        """
        (result,) = self.results
        if isinstance(result, Failure):
            result.raiseException()
        return result

    @property
    def error(self) -> Any:
        (result,) = self.results
        assert isinstance(result, Failure), result
        return result.value


@define(eq=False)
class World:
    """
    Everything that a test needs.

    :ivar latency: from the driver to a BMC and back.
    :ivar sent: datagrams by the second in which they left.
    :ivar answered: all that BMCs said, before the network lost some of it.
    :ivar full: the kernel takes nothing.
    """

    clock: Clock = field(factory=Clock)
    bmcs: dict[Peer, ScriptedBmc] = field(factory=dict)
    bounds: Bounds = field(factory=Bounds)
    latency: float = 0.02
    sent: list[tuple[float, bytes]] = field(factory=list)
    answered: list[bytes] = field(factory=list)
    full: bool = False
    error: OSError | None = None
    operations: list[FakeOperation] = field(factory=list)
    sockets: int = 0
    closed_sockets: int = 0
    names: FakeNames = field(init=False)
    fleet: Fleet = field(init=False)
    driver: IpmiDriver = field(init=False)
    _drawn: int = 0

    def __attrs_post_init__(self) -> None:
        self.clock.advance(1000)
        self.fleet = Fleet(
            clock=self.clock, listen=self._listen, entropy=Entropy(self._random), bounds=self.bounds
        )
        self.names = FakeNames()
        self.driver = IpmiDriver(self.clock, self.fleet, Resolver(self.clock, lambda: self.names))

    def bmc(self, address: str = ADDRESS, **how: Any) -> ScriptedBmc:
        """
        One more BMC.
        """
        bmc = self.bmcs[(address, 623)] = ScriptedBmc(**how)
        return bmc

    def target(self, **settings: Any) -> Target:
        login = {"address": ADDRESS, "username": "admin", "password": "secret"}
        return self.driver.target(IpmiSettings(**{**login, **settings}))

    def operation(self, seconds: float = 60.0) -> FakeOperation:
        operation = FakeOperation(self.clock.seconds() + seconds)
        self.operations.append(operation)
        return operation

    def read(self, target: Target | None = None, seconds: float = 60.0) -> Outcome:
        call = self.driver.read(target or self.target(), self.operation(seconds))
        return Outcome.of(Deferred.fromCoroutine(call))

    def command(self, command: Command, target: Target | None = None, seconds: float = 60.0) -> Outcome:
        call = self.driver.command(target or self.target(), command, self.operation(seconds))
        return Outcome.of(Deferred.fromCoroutine(call))

    def set_boot(self, boot: Boot | BootDevice, target: Target | None = None) -> Outcome:
        boot = Boot(boot) if isinstance(boot, BootDevice) else boot
        call = self.driver.set_boot(target or self.target(), boot, self.operation())
        return Outcome.of(Deferred.fromCoroutine(call))

    def state(self, **settings: Any) -> PowerState:
        """
        Read to the end.
        """
        result: PowerState = self.finish(self.read(self.target(**settings))).result
        return result

    def finish(self, outcome: Outcome, limit: float = 120.0) -> Outcome:
        """
        Let time pass until it is over.
        """
        end = self.clock.seconds() + limit
        while not outcome.over:
            if self.clock.seconds() > end:
                raise AssertionError(f"not over after {limit} s")
            self.clock.advance(STEP)
        return outcome

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)

    def close(self) -> Outcome:
        return Outcome.of(Deferred.fromCoroutine(self.driver.close()))

    def send(self, datagram: bytes, peer: Peer) -> bool:
        """
        The kernel.
        """
        if self.error is not None:
            raise self.error
        if self.full:
            return False
        self.sent.append((self.clock.seconds(), datagram))
        bmc = self.bmcs.get(peer)
        for answer in bmc.answer(datagram) if bmc else []:
            self.answered.append(answer)
            self.clock.callLater(self.latency, self.fleet.received, answer, peer)
        return True

    def _listen(self, fleet: Fleet, family: int) -> _Sender:
        self.sockets += 1
        return _Sender(self)

    def _random(self, count: int) -> bytes:
        self._drawn += 1
        return bytes((self._drawn * 31 + at * 7) & 0xFF for at in range(count))


@define
class _Sender:
    world: World

    def send(self, datagram: bytes, peer: Peer) -> bool:
        return self.world.send(datagram, peer)

    def close(self) -> None:
        self.world.closed_sockets += 1


@implementer(IHostnameResolver)
@define(eq=False)
class FakeNames:
    """
    A name service that answers when the test says so.
    """

    asked: list[tuple[str, Any]] = field(factory=list)

    def resolveHostName(  # noqa: N802 - the reactor's name
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        *_: Any,
        **__: Any,
    ) -> Any:
        resolutionReceiver.resolutionBegan(None)
        self.asked.append((hostName, resolutionReceiver))

    def answer(self, *addresses: Any) -> None:
        _, receiver = self.asked.pop(0)
        for address in addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()
