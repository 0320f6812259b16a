# SPDX-License-Identifier: MIT
"""
A driver whose machines are values in memory, on a clock that a test turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from attrs import Factory, define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState, Target
from powercoord.settings import Scope, setting


class Fault(Enum):
    """
    How the next operation of a machine's BMC goes wrong.

    ``LOST_REQUEST``: it never arrives.  ``LOST_ANSWER``: it takes effect, and
    the answer is lost.  ``STUCK``: accepted, and nothing happens.  ``LATE``:
    the answer is lost and the effect comes long after.  ``DEAF``: a driver
    that ignores both its deadline and a polite cancel.  ``BROKEN``, ``QUITTER``
    and ``DROPPED``: one that raises what no driver may, each in its own way.
    """

    LOST_REQUEST = "lost request"
    LOST_ANSWER = "lost answer"
    STUCK = "stuck"
    LATE = "late"
    BUSY = "busy"
    REFUSED = "refused"
    WRONG_PASSWORD = "wrong password"
    DEAF = "deaf"
    BROKEN = "broken"
    QUITTER = "quitter"
    DROPPED = "dropped"


@frozen(kw_only=True)
class FakeSettings:
    """
    Which machine it is.
    """

    address: str = setting("Address")
    outlet: str = setting("Outlet", default="", scope=Scope.NODE)
    password: str = setting("Password", default="", secret=True)


@define(eq=False)
class FakeMachine:
    """
    One machine: what it is, what it will be, and what was asked of it.

    :param latency: seconds from a command to its effect.
    :param obeys_soft: whether its operating system listens.
    :param faults: what goes wrong with the next commands, in order.
    :param read_faults: the same for the next reads.
    """

    on: bool = False
    latency: float = 0.0
    obeys_soft: bool = True
    faults: list[Fault] = field(factory=list)
    read_faults: list[Fault] = field(factory=list)
    commands: list[tuple[float, str]] = field(factory=list)
    reads: int = 0
    mutating: int = 0
    coming: IDelayedCall | None = None


def _everything() -> Capabilities:
    return Capabilities(frozenset(Command), frozenset(BootDevice))


@implementer(IPowerDriver)
@define(eq=False)
class FakeDriver:
    """
    Machines by "address/outlet", made when they are first spoken to.

    :param round_trip: seconds that each operation takes on the wire.
    :param timeout: after which an operation without an answer fails.
    :param late_by: how much longer than others a ``LATE`` effect takes.
    :param overlaps: endpoints where two changes reached one machine at once.
    :param busiest: the most operations at once there ever were, by endpoint.
    """

    clock: IReactorTime
    round_trip: float = 0.01
    timeout: float = 2.0
    name: str = "fake"
    title: str = "Simulated in memory"
    settings: type = FakeSettings
    capabilities: Capabilities = Factory(_everything)
    machines: dict[str, FakeMachine] = field(factory=dict)
    late_by: float = 3.0
    closed: bool = field(default=False, init=False)
    overlaps: list[str] = field(factory=list, init=False)
    busiest: dict[str, int] = field(factory=dict, init=False)
    _talking: Counter[str] = field(factory=Counter, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    def machine(self, name: str) -> FakeMachine:
        """
        The machine of that "address/outlet".
        """
        return self.machines.setdefault(name, FakeMachine())

    def target(self, settings: FakeSettings) -> Target:
        """
        Its endpoint is the address, its selector the outlet.
        """
        return Target(self.name, f"fake:{settings.address}", settings.outlet, settings)

    def from_context(self, context: Mapping[str, Any]) -> FakeSettings:
        """
        ``power_address``, ``power_pass`` and ``outlet``.
        """
        address = context.get("power_address")
        if not address:
            raise PowerSettingError("power_address is missing")
        outlet, password = str(context.get("outlet", "")), str(context.get("power_pass", ""))
        return FakeSettings(address=str(address), outlet=outlet, password=password)

    def worst_case(self, settings: FakeSettings, command: Command | None) -> float:
        """
        The way there and back, and the timeout.
        """
        return self.round_trip + self.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        None.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        What the machine is at the moment of the answer.
        """
        machine = self._machine(target)
        fault = machine.read_faults.pop(0) if machine.read_faults else None
        machine.reads += 1
        with self._talk(target):
            if fault is Fault.DEAF:
                await Deferred(lambda _: None)
            if fault in (Fault.LOST_REQUEST, Fault.LOST_ANSWER):
                await self._silence(operation)
            await self._sleep(self.round_trip, operation)
            _raise(fault)
            return PowerState.ON if machine.on else PowerState.OFF

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        Takes effect ``latency`` after half a round trip, faults allowing.
        """
        await self._change(target, command.value, operation, self._effect(self._machine(target), command))

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        Noted among the commands.
        """
        await self._change(target, f"boot {boot.device.value}", operation, None)

    async def close(self) -> None:
        """
        End what is under way; whatever is asked afterwards fails.
        """
        self.closed = True
        for waiting in tuple(self._waiting):
            waiting.errback(PowerConnError("the driver was closed"))

    def _machine(self, target: Target) -> FakeMachine:
        settings = target.settings
        if not isinstance(settings, FakeSettings):
            raise PowerSettingError("not settings of this driver")
        return self.machine(f"{settings.address}/{settings.outlet}")

    async def _change(
        self, target: Target, what: str, operation: IOperation, effect: Callable[[], None] | None
    ) -> None:
        machine = self._machine(target)
        fault = machine.faults.pop(0) if machine.faults else None
        if machine.mutating:
            self.overlaps.append(target.endpoint)
        machine.mutating += 1
        try:
            with self._talk(target):
                await self._attempt(machine, fault, what, operation, effect)
        finally:
            machine.mutating -= 1

    @contextmanager
    def _talk(self, target: Target) -> Iterator[None]:
        """
        Count how many operations there are at once.
        """
        name = target.endpoint
        self._talking[name] += 1
        self.busiest[name] = max(self.busiest.get(name, 0), self._talking[name])
        try:
            yield
        finally:
            self._talking[name] -= 1

    async def _attempt(
        self,
        machine: FakeMachine,
        fault: Fault | None,
        what: str,
        operation: IOperation,
        effect: Callable[[], None] | None,
    ) -> None:
        if fault is Fault.WRONG_PASSWORD:
            await self._sleep(self.round_trip, operation)
            _raise(fault)
        await self._sleep(self.round_trip / 2, operation)
        operation.sending()
        if fault is Fault.DEAF:
            await Deferred(lambda _: None)
        if fault is Fault.LOST_REQUEST:
            await self._timeout(operation)
        machine.commands.append((self.clock.seconds(), what))
        if fault in _ANSWERED:
            await self._wait(self.round_trip / 2, operation)
            _raise(fault)
        if effect is not None and fault is not Fault.STUCK:
            self._schedule(machine, fault, effect)
        if fault in (Fault.LOST_ANSWER, Fault.LATE):
            await self._timeout(operation)
        await self._wait(self.round_trip / 2, operation)

    def _schedule(self, machine: FakeMachine, fault: Fault | None, effect: Callable[[], None]) -> None:
        """
        A newer command takes the place of one that has no effect yet, unless that one is LATE.
        """
        if machine.coming is not None and machine.coming.active():
            machine.coming.cancel()
        if fault is Fault.LATE:
            self.clock.callLater(machine.latency + self.late_by, effect)
        else:
            machine.coming = self.clock.callLater(machine.latency, effect)

    def _effect(self, machine: FakeMachine, command: Command) -> Callable[[], None] | None:
        if command is Command.RESET or (command is Command.SOFT and not machine.obeys_soft):
            return None

        def effect() -> None:
            machine.on = command is Command.ON

        return effect

    async def _timeout(self, operation: IOperation) -> None:
        """
        Something left, and no answer comes: quiet only when time is up.
        """
        await self._wait(self.timeout, operation)
        raise PowerConnError("no answer", sent=True)

    async def _silence(self, operation: IOperation) -> None:
        await self._sleep(self.timeout, operation)
        raise PowerConnError("no answer")

    async def _sleep(self, seconds: float, operation: IOperation) -> None:
        """
        Wait, as long as nothing has left: a polite cancel ends it at once.
        """
        over: Deferred[None] = Deferred()

        def stop() -> None:
            if not over.called:
                over.errback(OperationCancelled())

        operation.when_cancelled(stop)
        await self._until(over, seconds, operation, sent=False)

    async def _wait(self, seconds: float, operation: IOperation) -> None:
        """
        Wait, with something on its way: only its answer, or time, ends it.
        """
        await self._until(Deferred(), seconds, operation, sent=True)

    async def _until(
        self, over: Deferred[None], seconds: float, operation: IOperation, *, sent: bool
    ) -> None:
        remaining = max(0.0, operation.deadline - self.clock.seconds())
        if not over.called and (self.closed or not remaining):
            raise PowerConnError("the driver is closed" if self.closed else "no time is left", sent=sent)
        timer = self.clock.callLater(min(seconds, remaining), over.callback, None)
        self._waiting.append(over)
        try:
            await over
        finally:
            self._waiting.remove(over)
            if timer.active():
                timer.cancel()
        if seconds > remaining:
            raise PowerConnError("no answer in time", sent=sent)


_ANSWERED = frozenset({Fault.BUSY, Fault.REFUSED, Fault.BROKEN, Fault.QUITTER, Fault.DROPPED})


def _raise(fault: Fault | None) -> None:
    if fault is Fault.BUSY:
        raise PowerActionError("node busy (0xC0)")
    if fault is Fault.REFUSED:
        raise PowerRefusedError("unspecified error (0xFF)")
    if fault is Fault.WRONG_PASSWORD:
        raise PowerAuthError("password is wrong")
    if fault is Fault.BROKEN:
        raise ZeroDivisionError("a fault in the driver")
    if fault is Fault.QUITTER:
        raise OperationCancelled("nobody asked")
    if fault is Fault.DROPPED:
        raise CancelledError
