# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.machine`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.boot import BootFlags, Device
from powercoord.sim.machine import MEMORY, NO_BOOT, Change, Latency, Machine, Performed, Violation
from tests.hypothesis_notes import HypothesisNotes


class MachineCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def machine(self, latency: Latency | None = None, on: bool = False) -> Machine:
        return Machine(self.clock, latency or Latency(), on)

    def after(self, machine: Machine, seconds: float) -> bool:
        """
        The power after some more time.
        """
        self.clock.advance(seconds)
        return machine.power()


class PowerTests(MachineCase):
    def test_prompt(self) -> None:
        """
        Without latency a command has its effect at once.
        """
        machine = self.machine()
        seen = []
        for verb in ("on", "off", "on", "soft"):
            machine.perform(verb)
            seen.append(machine.power())

        self.assertEqual([True, False, True, False], seen)

    def test_slow_on(self) -> None:
        """
        A machine is off until its latency is over.
        """
        machine = self.machine(Latency(on=3.0))
        machine.perform("on")

        self.assertFalse(self.after(machine, 2.9))
        self.assertTrue(self.after(machine, 0.1))
        self.assertEqual([Change(3.0, True)], machine.changes)

    def test_coming(self) -> None:
        """
        What is on its way can be seen, until it has happened.
        """
        machine = self.machine(Latency(on=3.0))
        before = machine.coming()
        machine.perform("on")
        under_way = machine.coming()
        self.clock.advance(3)

        self.assertEqual((None, Change(3.0, True), None), (before, under_way, machine.coming()))

    def test_soft_reset(self) -> None:
        """
        A soft reset starts a machine that is on anew, unless its operating system ignores it.
        """
        for latency, on, starts in (
            (Latency(), True, 1),
            (Latency(), False, 0),
            (Latency(soft=None), True, 0),
        ):
            machine = self.machine(latency, on)
            machine.perform("soft-reset")
            self.assertEqual((on, starts), (machine.power(), len(machine.booted)))

    def test_repeated_on(self) -> None:
        """
        A second power on does not make the first one take longer.
        """
        machine = self.machine(Latency(on=3.0))
        machine.perform("on")
        self.after(machine, 2.0)
        machine.perform("on")

        self.assertTrue(self.after(machine, 1.0))
        self.assertEqual(2, machine.count("on"))

    def test_off_stops_a_power_on(self) -> None:
        """
        Off during a power on leaves the machine off for good.
        """
        machine = self.machine(Latency(on=3.0))
        machine.perform("on")
        self.after(machine, 1.0)
        machine.perform("off")

        self.assertFalse(self.after(machine, 60.0))
        self.assertEqual([], machine.changes)

    def test_late_on(self) -> None:
        """
        On a machine with ``late_on`` a power on lands in spite of the off that came after it.
        """
        machine = self.machine(Latency(on=3.0, late_on=True))
        machine.perform("on")
        self.after(machine, 1.0)
        machine.perform("off")

        self.assertFalse(self.after(machine, 1.9))
        self.assertTrue(self.after(machine, 0.1))

    def test_soft_stop(self) -> None:
        """
        A soft stop takes its time, and a hard off does not wait for it.
        """
        machine = self.machine(Latency(soft=30.0, off=1.0), on=True)
        machine.perform("soft")
        before = self.after(machine, 5.0)
        machine.perform("off")

        self.assertEqual((True, False), (before, self.after(machine, 1.0)))

    def test_soft_stop_under_way_is_not_delayed(self) -> None:
        """
        A slow hard off does not keep a machine on that was about to stop.
        """
        machine = self.machine(Latency(soft=2.0, off=10.0), on=True)
        machine.perform("soft")
        machine.perform("off")

        self.assertFalse(self.after(machine, 2.0))

    def test_ignored_soft_stop(self) -> None:
        """
        A machine whose operating system ignores the button stays on.
        """
        machine = self.machine(Latency(soft=None), on=True)
        machine.perform("soft")

        self.assertTrue(self.after(machine, 3_600.0))
        self.assertEqual([Performed(0.0, "soft")], machine.commands)

    def test_cycle(self) -> None:
        """
        A cycle of the BMC is off, a pause, and on.
        """
        machine = self.machine(Latency(off=1.0, cycle=5.0, on=3.0), on=True)
        machine.perform("cycle")
        self.after(machine, 100.0)

        self.assertEqual([Change(1.0, False), Change(9.0, True)], machine.changes)

    def test_cycle_and_minimum_off_time(self) -> None:
        """
        A BMC's own cycle respects what its power supply likes.
        """
        machine = self.machine(Latency(cycle=1.0, minimum_off=5.0), on=True)
        machine.perform("cycle")
        self.after(machine, 100.0)

        self.assertEqual([Change(0.0, False), Change(5.0, True)], machine.changes)

    def test_reset(self) -> None:
        """
        A reset starts anew without taking power away.
        """
        machine = self.machine(on=True)
        machine.perform("reset")

        self.assertEqual(([Device.NONE], []), (machine.booted, machine.changes))

    def test_button(self) -> None:
        """
        Somebody at the machine changes its power without any command.
        """
        machine = self.machine(Latency(on=3.0))
        machine.perform("on")
        machine.press_button(on=True)
        machine.press_button(on=False)

        self.assertFalse(self.after(machine, 10.0))
        self.assertEqual(["on"], [command.verb for command in machine.commands])

    def test_minimum_off_time(self) -> None:
        """
        Power that comes back too early is a violation, and is recorded.
        """
        machine = self.machine(Latency(minimum_off=5.0), on=True)
        machine.perform("off")
        self.after(machine, 4.0)
        machine.perform("on")
        machine.perform("off")
        self.after(machine, 5.0)
        machine.perform("on")

        self.assertEqual([Violation(4.0, 4.0)], machine.violations)

    def test_memory(self) -> None:
        """
        What is remembered has a limit, and the newest is remembered.
        """
        machine = self.machine()
        for _ in range(MEMORY + 1):
            machine.record("on")
        machine.record("off")

        self.assertLessEqual(len(machine.commands), MEMORY)
        self.assertEqual("off", machine.commands[-1].verb)


