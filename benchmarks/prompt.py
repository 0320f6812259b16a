# SPDX-License-Identifier: MIT
"""
Machines in memory whose BMC answers at once, so that what is measured is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from powercoord.interfaces import IOperation
from powercoord.model import Command, Node, PowerState, Target, Timing
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings

#: An hour for everything: what is queued here is queued on purpose.
PATIENT = Timing(action=3600.0, soft=3600.0)


def address(index: int) -> str:
    """
    Of the BMC of a node.
    """
    return f"10.0.{index >> 8}.{index & 255}"


@define(eq=False)
class PromptDriver(FakeDriver):
    """
    Takes no time and no timer.

    :param deaf: machines accept a power on, and stay off: whoever waits for them waits on.
    :ivar expected: the endpoints whose next call is noted.
    :ivar called: when those were spoken to.
    :ivar told_off: when endpoints were told to go off for the first time.
    """

    deaf: bool = False
    expected: set[str] = field(factory=set, init=False)
    called: dict[str, float] = field(factory=dict, init=False)
    told_off: dict[str, float] = field(factory=dict, init=False)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        self._note(target)
        return PowerState.ON if self._machine(target).on else PowerState.OFF

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        self._note(target)
        if command is Command.OFF:
            self.told_off.setdefault(target.endpoint, self.clock.seconds())
        operation.sending()
        if command is Command.OFF or not self.deaf:
            self._machine(target).on = command is Command.ON

    def _note(self, target: Target) -> None:
        if target.endpoint in self.expected:
            self.expected.discard(target.endpoint)
            self.called.setdefault(target.endpoint, self.clock.seconds())

    def _machine(self, target: Target) -> FakeMachine:
        """
        Without making a machine that is only thrown away, as the driver of the tests does.
        """
        return self.machines[target.endpoint]

    def set_all(self, on: bool) -> None:
        """
        Every machine is on, or off.
        """
        for machine in self.machines.values():
            machine.on = on

    def nodes(self, count: int, groups: tuple[str, ...] = (), timing: Timing = PATIENT) -> Sequence[Node]:
        """
        Nodes n0, n1, … with an endpoint each.
        """
        targets = [self.target(FakeSettings(address=address(index))) for index in range(count)]
        for index in range(count):
            self.machines[f"fake:{address(index)}"] = FakeMachine()
        return [Node(f"n{index}", target, groups, timing) for index, target in enumerate(targets)]
