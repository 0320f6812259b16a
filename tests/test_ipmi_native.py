# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.ipmi.native`: what each operation of the driver does to a BMC.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.drivers.ipmi import driver
from powercoord.drivers.ipmi.boot import BootFlags, Device
from powercoord.drivers.ipmi.chassis import Control
from powercoord.drivers.ipmi.settings import BootType, IpmiSettings, PrivilegeLevel
from powercoord.errors import PowerConnError, PowerSettingError
from powercoord.interfaces import IPowerDriver
from powercoord.model import Boot, BootDevice, Command, PowerState
from powercoord.strict import Moment
from tests.ipmi_world import World


class DriverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()

    def test_interface(self) -> None:
        """
        It is what the coordinator calls a driver.
        """
        self.assertTrue(verifyObject(IPowerDriver, self.world.driver))

    def test_factory(self) -> None:
        """
        Making the driver opens nothing.
        """
        made = driver(Clock())
        self.assertEqual(("ipmi", 0), (made.name, made.counters.sent))
        self.assertEqual([], list(made.missing_tools()))

    def test_read(self) -> None:
        """
        A read says what the BMC says, and is never announced as a change.
        """
        for on, state in ((True, PowerState.ON), (False, PowerState.OFF)):
            self.bmc.on = on
            self.assertIs(state, self.world.state())
        self.assertEqual([0, 0], [operation.announced for operation in self.world.operations])

    def test_fresh_read(self) -> None:
        """
        A read on a new session takes four exchanges: open session, RAKP 1, RAKP 3, status.
        """
        self.world.state()
        self.assertEqual(["open", "rakp1", "rakp3", "status"], self.bmc.log)

    def test_commands(self) -> None:
        """
        Each command is the chassis control of its name, sent once, announced once.
        """
        expected = {
            Command.ON: Control.ON,
            Command.OFF: Control.OFF,
            Command.SOFT: Control.SOFT,
            Command.RESET: Control.RESET,
        }
        for command, control in expected.items():
            self.bmc.controls.clear()
            self.assertIsNone(self.world.finish(self.world.command(command)).result)
            self.assertEqual([control], self.bmc.controls)
            self.assertEqual(1, self.world.operations[-1].announced)

    def test_announced_before(self) -> None:
        """
        A change is announced before its first byte leaves, and no earlier: not for the login.
        """
        outcome = self.world.command(Command.ON)
        seen: list[list[str]] = []
        self.world.operations[-1].on_sending = lambda: seen.append(list(self.bmc.log))
        self.world.finish(outcome)
        self.assertEqual([["open", "rakp1", "rakp3", "privilege"]], seen)

    def test_level(self) -> None:
        """
        The level is raised for the first change in a session, and then no more.
        """
        for _ in range(2):
            self.world.finish(self.world.command(Command.ON))
        self.assertEqual(1, self.bmc.log.count("privilege"))
        self.assertEqual(3, self.bmc.privilege)

    def test_user_cannot_change(self) -> None:
        """
        With the level of a user, a change fails before anything is sent, and a read works.
        """
        target = self.world.target(privilege_level=PrivilegeLevel.USER)
        outcome = self.world.finish(self.world.command(Command.ON, target))
        self.assertIsInstance(outcome.error, PowerSettingError)
        self.assertIn("OPERATOR", str(outcome.error))
        self.assertEqual([], self.world.sent)
        self.assertIs(PowerState.OFF, self.world.finish(self.world.read(target)).result)

    def test_suite_17(self) -> None:
        """
        Suite 17 is preferred, and everything works with it.
        """
        self.world.finish(self.world.command(Command.ON))
        self.assertEqual(PowerState.ON, self.world.state())
        self.assertEqual(17, self.bmc._suite)  # noqa: SLF001

    def test_target(self) -> None:
        """
        An endpoint is the address in one spelling, and a BMC has one node.
        """
        first = self.world.target(address="BMC1.Example.org")
        second = self.world.target(address="bmc1.example.org:623")
        self.assertEqual(("bmc1.example.org:623", ""), (first.endpoint, first.selector))
        self.assertEqual(first.endpoint, second.endpoint)

    def test_worst_case(self) -> None:
        """
        No operation takes longer than the timeout, session set-up included.
        """
        settings = IpmiSettings(address="192.0.2.1", timeout=Moment(7.0))
        for command in (*Command, None):
            self.assertEqual(7.0, self.world.driver.worst_case(settings, command))

    def test_foreign_settings(self) -> None:
        """
        Settings of another driver are a fault of the caller.
        """
        target = evolve(self.world.target(), settings=object(), endpoint="elsewhere")
        outcome = self.world.read(target)
        self.assertIsInstance(outcome.error, TypeError)

    def test_closed(self) -> None:
        """
        A closed driver refuses operations, naming the BMC.
        """
        self.world.close()
        outcome = self.world.read()
        self.assertIsInstance(outcome.error, PowerConnError)
        self.assertIn("192.0.2.1:623", str(outcome.error))


