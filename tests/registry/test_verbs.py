# SPDX-License-Identifier: MIT
"""
What each verb sends, reads and answers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import PowerConnError
from powercoord.interfaces import Capabilities, IOperation
from powercoord.model import (
    Command,
    Done,
    Failed,
    How,
    PowerState,
    Target,
    Unknown,
    Verb,
    Wait,
)
from powercoord.testing.driver import FakeDriver, Fault
from tests.registry.world import PXE, World, quick


class Dying(FakeDriver):
    """
    Once it has taken a command its machine can be reached no more.
    """

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        As any, before that.
        """
        self._reach(target)
        return await super().read(target, operation)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        The first arrives.
        """
        self._reach(target)
        await super().command(target, command, operation)

    def _reach(self, target: Target) -> None:
        if self._machine(target).commands:
            raise PowerConnError("nobody there")


class OnTests(SynchronousTestCase):
    """
    `Verb.ON`.
    """

    def test_brings_on(self) -> None:
        """
        An off node is commanded on once, and done when it is seen on.
        """
        world = World(timing=quick())
        world.machine().latency = 3.0
        asked = world.want(Verb.ON)
        world.turn(2.9)
        self.assertEqual([], asked.outcomes)
        world.turn(1.0)
        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)
        self.assertEqual(["on"], world.commands())

    def test_never_touches_what_is_on(self) -> None:
        """
        A node that is on gets no command.
        """
        world = World()
        world.machine().on = True
        asked = world.want(Verb.ON, boot=PXE)
        world.turn(1)
        self.assertEqual(How.ALREADY, asked.outcome.how)
        self.assertEqual([], world.commands())

    def test_boot_device_first(self) -> None:
        """
        The boot device is set before the node is started.
        """
        world = World()
        world.want(Verb.ON, boot=PXE)
        world.turn(1)
        self.assertEqual(["boot pxe", "on"], world.commands())

    def test_unreadable_is_not_touched(self) -> None:
        """
        A node whose state cannot be read is not started, and the reason is told.
        """
        world = World(timing=quick())
        world.machine().read_faults = [Fault.LOST_REQUEST] * 3
        asked = world.want(Verb.ON)
        world.turn(10)
        self.assertEqual(Failed("PowerConnError", "n1: no answer", retryable=True), asked.outcome)
        self.assertEqual([], world.commands())

    def test_nobody_can_read(self) -> None:
        """
        Where power can never be read, an on is commanded all the same, once, and its end not known.
        """
        world = World(timing=quick(), make_driver=unreadable)
        world.machine().read_faults = [Fault.LOST_REQUEST] * 1000
        asked = world.want(Verb.ON)
        world.turn(1)
        self.assertEqual((["on"], []), (world.commands(), asked.outcomes))
        world.turn(600)
        self.assertIsInstance(asked.outcome, Unknown)
        self.assertEqual(["on"], world.commands())

    def test_refusal_is_told_at_once(self) -> None:
        """
        What the BMC refuses fails at once, with its reason in words.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.REFUSED]
        asked = world.want(Verb.ON)
        world.turn(0.5)
        self.assertEqual("n1: unspecified error (0xFF)", asked.outcome.text)
        self.assertEqual("PowerRefusedError", asked.outcome.code)

    def test_wrong_password_is_tried_once(self) -> None:
        """
        A refused password is not tried again: accounts lock.
        """
        world = World(timing=quick())
        world.machine().read_faults = [Fault.WRONG_PASSWORD]
        asked = world.want(Verb.ON)
        world.turn(30)
        self.assertEqual("PowerAuthError", asked.outcome.code)
        self.assertEqual(1, world.machine().reads)

    def test_lost_answer_is_settled_by_a_read(self) -> None:
        """
        A command whose answer is lost is not repeated when it is seen to have worked.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(Verb.ON)
        world.turn(5)
        self.assertEqual(How.COMMANDED, asked.outcome.how)
        self.assertEqual(["on"], world.commands())

    def test_dead_after_a_command(self) -> None:
        """
        Of a command without an answer, whose BMC is dead since, nobody says that it failed.
        """
        world = World(timing=quick(), make_driver=Dying)
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(Verb.ON)
        world.turn(28, 0.1)

        self.assertIsInstance(asked.outcome, Unknown)
        self.assertIn("not answered", asked.outcome.text)
        self.assertTrue(world.machine().on)

    def test_lost_command_is_repeated(self) -> None:
        """
        A command that was lost, as a read shows, is given again.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.LOST_REQUEST]
        asked = world.want(Verb.ON)
        world.turn(10)
        self.assertEqual(How.COMMANDED, asked.outcome.how)
        self.assertEqual(["on"], world.commands())

    def test_busy_bmc_is_asked_again(self) -> None:
        """
        "Not now" is asked again after a pause.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.BUSY]
        asked = world.want(Verb.ON)
        world.turn(5)
        self.assertEqual(How.COMMANDED, asked.outcome.how)
        self.assertEqual(["on", "on"], world.commands())

    def test_stuck_is_an_error(self) -> None:
        """
        Accepted and never seen is a failure that names the limit.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.STUCK]
        asked = world.want(Verb.ON)
        world.turn(31)
        self.assertEqual("PowerUnverified", asked.outcome.code)
        self.assertEqual("n1: still off after 30 s, wanted on", asked.outcome.text)
        self.assertEqual(30.0, asked.outcome.timeout)

    def test_gone_after_the_command_is_unknown(self) -> None:
        """
        Commanded and never readable again is unknown, not off and not on.
        """
        world = World(timing=quick())
        asked = world.want(Verb.ON)
        world.turn(0.02)
        world.machine().read_faults = [Fault.LOST_REQUEST] * 100
        world.turn(40)
        self.assertIsInstance(asked.outcome, Unknown)

    def test_wait_none(self) -> None:
        """
        Who asks for no more is answered when the BMC accepts; the rest goes on.
        """
        world = World(timing=quick())
        world.machine().latency = 3.0
        hasty, patient = world.want(Verb.ON, wait=Wait.NONE), world.want(Verb.ON)
        world.turn(0.1)
        self.assertEqual(Wait.NONE, hasty.outcome.reached)
        self.assertEqual([], patient.outcomes)
        world.turn(4)
        self.assertEqual(Wait.POWER, patient.outcome.reached)

    def test_driver_fault(self) -> None:
        """
        An exception that no driver may raise fails the node and is logged.
        """
        world = World(timing=quick(retries=0))
        world.machine().faults = [Fault.BROKEN]
        world.machine().latency = 100
        asked = world.want(Verb.ON)
        world.turn(31)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertIsInstance(asked.outcome, Failed)


