# SPDX-License-Identifier: MIT
"""
What a cancel says, at each point of each verb; and what the next one makes of it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.errors import PowerActionError, PowerRefusedError
from powercoord.interfaces import IOperation
from powercoord.model import CancelResult, Command, Done, Goal, How, Limit, PowerState, Target, Unknown, Verb
from powercoord.registry.latechange import LateChanges
from powercoord.testing.driver import FakeDriver, Fault
from tests.registry.world import PXE, World, quick


class TruthTests(SynchronousTestCase):
    """
    `Registry.cancel` and its `CancelResult`.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick())
        self.machine = self.world.machine()

    def cancelled_after(self, seconds: float, verb: Verb, **options: object) -> CancelResult:
        """
        What a cancel says so long after a request, once it says anything.
        """
        self.world.want(verb, **options)
        self.world.turn(seconds, step=0.005)
        result: Deferred[CancelResult] = self.world.registry.cancel("a1", "ann")
        self.world.turn(13)
        return self.successResultOf(result)

    def test_while_launching(self) -> None:
        """
        Before its first step nothing was started.
        """
        self.assertEqual(CancelResult.NOT_STARTED, self.cancelled_after(0, Verb.ON))
        self.assertEqual(0, self.machine.reads)

    def test_while_reading(self) -> None:
        """
        While it reads nothing was started, even if the BMC is silent.
        """
        self.machine.read_faults = [Fault.LOST_ANSWER]

        self.assertEqual(CancelResult.NOT_STARTED, self.cancelled_after(1.0, Verb.ON))
        self.assertEqual([], self.world.commands())

    def test_leaves_no_timer(self) -> None:
        """
        What has become quiet is not torn down later, and keeps no time.
        """
        self.world.want(Verb.OFF, deadline=25.0)
        self.world.turn(0.005, step=0.005)
        self.successResultOf(self.world.registry.cancel("a1", "ann"))

        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_while_waiting_to_start(self) -> None:
        """
        In the queue of starts nothing was started, and the place is given up.
        """
        self.world = World(timing=quick(), groups={"rack": Limit(1)})
        self.world.machine("n2").latency = 5.0
        self.world.want(Verb.ON, "n2")
        self.world.want(Verb.ON, "n1")
        last = self.world.want(Verb.ON, "n3")
        self.world.turn(1)
        result = self.world.registry.cancel("a2", "ann")
        self.world.turn(6)

        self.assertEqual(CancelResult.NOT_STARTED, self.successResultOf(result))
        self.assertEqual(([], ["on"]), (self.world.commands("n1"), self.world.commands("n3")))
        self.assertIsInstance(last.outcome, Done)

    def test_accepted(self) -> None:
        """
        What the BMC has accepted cannot be withheld any more.
        """
        self.machine.latency = 5.0

        self.assertEqual(CancelResult.TOO_LATE, self.cancelled_after(1.0, Verb.ON))

    def test_being_answered(self) -> None:
        """
        What has left is waited for, and its answer counts.
        """
        self.assertEqual(CancelResult.TOO_LATE, self.cancelled_after(0.02, Verb.ON))
        self.assertEqual(["on"], self.world.commands())

    def test_lost(self) -> None:
        """
        What has left and was not answered is unknown.
        """
        for fault in (Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.LATE, Fault.DEAF):
            self.setUp()
            self.machine.faults = [fault]
            self.assertEqual(CancelResult.UNKNOWN, self.cancelled_after(1.0, Verb.ON), fault)

    def test_lost_and_read_since(self) -> None:
        """
        What was not answered stays unknown, whatever reads say since: it may come late.
        """
        self.machine.faults = [Fault.LATE]
        self.world.driver.late_by = 8.0

        self.assertEqual(CancelResult.UNKNOWN, self.cancelled_after(2.6, Verb.ON))

    def test_refused_for_now(self) -> None:
        """
        Between two attempts of a command the BMC did not want, the rest is withheld.
        """
        self.machine.faults = [Fault.BUSY]

        self.assertEqual(CancelResult.STOPPED, self.cancelled_after(0.5, Verb.ON))
        self.assertEqual(["on"], self.world.commands())

    def test_boot_device_set(self) -> None:
        """
        After the boot device was set the on is withheld.
        """
        self.assertEqual(CancelResult.STOPPED, self.cancelled_after(0.025, Verb.ON, boot=PXE))
        self.assertEqual(["boot pxe"], self.world.commands())

    def test_cycle_halves(self) -> None:
        """
        A cycle stopped in its first half is not turned on; in its second it is too late.
        """
        for seconds, result, commands in (
            (0.5, CancelResult.STOPPED, ["off"]),
            (1.8, CancelResult.TOO_LATE, ["off", "on"]),
        ):
            self.setUp()
            self.machine.on = True
            self.machine.latency = 0.3
            self.assertEqual(result, self.cancelled_after(seconds, Verb.CYCLE))
            self.assertEqual(commands, self.world.commands())

    def test_soft(self) -> None:
        """
        While the operating system stops, only the force is withheld, if there was to be one.
        """
        for escalate, result in ((True, CancelResult.STOPPED), (False, CancelResult.TOO_LATE)):
            self.setUp()
            self.machine.on = True
            self.machine.latency = 5.0
            self.assertEqual(result, self.cancelled_after(1.0, Verb.SOFT_OFF, escalate=escalate))
            self.assertEqual(["soft"], self.world.commands())

    def test_deaf(self) -> None:
        """
        A driver that hears nothing is torn down after the cancel time, and nothing is sent any more.
        """
        self.machine.faults = [Fault.DEAF]
        asked = self.world.want(Verb.ON)
        self.world.turn(1)
        result = self.world.registry.cancel("a1", "ann")
        self.world.turn(9.9)
        self.assertNoResult(result)
        self.world.turn(0.2)

        self.assertEqual(CancelResult.UNKNOWN, self.successResultOf(result))
        self.assertEqual(CancelResult.UNKNOWN, asked.outcome.cancel)
        self.world.turn(20)
        self.assertEqual([], self.world.clock.getDelayedCalls())