class BootTests(SynchronousTestCase):
    """
    The next boot device.
    """

    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()

    def set_boot(self, boot: Boot, **settings: object) -> BootFlags:
        """
        Set it to the end.
        """
        self.world.finish(self.world.set_boot(boot, self.world.target(**settings))).result  # noqa: B018
        assert self.bmc.boot is not None
        return self.bmc.boot

    def test_devices(self) -> None:
        """
        Each device is the one that the specification has for it, for the next start only.
        """
        expected = {
            BootDevice.PXE: Device.PXE,
            BootDevice.DISK: Device.DISK,
            BootDevice.CDROM: Device.CDROM,
            BootDevice.BIOS: Device.BIOS,
            BootDevice.NONE: Device.NONE,
        }
        for wanted, device in expected.items():
            self.assertEqual(BootFlags(device), self.set_boot(Boot(wanted)))

    def test_persistent(self) -> None:
        """
        A persistent device is for all starts.
        """
        flags = self.set_boot(Boot(BootDevice.DISK, persistent=True))
        self.assertEqual(BootFlags(Device.DISK, persistent=True), flags)

    def test_announced(self) -> None:
        """
        It is announced as a change.
        """
        self.set_boot(Boot(BootDevice.PXE))
        self.assertGreater(self.world.operations[-1].announced, 0)

    def test_boot_type(self) -> None:
        """
        The request says EFI or legacy, else the settings do, else the BMC keeps what it has.
        """
        pxe = BootDevice.PXE
        for now in (True, False):
            self.bmc.efi_now = now
            self.assertEqual(BootFlags(Device.PXE, efi=now), self.set_boot(Boot(pxe)))
        self.assertTrue(self.set_boot(Boot(pxe), boot_type=BootType.EFI).efi)
        self.assertFalse(self.set_boot(Boot(pxe), boot_type=BootType.LEGACY).efi)
        self.assertTrue(self.set_boot(Boot(pxe, efi=True), boot_type=BootType.LEGACY).efi)

    def test_unreadable_now(self) -> None:
        """
        A BMC that cannot say how it starts now is set to legacy, which it starts by.
        """
        self.bmc.codes["get-boot"] = [0x80]
        self.assertEqual(BootFlags(Device.PXE), self.set_boot(Boot(BootDevice.PXE)))

    def test_optional_parameter(self) -> None:
        """
        A BMC without the optional parameter gets its boot flags all the same.
        """
        self.bmc.codes["set-boot"] = [0x80]
        self.assertEqual(BootFlags(Device.PXE), self.set_boot(Boot(BootDevice.PXE)))

    def test_refused(self) -> None:
        """
        A refusal names the device and the BMC's reason.
        """
        self.bmc.codes["set-boot"] = [0, 0xCC]
        outcome = self.world.finish(self.world.set_boot(BootDevice.CDROM))
        self.assertIn("boot device 'cdrom': invalid data field", str(outcome.error))