class OffTests(SynchronousTestCase):
    """
    `Verb.OFF` and `Verb.SOFT_OFF`.
    """

    def test_already(self) -> None:
        """
        Already off takes a successful read, and no command.
        """
        world = World()
        asked = world.want(Verb.OFF)
        world.turn(1)
        self.assertEqual(Done(How.ALREADY, PowerState.OFF), asked.outcome)
        self.assertEqual([], world.commands())

    def test_unreadable_is_sent_off_all_the_same(self) -> None:
        """
        A failed read is not "off": the command goes out.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().read_faults = [Fault.LOST_REQUEST]
        asked = world.want(Verb.OFF)
        world.turn(5)
        self.assertEqual(["off"], world.commands())
        self.assertEqual(Done(How.FORCED, PowerState.OFF), asked.outcome)

    def test_soft_is_graceful(self) -> None:
        """
        An operating system that obeys goes off gracefully.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().latency = 4
        asked = world.want(Verb.SOFT_OFF)
        world.turn(6)
        self.assertEqual(Done(How.GRACEFUL, PowerState.OFF), asked.outcome)
        self.assertEqual(["soft"], world.commands())

    def test_soft_becomes_hard(self) -> None:
        """
        At its deadline a soft-off is forced, and says so.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().obeys_soft = False
        asked = world.want(Verb.SOFT_OFF, deadline=3)
        world.turn(5)
        self.assertEqual(Done(How.FORCED, PowerState.OFF), asked.outcome)
        (_, soft), (forced_at, off) = world.machine().commands
        self.assertEqual(("soft", "off"), (soft, off))
        self.assertApproximates(3, forced_at, 0.2)

    def test_soft_without_escalation(self) -> None:
        """
        With escalate=no the deadline is a failure, and nothing is forced.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().obeys_soft = False
        asked = world.want(Verb.SOFT_OFF, deadline=3, escalate=False)
        world.turn(5)
        self.assertEqual("PowerUnverified", asked.outcome.code)
        self.assertEqual(["soft"], world.commands())

    def test_soft_answered_early_keeps_its_patience(self) -> None:
        """
        A soft-off nobody waits for any more is still given its time.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().latency = 5
        world.want(Verb.SOFT_OFF, wait=Wait.NONE)
        world.turn(8)
        self.assertEqual(["soft"], world.commands())
        self.assertFalse(world.machine().on)

    def test_earliest_force_time_wins(self) -> None:
        """
        Joining a soft-off with less patience brings the force forward.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().obeys_soft = False
        patient = world.want(Verb.SOFT_OFF, deadline=9)
        world.turn(1)
        hasty = world.want(Verb.SOFT_OFF, deadline=2)
        world.turn(4)
        self.assertEqual(hasty.outcome, patient.outcome)
        self.assertEqual(How.FORCED, patient.outcome.how)