class AfterwardsTests(SynchronousTestCase):
    """
    What comes after something that may still take effect.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick(settle=5.0))
        self.machine = self.world.machine()

    def test_begins_with_a_read(self) -> None:
        """
        After a cancel of anything that was sent, whatever comes next looks first.
        """
        for verb in (Verb.ON, Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE, Verb.RESET):
            self.setUp()
            self.machine.latency = 2.0
            self.world.want(Verb.ON)
            self.world.turn(1)
            self.world.registry.cancel("a1", "ann")
            before = (self.machine.reads, len(self.machine.commands))
            self.world.want(verb)
            while self.machine.reads == before[0]:
                self.world.turn(0.005, step=0.005)
            self.assertEqual(before[1], len(self.machine.commands), verb)

    def test_late_on(self) -> None:
        """
        An off that finds the node off waits until a late on can no longer come, and looks again.
        """
        self.machine.faults = [Fault.LATE]
        self.world.driver.late_by = 5.0
        self.world.want(Verb.ON)
        self.world.turn(0.5)
        off = self.world.want(Verb.OFF)
        self.world.turn(4.6)
        self.assertEqual([], off.outcomes)
        self.world.turn(10)

        self.assertIsInstance(off.outcome, Done)
        self.assertFalse(self.machine.on)

    def test_late_on_outlives_a_cancelled_off(self) -> None:
        """
        An off that was cancelled before it sent anything leaves the fear of a late on to the next.
        """
        self.machine.faults = [Fault.LATE]
        self.world.driver.late_by = 5.0
        self.world.want(Verb.ON)
        self.world.turn(0.5)
        self.world.want(Verb.OFF)
        self.world.turn(1.51)
        self.world.registry.cancel("a2", "ann")
        self.world.turn(0.1)
        off = self.world.want(Verb.OFF)
        self.world.turn(12)

        self.assertEqual(How.FORCED, off.outcome.how)
        self.assertFalse(self.machine.on)

    def test_late_off(self) -> None:
        """
        An on waits until a late off can no longer come.
        """
        self.machine.on = True
        self.machine.faults = [Fault.LATE]
        self.world.want(Verb.OFF)
        self.world.turn(0.5)
        self.world.registry.cancel("a1", "ann")
        on = self.world.want(Verb.ON)
        self.world.turn(15)

        self.assertEqual(How.COMMANDED, on.outcome.how)
        self.assertTrue(self.machine.on)

    def test_boot_device_is_no_change(self) -> None:
        """
        A boot device that was being set leaves nothing to fear.
        """
        self.machine.faults = [Fault.LOST_ANSWER]
        self.world.want(Verb.BOOT, boot=PXE)
        self.world.turn(1)
        off = self.world.want(Verb.OFF)
        self.world.turn(1.2)

        self.assertEqual(How.ALREADY, off.outcome.how)

    def test_both_kinds(self) -> None:
        """
        A late on and a late off are feared apart, each until its own time.
        """
        late = LateChanges().with_change(Goal.ON, 5.0).with_change(Goal.OFF, 9.0)

        self.assertEqual((5.0, 9.0), (late.until(Goal.ON), late.until(Goal.OFF)))
        self.assertEqual(0.0, LateChanges().until(Goal.ON))


class Unsure(FakeDriver):
    """
    A driver whose BMC answers a reset with "timeout while processing": it may have happened.
    """

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await super().command(target, command, operation)
        if command is Command.RESET:
            raise PowerActionError("timeout while processing (0xC3)", sent=True)


class UnsureTests(SynchronousTestCase):
    """
    Answers that do not tell.
    """

    def test_not_repeated(self) -> None:
        """
        A reset that may have happened is not sent again, whatever kind of error says so.
        """
        world = World(timing=quick(), make_driver=Unsure)
        world.machine().on = True
        asked = world.want(Verb.RESET)
        world.turn(20)

        self.assertEqual(["reset"], world.commands())
        self.assertIsInstance(asked.outcome, Unknown)
        self.assertEqual(PowerState.ON, world.registry.view("n1").observed.state)

    def test_off_refused_because_it_is_off(self) -> None:
        """
        A hard off that a BMC refuses because the node went off just then is done, after a soft one too.
        """
        world = World(timing=quick(), make_driver=Refusing)
        world.machine().on = True
        soft = world.want(Verb.SOFT_OFF, deadline=1.0)
        world.turn(5)

        self.assertEqual(How.FORCED, soft.outcome.how)


class Refusing(FakeDriver):
    """
    A machine that goes off by itself the moment it is told to, and a BMC that then refuses.
    """

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        if command is Command.OFF:
            self._machine(target).on = False
            self.clock.callLater(0, lambda: None)
            raise PowerRefusedError("not in this state (0xD5)")
        operation.sending()
