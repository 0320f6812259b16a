# SPDX-License-Identifier: MIT
"""
The next boot device: which messages, in which order, with what in them.
"""

from __future__ import annotations

from powercoord.drivers.amt.namespaces import BOOT_CAPABILITIES, BOOT_CONFIG, BOOT_SERVICE, BOOT_SETTINGS
from powercoord.errors import OperationCancelled, PowerActionError, PowerRefusedError, PowerUnsupportedError
from powercoord.model import Boot, BootDevice
from tests.drivers.amt.documents import instance, output
from tests.drivers.amt.test_native import AmtCase
from tests.drivers.amt.world import Reply, texts

ABLE, GET, PUT = "Get AMT_BootCapabilities", "Get AMT_BootSettingData", "Put AMT_BootSettingData"
ORDER, ROLE = "ChangeBootOrder", "SetBootConfigRole"

#: As another tool may have left it.
DIRTY = instance(
    BOOT_SETTINGS,
    ("BIOSLastStatus", 2),
    ("BIOSLastStatus", 0),
    ("BIOSPause", "true"),
    ("BIOSSetup", "true"),
    ("BootMediaIndex", 3),
    ("BootguardStatus", 127),
    ("ElementName", "Intel(r) <AMT> & Co"),
    ("InstanceID", "Intel(r) AMT:BootSettingData 0"),
    ("PlatformErase", "true"),
    ("RSEPassword", "s3cret"),
    ("SecureErase", "true"),
    ("UefiBootNumberOfParams", 2),
    ("UefiBootParametersArray", "AQI="),
    ("UseIDER", "true"),
    ("UseSOL", "true"),
    ("WinREBootEnabled", "true"),
)


class BootTests(AmtCase):
    def set(self, device: BootDevice) -> None:
        self.world.heard.clear()
        outcome = self.world.set_boot(Boot(device))
        self.assertIsNone(self.done(outcome))
        self.assertLess(0, outcome.errand.announced)

    def sources(self) -> list[str]:
        """
        Of each ChangeBootOrder the source that it names.
        """
        orders = [each for each in self.world.heard if each.name == ORDER]
        return [next(iter(texts(each.body, "Selector")), "") for each in orders]

    def put(self) -> dict[str, str]:
        (said,) = [each.body for each in self.world.heard if each.name == PUT]
        _, _, _, (_, (_, _, _, (record,))) = said
        return {tag.rpartition("}")[2]: text for tag, _, text, _ in record[3]}

    def test_sources(self) -> None:
        """
        What was set before is cleared, the options are cleaned, the role is given, and then the source named.
        """
        for device, source in (
            (BootDevice.PXE, "Intel(r) AMT: Force PXE Boot"),
            (BootDevice.DISK, "Intel(r) AMT: Force Hard-drive Boot"),
            (BootDevice.CDROM, "Intel(r) AMT: Force CD/DVD Boot"),
        ):
            self.set(device)
            self.assertEqual([ABLE, GET, ORDER, PUT, ROLE, ORDER], self.world.names)
            self.assertEqual(["", source], self.sources())
            self.assertEqual("false", self.put()["BIOSSetup"])

    def test_options(self) -> None:
        """
        The BIOS is an option and no source; without an override there is neither.
        """
        for device, setup in ((BootDevice.BIOS, "true"), (BootDevice.NONE, "false")):
            self.set(device)
            self.assertEqual([ABLE, GET, ORDER, PUT, ROLE], self.world.names)
            self.assertEqual([""], self.sources())
            self.assertEqual(setup, self.put()["BIOSSetup"])

    def test_cleaned(self) -> None:
        """
        No option that another tool has left survives, and what devices only report is not written.
        """
        self.world.says(GET, DIRTY)
        self.set(BootDevice.PXE)

        expected = {
            "BIOSPause": "false",
            "BIOSSetup": "false",
            "BootMediaIndex": "0",
            "ElementName": "Intel(r) <AMT> & Co",
            "InstanceID": "Intel(r) AMT:BootSettingData 0",
            "PlatformErase": "false",
            "SecureErase": "false",
            "UefiBootNumberOfParams": "0",
            "UseIDER": "false",
            "UseSOL": "false",
        }
        self.assertEqual(expected, self.put())

    def test_role(self) -> None:
        """
        The role is the next start's, of the one boot configuration that there is.
        """
        self.set(BootDevice.PXE)
        (said,) = [each.body for each in self.world.heard if each.name == ROLE]

        self.assertEqual(["1"], texts(said, "Role"))
        self.assertEqual(["Intel(r) AMT: Boot Configuration 0"], texts(said, "Selector"))

    def test_unsupported(self) -> None:
        """
        What AMT cannot do is refused, and nothing is sent.
        """
        for boot, words in (
            (Boot(BootDevice.PXE, persistent=True), "one start only"),
            (Boot(BootDevice.PXE, efi=True), "EFI"),
            (Boot(BootDevice.PXE, efi=False), "EFI"),
        ):
            self.error(self.world.set_boot(boot), PowerUnsupportedError, words)
        self.assertEqual([], self.world.heard)

    def test_incapable(self) -> None:
        """
        What the machine says that it cannot do is refused unchanged; what it does not speak of is tried.
        """
        able = [("ForcePXEBoot", "true"), ("ForceHardDriveBoot", "false"), ("BIOSSetup", "false")]
        self.world.says(ABLE, instance(BOOT_CAPABILITIES, *able))
        for device in (BootDevice.DISK, BootDevice.BIOS):
            outcome = self.world.set_boot(Boot(device))
            self.error(outcome, PowerUnsupportedError, "cannot be told", device.value)
            self.assertEqual(0, outcome.errand.announced)
        for device in (BootDevice.PXE, BootDevice.CDROM, BootDevice.NONE):
            self.set(device)
        self.world.fails(ABLE, "DestinationUnreachable")
        self.set(BootDevice.DISK)

    def test_failures(self) -> None:
        """
        Whatever step fails is named, and none is taken after it.
        """
        for name, reply, kind, steps in (
            (ORDER, output(BOOT_CONFIG, ORDER, 4099), PowerActionError, 3),
            (PUT, Reply(b"<html>"), PowerActionError, 4),
            (ROLE, output(BOOT_SERVICE, ROLE, 1), PowerRefusedError, 5),
        ):
            self.world.answers.clear()
            self.world.heard.clear()
            self.world.says(name, reply)
            self.error(self.world.set_boot(Boot(BootDevice.PXE)), kind, name)
            self.assertEqual(steps, len(self.world.heard))

    def test_refused_put(self) -> None:
        """
        A Put that the device does not accept says why.
        """
        self.world.fails(PUT, "InvalidRepresentation")

        self.error(self.world.set_boot(Boot(BootDevice.PXE)), PowerRefusedError, PUT, "InvalidRepresentation")

    def test_cancelled(self) -> None:
        """
        Politely cancelled between two steps, the rest of them is withheld, and it is told that one was taken.
        """
        outcome = self.world.set_boot(Boot(BootDevice.PXE))
        while ORDER not in self.world.names:
            self.world.serve_one()
            if outcome.errand.announced:
                outcome.errand.stop()
        self.world.run(outcome)

        self.assertIs(OperationCancelled, type(outcome.error))
        self.assertTrue(outcome.error.sent)
        self.assertEqual([ABLE, GET, ORDER], self.world.names)