class CycleTests(SynchronousTestCase):
    """
    `Verb.CYCLE` and `Verb.RESET`.
    """

    def test_both_halves(self) -> None:
        """
        A cycle is off, seen off, the minimum off time, on, seen on.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().latency = 1
        asked = world.want(Verb.CYCLE)
        world.turn(8)
        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)
        (off_at, off), (on_at, on) = world.machine().commands
        self.assertEqual(("off", "on"), (off, on))
        self.assertGreaterEqual(on_at - off_at, 2.0)

    def test_wait_none_waits_for_the_last_command(self) -> None:
        """
        Accepted means that the BMC accepted both halves.
        """
        world = World(timing=quick())
        world.machine().on = True
        asked = world.want(Verb.CYCLE, wait=Wait.NONE)
        world.turn(0.9)
        self.assertEqual([], asked.outcomes)
        world.turn(1)
        self.assertEqual(Wait.NONE, asked.outcome.reached)

    def test_of_an_off_node(self) -> None:
        """
        A node that is off is only brought on.
        """
        world = World()
        asked = world.want(Verb.CYCLE)
        world.turn(1)
        self.assertEqual(["on"], world.commands())
        self.assertIsInstance(asked.outcome, Done)

    def test_reset(self) -> None:
        """
        A reset goes to a node that is on, once.
        """
        world = World()
        world.machine().on = True
        asked = world.want(Verb.RESET)
        world.turn(1)
        self.assertEqual(["reset"], world.commands())
        self.assertIsInstance(asked.outcome, Done)

    def test_reset_of_an_off_node(self) -> None:
        """
        A node that is off refuses a reset.
        """
        world = World()
        asked = world.want(Verb.RESET)
        world.turn(1)
        self.assertEqual("n1: is off, and a reset needs it on; use on", asked.outcome.text)

    def test_reset_is_never_repeated(self) -> None:
        """
        A reset whose answer is lost is unknown; it is not sent again.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(Verb.RESET)
        world.turn(40)
        self.assertEqual(["reset"], world.commands())
        self.assertIsInstance(asked.outcome, Unknown)

    def test_soft_is_never_repeated(self) -> None:
        """
        A soft-off whose answer is lost is waited for, not sent again.
        """
        world = World(timing=quick())
        world.machine().on = True
        world.machine().latency = 4
        world.machine().faults = [Fault.LOST_ANSWER]
        asked = world.want(Verb.SOFT_OFF)
        world.turn(9)
        self.assertEqual(["soft"], world.commands())
        self.assertEqual(How.GRACEFUL, asked.outcome.how)


class BootTests(SynchronousTestCase):
    """
    `Verb.BOOT`.
    """

    def test_sets_the_device(self) -> None:
        """
        The boot device alone changes nothing about power.
        """
        world = World()
        asked = world.want(Verb.BOOT, boot=PXE)
        world.turn(1)
        self.assertEqual(["boot pxe"], world.commands())
        self.assertEqual(How.COMMANDED, asked.outcome.how)

    def test_no_answer_twice(self) -> None:
        """
        A boot device that is never acknowledged is a failure; it is set again once.
        """
        world = World(timing=quick())
        world.machine().faults = [Fault.LOST_ANSWER] * 2
        asked = world.want(Verb.BOOT, boot=PXE)
        world.turn(6)
        self.assertEqual("n1: boot device pxe: no answer to the command, twice", asked.outcome.text)
        self.assertEqual(["boot pxe"] * 2, world.commands())


def plain(clock: Clock) -> FakeDriver:
    """
    A power switch: on and off, and nothing else.
    """
    return FakeDriver(clock, capabilities=Capabilities(frozenset({Command.ON, Command.OFF})))


def unreadable(clock: Clock) -> FakeDriver:
    """
    What only a person can see.
    """
    return FakeDriver(clock, capabilities=Capabilities(frozenset(Command), queryable=False))