class BootTests(MachineCase):
    def start(self, machine: Machine) -> None:
        machine.perform("off")
        machine.perform("on")

    def test_once(self) -> None:
        """
        A boot device is used for one start.
        """
        machine = self.machine()
        machine.set_boot(BootFlags(Device.PXE), 60.0)
        self.start(machine)
        self.start(machine)

        self.assertEqual([Device.PXE, Device.NONE], machine.booted)

    def test_persistent(self) -> None:
        """
        A persistent boot device is used for every start, and not forgotten.
        """
        machine = self.machine()
        machine.set_boot(BootFlags(Device.DISK, persistent=True), 60.0)
        self.clock.advance(3_600.0)
        self.start(machine)
        self.start(machine)

        self.assertEqual([Device.DISK, Device.DISK], machine.booted)

    def test_forgotten(self) -> None:
        """
        A boot device is forgotten when no start follows in time, unless the BMC was told to keep it.
        """
        forgetful, keeping = self.machine(), self.machine()
        keeping.keeps_boot = True
        for machine in (forgetful, keeping):
            machine.set_boot(BootFlags(Device.PXE), 60.0)
        self.clock.advance(61.0)

        self.assertEqual(NO_BOOT, forgetful.boot_flags())
        self.assertEqual(BootFlags(Device.PXE), keeping.boot_flags())

    def test_slow_start(self) -> None:
        """
        A machine that takes long to start still starts from what was chosen.
        """
        machine = self.machine(Latency(on=90.0))
        machine.set_boot(BootFlags(Device.PXE), 60.0)
        machine.perform("on")
        self.clock.advance(80.0)
        chosen = machine.boot_flags().device
        self.after(machine, 10.0)

        self.assertEqual((Device.PXE, [Device.PXE]), (chosen, machine.booted))


class AnyOrderTests(HypothesisNotes, MachineCase):
    @given(
        st.lists(st.tuples(st.sampled_from(["on", "off", "soft", "cycle", "reset"]), st.floats(0, 9))),
        st.builds(
            Latency,
            on=st.floats(0, 5),
            off=st.floats(0, 5),
            soft=st.none() | st.floats(0, 5),
            late_on=st.booleans(),
        ),
    )
    def test_changes_alternate(self, steps: list[tuple[str, float]], latency: Latency) -> None:
        """
        Whatever is asked: changes alternate, their times never go back, and looking later tells the same.
        """
        clock = Clock()
        often, seldom = Machine(clock, latency), Machine(clock, latency)
        for verb, pause in steps:
            often.perform(verb)
            seldom.perform(verb)
            clock.advance(pause)
            often.power()
        clock.advance(100.0)

        self.assertEqual(often.power(), seldom.power())
        self.assertEqual(often.changes, seldom.changes)
        self.assertEqual(
            [index % 2 == 0 for index in range(len(often.changes))], [c.on for c in often.changes]
        )
        self.assertEqual(sorted(c.at for c in often.changes), [c.at for c in often.changes])
