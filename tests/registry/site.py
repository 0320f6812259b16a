# SPDX-License-Identifier: MIT
"""
Machines that outlive the coordinator, which can be killed at any write to begin with what was durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from powercoord.entries import Entry
from powercoord.errors import PowerConnError, RequestRefused
from powercoord.interfaces import IOperation, ITicket
from powercoord.model import Boot, Command, Interrupted, Limit, Node, Outcome, PowerState, Request, Target
from powercoord.registry import Limits, Registry, build_registry
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings, Fault
from tests.registry.projection import project
from tests.registry.world import FixedRoster, ListJournal, quick

START = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESSES = {"n1": "bmc1", "n2": "bmc2", "n3": "host", "n4": "host"}
FLEET = Limit(2)

# Nobody tidies up what a killed process held. The garbage collector would: it closes coroutines, and they
# would give back places that others wait for.
GRAVES: list[Registry] = []


@define(eq=False)
class Death:
    """
    Whether a process has been killed; nothing of it happens any more then.
    """

    dead: bool = False


class MortalClock(Clock):
    """
    The clock as one process sees it: its timers die with it.
    """

    def __init__(self, clock: Clock, death: Death) -> None:
        super().__init__()
        self._real, self._death = clock, death
        self._pending: list[Any] = []

    def seconds(self) -> float:
        return self._real.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any) -> Any:  # noqa: A002 - Twisted's names
        if self._death.dead:
            return Clock().callLater(delay, callable, *args, **kw)
        self._pending = [call for call in self._pending if call.active()]
        call = self._real.callLater(delay, callable, *args, **kw)
        self._pending.append(call)
        return call

    def die(self) -> None:
        """
        Ring no more.
        """
        for call in self._pending:
            call.func = _nothing


def _nothing(*_: Any) -> None:
    """
    What a timer of the dead does.
    """


@define(eq=False)
class MortalDriver(FakeDriver):
    """
    The machines stay; what a process has on the wire dies with it.

    :param turned_off: how often machines went from on to off, by address and outlet.
    """

    death: Death = field(factory=Death)
    turned_off: dict[str, int] = field(factory=dict)
    real: Clock = field(factory=Clock)
    _live: set[Deferred[Any]] = field(factory=set, init=False)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        state: PowerState = await self._mortal(lambda: FakeDriver.read(self, target, operation))
        return state

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await self._mortal(lambda: FakeDriver.command(self, target, command, operation))

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        await self._mortal(lambda: FakeDriver.set_boot(self, target, boot, operation))

    def die(self) -> None:
        """
        Whatever is awaited comes to nothing.
        """
        for call in list(self._live):
            call.cancel()

    async def _mortal(self, call: Callable[[], Any]) -> Any:
        if self.death.dead:
            await Deferred()
        running = Deferred.fromCoroutine(call())
        self._live.add(running)
        try:
            return await running
        except CancelledError:
            raise PowerConnError("killed") from None
        finally:
            self._live.discard(running)

    def _schedule(self, machine: FakeMachine, fault: Fault | None, effect: Callable[[], None]) -> None:
        """
        What a machine does it does whether or not anybody is there to see it.
        """
        mortal, self.clock = self.clock, self.real
        FakeDriver._schedule(self, machine, fault, effect)  # noqa: SLF001 - its own parent
        self.clock = mortal

    def _effect(self, machine: FakeMachine, command: Command) -> Callable[[], None] | None:
        effect = FakeDriver._effect(self, machine, command)  # noqa: SLF001 - its own parent
        if effect is None:
            return None
        name = next(name for name, each in self.machines.items() if each is machine)

        def counted() -> None:
            before = machine.on
            effect()
            if before and not machine.on:
                self.turned_off[name] = self.turned_off.get(name, 0) + 1

        return counted


@define(eq=False)
class FusedJournal(ListJournal):
    """
    Kills the process at one of its writes: just before it is durable, or just after.

    :param fuse: at how many writes from now; None: at none.
    """

    death: Death = field(factory=Death)
    fuse: int | None = None
    keeps: bool = True
    kill: Callable[[], None] = lambda: None

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        if self.death.dead:
            return Deferred()
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                if self.keeps and not self.held:
                    self.entries.extend(entries)
                self.kill()
                return Deferred()
        return ListJournal.append(self, entries)


@define(eq=False)
class Site:
    """
    Four machines, a caller who asks again until it has an answer, and one coordinator after the other.

    :param asked: every request, and what its caller heard at last.
    :param requires: by node, what it requires.
    """

    clock: Clock = field(factory=Clock)
    machines: dict[str, FakeMachine] = field(factory=dict)
    turned_off: dict[str, int] = field(factory=dict)
    entries: list[Entry] = field(factory=list)
    asked: dict[str, Request] = field(factory=dict)
    heard: dict[str, Outcome] = field(factory=dict)
    overlaps: list[str] = field(factory=list)
    requires: Mapping[str, tuple[str, ...]] = field(factory=dict)
    death: Death = field(init=False)
    journal: FusedJournal = field(init=False)
    driver: MortalDriver = field(init=False)
    registry: Registry = field(init=False)
    lives: int = field(default=0, init=False)
    _mortal: MortalClock = field(init=False)
    _numbers: count[int] = field(factory=lambda: count(1), init=False)

    def __attrs_post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """
        Start a coordinator on what is durable, and let every caller ask again.
        """
        self.lives += 1
        self.death = Death()
        self._mortal = MortalClock(self.clock, self.death)
        self.journal = FusedJournal(self.entries, death=self.death, kill=self.die)
        self.driver = MortalDriver(
            self._mortal,
            late_by=1.5,
            machines=self.machines,
            death=self.death,
            turned_off=self.turned_off,
            real=self.clock,
        )
        self.driver.overlaps = self.overlaps
        ids = count(1)
        self.registry = build_registry(
            clock=self._mortal,
            now=lambda: START + timedelta(seconds=self.clock.seconds()),
            new_id=lambda life=self.lives: f"{life}-{next(ids)}",
            jitter=lambda pause: pause,
            roster=FixedRoster({name: self.node(name) for name in ADDRESSES}),
            drivers={"fake": self.driver},
            journal=self.journal,
            limits=Limits(fleet=FLEET),
        )
        GRAVES.append(self.registry)
        self.registry.recover(project(self.entries))
        for request_id in [each for each in self.asked if each not in self.heard]:
            if not self.death.dead:
                self._send(self.asked[request_id])

    def node(self, name: str) -> Node:
        """
        One node.
        """
        settings = FakeSettings(address=ADDRESSES[name], outlet=name)
        return Node(name, self.driver.target(settings), (), quick(), requires=self.requires.get(name, ()))

    def machine(self, name: str) -> FakeMachine:
        """
        The machine behind a node.
        """
        return self.driver.machine(self.place(name))

    def place(self, name: str) -> str:
        """
        A node's address and outlet.
        """
        return f"{ADDRESSES[name]}/{name}"

    def ask(self, **request: Any) -> None:
        """
        A caller asks, and will ask again after every restart until it hears how it ended.
        """
        asked = Request(request_id=f"r{next(self._numbers)}", **request)
        self.asked[asked.request_id] = asked
        self._send(asked)

    def die(self, held: int = 0) -> None:
        """
        Kill the coordinator; so many of the writes under way are durable all the same.
        """
        if self.death.dead:
            return
        self.death.dead = True
        for _, entries in self.journal.held[:held]:
            self.entries.extend(entries)
        self.driver.die()
        self._mortal.die()

    def _send(self, request: Request) -> None:
        sent = self.registry.submit(request)
        sent.addCallbacks(self._accepted, self._refused, (request,), errbackArgs=(request,))

    def _accepted(self, ticket: ITicket, request: Request) -> None:
        ticket.wait().addCallback(self._hear, request)

    def _hear(self, outcome: Outcome, request: Request) -> None:
        if not isinstance(outcome, Interrupted):
            self.heard[request.request_id] = outcome

    def _refused(self, failure: Failure, request: Request) -> None:
        """
        What may work later is asked again in the next life.
        """
        failure.trap(RequestRefused)
        if not failure.value.retryable:
            del self.asked[request.request_id]
