# SPDX-License-Identifier: MIT
"""
Whatever happens to a fleet: every node is read in time, never twice at once, and nothing is left at the end.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.interfaces import IOperation
from powercoord.model import PowerState, Target, Verb
from powercoord.registry import Sweeping
from powercoord.registry.sweep_crowd import CROWD
from powercoord.testing.driver import FakeDriver, FakeSettings, Fault
from tests.hypothesis_notes import HypothesisNotes, run_state_machine
from tests.registry.world import World, quick
from tests.unmeasured import unmeasured

NODES = st.sampled_from([f"n{number}" for number in range(1, 7)])
FAULTS = [Fault.LOST_REQUEST, Fault.BUSY, Fault.WRONG_PASSWORD, Fault.DEAF, Fault.BROKEN]


class CountingDriver(FakeDriver):
    """
    Knows how many reads of each machine there are at once, and how many in all.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.reading: list[str] = []
        self.twice: list[str] = []
        self.most = 0

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        As any, and counted.
        """
        settings = target.settings
        assert isinstance(settings, FakeSettings)
        if settings.outlet in self.reading:
            self.twice.append(settings.outlet)
        self.reading.append(settings.outlet)
        self.most = max(self.most, len(self.reading))
        try:
            return await super().read(target, operation)
        finally:
            self.reading.remove(settings.outlet)


class SweepMachine(RuleBasedStateMachine):
    """
    Six nodes, of which some share an endpoint in every second history.
    """

    def __init__(self) -> None:
        super().__init__()
        random = Random(3)
        self.world = World(
            6,
            timing=quick(),
            make_driver=CountingDriver,
            jitter=lambda pause: pause * random.uniform(0.8, 1.2),
        )
        self.driver = self.world.driver
        self.driver.round_trip = 0.2
        self.settings = Sweeping(interval=60.0, fast=5.0, concurrency=2)
        self.sweep = self.world.registry.sweep
        self.sweep.configure(self.settings)
        self.sweep.start()
        self.running = True
        self.resting: dict[str, float] = {}
        self.sweep.resting = lambda node: self.resting.get(node.name)
        # Since when there has been no reason not to read it.
        self.free = dict.fromkeys(self.world.names(), 0.0)

    @rule(seconds=st.floats(0, 90))
    def time_passes(self, seconds: float) -> None:
        """
        Second by second: a node that could be read has been, not too long ago.
        """
        end = self.now + seconds
        while self.now < end:
            self.world.pass_time(min(1.0, end - self.now))
            self.look()

    def look(self) -> None:
        for name, until in list(self.resting.items()):
            if until <= self.now:
                del self.resting[name]
        for name in self.world.roster.nodes:
            observed = self.world.registry.view(name).observed
            failing = observed.state in (PowerState.UNKNOWN, PowerState.ERROR)
            if not self.running or failing or name in self.resting or self.busy(name):
                self.free[name] = self.now
            last = max(self.free[name], observed.at or 0.0)
            assert self.now - last <= 2 * self.settings.interval, f"{name} was seen {self.now - last} s ago"

    @property
    def now(self) -> float:
        return self.world.clock.seconds()

    def busy(self, name: str) -> bool:
        return self.world.registry.is_busy(name)

    @rule(name=NODES)
    def button(self, name: str) -> None:
        """
        Somebody presses the button.
        """
        self.world.machine(name).on = not self.world.machine(name).on

    @rule(name=NODES, faults=st.lists(st.sampled_from(FAULTS), max_size=4))
    def fails(self, name: str, faults: list[Fault]) -> None:
        """
        The next reads fail.
        """
        self.world.machine(name).read_faults = faults

    @rule(name=NODES, verb=st.sampled_from([Verb.ON, Verb.OFF, Verb.CYCLE, Verb.SOFT_OFF]))
    def ask(self, name: str, verb: Verb) -> None:
        """
        A caller wants something.
        """
        if name in self.world.roster.nodes:
            self.world.ask(verb, name).addErrback(lambda _: None)

    @rule(name=NODES)
    def query(self, name: str) -> None:
        """
        A caller wants to know.
        """
        if name in self.world.roster.nodes:
            self.world.registry.query(name)

    @rule()
    def pauses(self) -> None:
        """
        A drain: no timer of the sweep is left, and none of its reads.
        """
        self.sweep.pause()
        self.running = False

    @rule()
    def goes_on(self) -> None:
        """
        The end of it.
        """
        self.sweep.start()
        self.running = True

    @rule(interval=st.sampled_from([0.0, 20.0, 60.0, 200.0]), fast=st.sampled_from([1.0, 5.0, 100.0]))
    def reloads(self, interval: float, fast: float) -> None:
        """
        Another configuration.
        """
        before, after = self.settings.interval, interval
        if after < before or not before:
            self.free = dict.fromkeys(self.world.names(), self.now)
        self.settings = Sweeping(interval=interval or 1e9, fast=fast, concurrency=2)
        self.sweep.configure(Sweeping(interval=interval, fast=fast, concurrency=2))

    @rule(name=NODES)
    def leaves(self, name: str) -> None:
        """
        A node is taken out of the configuration, or brought back.
        """
        nodes = self.world.roster.nodes
        if name not in nodes:
            nodes[name] = self.world.node(name)
        elif not self.busy(name):
            del nodes[name]
        self.free[name] = self.now
        self.sweep.configure(Sweeping() if self.settings.interval == 1e9 else self.settings)

    @rule(name=NODES, seconds=st.floats(1, 100))
    def rests(self, name: str, seconds: float) -> None:
        """
        A node is to be left alone for a while.
        """
        self.resting[name] = self.now + seconds

    @invariant()
    def never_twice(self) -> None:
        """
        No node is read twice at once, and there are never too many reads.
        """
        assert isinstance(self.driver, CountingDriver)
        assert not self.driver.twice
        assert self.driver.most <= CROWD * self.settings.concurrency + 6

    def teardown(self) -> None:
        """
        When callers have been answered and the sweep is stopped, nothing is left.
        """
        for name in self.world.names():
            self.world.machine(name).read_faults = []
        self.world.pass_time(60)
        self.sweep.stop()
        self.world.pass_time(700)
        self.sweep.start()
        assert self.world.clock.getDelayedCalls() == []


class SweepProperties(HypothesisNotes, SynchronousTestCase):
    @unmeasured
    def test_any_history(self) -> None:
        """
        Every node is read within twice the interval, unless it is busy, resting or failing.
        """
        run_state_machine(SweepMachine)
        self.flushLoggedErrors()
