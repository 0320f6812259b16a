# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.testing.ipmi_sim`, with `ipmitool` as the judge.
"""

from __future__ import annotations

import os
import subprocess
import time

from twisted.trial.unittest import SynchronousTestCase

from powercoord.testing.chassis_script import Behaviour
from powercoord.testing.ipmi_sim import IpmiSimError, IpmiSimFleet
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME


def ipmitool(
    fleet: IpmiSimFleet, index: int, command: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """
    Run one command against one BMC, with the suite that `ipmi_sim` knows.
    """
    bmc = fleet.bmcs[index]
    return subprocess.run(
        ["ipmitool", "-I", "lanplus", "-C", "3", "-H", bmc.address, "-p", str(bmc.port),
         "-U", USERNAME, "-E", *options, *command.split()],
        env={**os.environ, "IPMI_PASSWORD": PASSWORD},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


class IpmiSimFleetTests(SynchronousTestCase):
    """
    A fleet of `ipmi_sim` obeys IPMI, and its files tell what it did.
    """

    def setUp(self) -> None:
        self.fleet = IpmiSimFleet(count=20, base="127.77.8.1")
        self.fleet.start()
        self.addCleanup(self.fleet.stop)

    def ipmitool(self, index: int, command: str) -> subprocess.CompletedProcess[str]:
        """
        Run one command.
        """
        return ipmitool(self.fleet, index, command)

    def test_power(self) -> None:
        """
        A machine is on after a power on, and no other machine is.
        """
        for index in (0, 7, 19):
            self.ipmitool(index, "chassis power on")

        on = [index for index in range(20) if self.fleet.power(index)]
        self.assertEqual([0, 7, 19], on)
        self.assertIn("is on", self.ipmitool(7, "chassis power status").stdout)
        self.assertIn("is off", self.ipmitool(8, "chassis power status").stdout)

    def test_commands_are_counted(self) -> None:
        """
        Each chassis command is in the log once, and reads are not changes.
        """
        for command in ("power status", "power on", "power reset", "power soft", "power off"):
            self.ipmitool(1, f"chassis {command}")
        self.ipmitool(1, "chassis bootdev pxe")

        log = self.fleet.commands(1)
        self.assertEqual((1, 1, 1, 1, 1), (log.n_on, log.n_reset, log.n_shutdown, log.n_off, log.n_boot))
        self.assertEqual(5, len(log.changes))
        self.assertEqual("pxe", self.fleet.bmcs[1].machine.boot())
        self.assertEqual(0, len(self.fleet.commands(2).commands))

    def test_slow_on(self) -> None:
        """
        A slow machine is off until its time has come, while its BMC answers at once.
        """
        self.fleet.behave(3, Behaviour(on_after=0.6))
        asked = time.monotonic()
        self.ipmitool(3, "chassis power on")

        self.assertEqual(1, self.fleet.commands(3).n_on)
        while not self.fleet.power(3):
            self.assertLess(time.monotonic() - asked, 5)
        self.assertGreater(time.monotonic() - asked, 0.58)

    def test_off_overtakes_a_slow_on(self) -> None:
        """
        Off during a slow power on leaves the machine off for good.
        """
        self.fleet.behave(3, Behaviour(on_after=0.3))
        self.ipmitool(3, "chassis power on")
        self.ipmitool(3, "chassis power off")
        asked = time.monotonic()

        while time.monotonic() - asked < 0.4:
            self.assertFalse(self.fleet.power(3))

    def test_soft_stop_that_never_ends(self) -> None:
        """
        A machine whose operating system ignores the button stays on; hard off still works.
        """
        self.fleet.bmcs[4].machine.set_power(True)
        self.fleet.behave(4, Behaviour(shutdown_after=None))
        self.ipmitool(4, "chassis power soft")
        after_soft = self.fleet.power(4)
        self.ipmitool(4, "chassis power off")

        self.assertEqual((True, False), (after_soft, self.fleet.power(4)))

    def test_hard_off_during_a_slow_stop(self) -> None:
        """
        Hard off does not wait for a soft stop that is under way.
        """
        self.fleet.bmcs[4].machine.set_power(True)
        self.fleet.behave(4, Behaviour(shutdown_after=60))
        self.ipmitool(4, "chassis power soft")
        self.ipmitool(4, "chassis power off")

        self.assertFalse(self.fleet.power(4))

    def test_stuck(self) -> None:
        """
        A stuck machine accepts everything and never changes.
        """
        self.fleet.behave(5, Behaviour(stuck=True))
        answer = self.ipmitool(5, "chassis power on")

        self.assertEqual((0, False, 1), (answer.returncode, self.fleet.power(5), self.fleet.commands(5).n_on))

    def test_reset(self) -> None:
        """
        Reset returns all machines to their first state and forgets what was asked.
        """
        self.fleet.behave(7, Behaviour(on_after=0.1))
        self.ipmitool(7, "chassis power on")
        self.fleet.reset()
        self.ipmitool(8, "chassis power on")

        self.assertEqual((0, 1), (self.fleet.commands(7).n_on, self.fleet.commands(8).n_on))
        self.assertEqual((False, True), (self.fleet.power(7), self.fleet.power(8)))

    def test_refusal(self) -> None:
        """
        A machine that refuses makes its BMC answer with an error, and only for what it refuses.
        """
        self.fleet.behave(6, Behaviour(refuse=frozenset({"set-power"})))

        self.assertEqual(1, self.ipmitool(6, "chassis power on").returncode)
        self.assertEqual(0, self.ipmitool(6, "chassis power status").returncode)
        self.assertFalse(self.fleet.power(6))


class StartTests(SynchronousTestCase):
    """
    A fleet says what is wrong with it and leaves nothing behind.
    """

    def test_occupied_port(self) -> None:
        """
        A second fleet at the same place is refused by name.
        """
        with IpmiSimFleet(count=1, base="127.77.9.1") as first:
            second = IpmiSimFleet(count=1, base="127.77.9.1", port=first.port)
            error = self.assertRaises(IpmiSimError, second.start, 5.0)

        self.assertEqual(f"127.77.9.1 port {first.port} cannot be used: Address already in use", str(error))

    def test_kg(self) -> None:
        """
        With a K_g, who does not know it gets no session.
        """
        with IpmiSimFleet(count=2, base="127.77.9.1", kg=b"rack one") as fleet:
            good = ipmitool(fleet, 1, "chassis power status", "-k", "rack one")
            bad = ipmitool(fleet, 1, "chassis power status")

        self.assertEqual((0, 1), (good.returncode, bad.returncode))

    def test_stop(self) -> None:
        """
        After stop no process is left, nor a file.
        """
        fleet = IpmiSimFleet(count=2, base="127.77.9.1")
        fleet.start()
        pids, folder = fleet.pids, fleet.bmcs[0].state_file.parent
        fleet.stop()
        fleet.stop()

        self.assertFalse(folder.exists())
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