class PlainTests(SynchronousTestCase):
    """
    What a driver cannot do is never asked of it.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick(), make_driver=plain)
        self.world.machine().on = True

    def test_soft_goes_straight_to_hard(self) -> None:
        """
        Where there is no soft stop a soft-off is a hard one, and says so.
        """
        asked = self.world.want(Verb.SOFT_OFF)
        self.world.turn(1)
        self.assertEqual(How.FORCED, asked.outcome.how)
        self.assertEqual(["off"], self.world.commands())

    def test_reset_is_refused(self) -> None:
        """
        Where there is no reset it fails, and names what would do.
        """
        asked = self.world.want(Verb.RESET)
        self.world.turn(1)
        self.assertEqual("n1: driver fake has no reset; use cycle", asked.outcome.text)

    def test_boot_device_is_refused(self) -> None:
        """
        Where the boot device cannot be set, an on that needs one does not start the node, nor does a cycle.
        """
        self.world.machine().on = False
        for verb in (Verb.BOOT, Verb.ON):
            asked = self.world.want(verb, boot=PXE)
            self.world.turn(1)
            self.assertEqual("n1: driver fake cannot set boot device pxe", asked.outcome.text)
        self.assertEqual([], self.world.commands())


class TroubleTests(SynchronousTestCase):
    """
    What else can go wrong on the way.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick())
        self.machine = self.world.machine()

    def test_soft_refused(self) -> None:
        """
        A soft stop that the BMC refuses becomes a hard one at once, or a failure if it may not.
        """
        for escalate in (True, False):
            self.setUp()
            self.machine.on = True
            self.machine.faults = [Fault.REFUSED]
            asked = self.world.want(Verb.SOFT_OFF, escalate=escalate)
            self.world.turn(2)
            if escalate:
                self.assertEqual(How.FORCED, asked.outcome.how)
            else:
                self.assertEqual("PowerRefusedError", asked.outcome.code)

    def test_soft_with_a_wrong_password(self) -> None:
        """
        A refused password is not tried again for the hard off.
        """
        self.machine.on = True
        self.machine.faults = [Fault.WRONG_PASSWORD]
        asked = self.world.want(Verb.SOFT_OFF)
        self.world.turn(20)
        self.assertEqual("PowerAuthError", asked.outcome.code)
        self.assertEqual([], self.world.commands())

    def test_refused_off(self) -> None:
        """
        A hard off that is refused while the node is on fails, with the reason in words.
        """
        self.machine.on = True
        self.machine.faults = [Fault.REFUSED]
        asked = self.world.want(Verb.OFF)
        self.world.turn(2)
        self.assertEqual("n1: unspecified error (0xFF)", asked.outcome.text)

    def test_cycle_stuck_on(self) -> None:
        """
        A cycle whose node does not go off fails, and nothing is turned on.
        """
        self.machine.on = True
        self.machine.faults = [Fault.STUCK]
        asked = self.world.want(Verb.CYCLE)
        self.world.turn(31)
        self.assertEqual("n1: still on after 30 s, wanted off", asked.outcome.text)
        self.assertEqual(["off"], self.world.commands())

    def test_reset_and_then_unreadable(self) -> None:
        """
        A reset after which the node is not seen any more is unknown.
        """
        self.machine.on = True
        asked = self.world.want(Verb.RESET)
        self.world.turn(0.02)
        self.machine.read_faults = [Fault.LOST_ANSWER] * 100
        self.world.turn(40)
        self.assertIsInstance(asked.outcome, Unknown)

    def test_lost_for_good(self) -> None:
        """
        A command that is lost every time is given as often as retries allow, and then it is a failure.
        """
        self.machine.faults = [Fault.LOST_REQUEST] * 9
        asked = self.world.want(Verb.ON)
        self.world.turn(30)
        self.assertEqual("PowerUnverified", asked.outcome.code)
        self.assertEqual([], self.world.commands())

    def test_verifying_with_a_wrong_password(self) -> None:
        """
        A password that is refused while a change is looked at is not tried again.
        """
        self.machine.latency = 9.0
        asked = self.world.want(Verb.ON)
        self.world.turn(0.5)
        self.machine.read_faults = [Fault.WRONG_PASSWORD]
        reads = self.machine.reads
        self.world.turn(5)
        self.assertEqual("PowerAuthError", asked.outcome.code)
        self.assertEqual(reads + 1, self.machine.reads)

    def test_fault_of_ours(self) -> None:
        """
        A fault of ours ends its action and is logged; the lane goes on.
        """
        world = World(timing=quick(), make_driver=NoCapabilities)
        asked = world.want(Verb.SOFT_OFF)
        world.machine().on = True
        world.turn(1)
        self.assertIn("fault in the coordinator", asked.outcome.text)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        following = world.want(Verb.OFF)
        world.turn(1)
        self.assertEqual(How.FORCED, following.outcome.how)


class NoCapabilities(FakeDriver):
    """
    A driver that fails where nobody expects it.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "capabilities":
            raise ZeroDivisionError(name)
        return super().__getattribute__(name)
