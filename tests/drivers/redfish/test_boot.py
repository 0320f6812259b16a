# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.redfish.boot`: which properties are written, and past which ETags.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.redfish.boot import etags, override
from powercoord.drivers.redfish.resource import System
from powercoord.errors import PowerRefusedError
from powercoord.model import Boot, BootDevice

ENABLED, TARGET, MODE = (
    "BootSourceOverrideEnabled",
    "BootSourceOverrideTarget",
    "BootSourceOverrideMode",
)


def system(*offered: str) -> System:
    return System.of("/s", {"Id": "s", "Boot": {TARGET + "@Redfish.AllowableValues": list(offered)}})


class OverrideTests(SynchronousTestCase):
    def test_devices(self) -> None:
        """
        Each device has its word, for one start, or for all where that is asked for.
        """
        cases = {
            Boot(BootDevice.PXE): {ENABLED: "Once", TARGET: "Pxe"},
            Boot(BootDevice.DISK, persistent=True): {ENABLED: "Continuous", TARGET: "Hdd"},
            Boot(BootDevice.CDROM): {ENABLED: "Once", TARGET: "Cd"},
            Boot(BootDevice.BIOS): {ENABLED: "Once", TARGET: "BiosSetup"},
            Boot(BootDevice.NONE): {ENABLED: "Disabled", TARGET: "None"},
            Boot(BootDevice.PXE, efi=True): {ENABLED: "Once", TARGET: "Pxe", MODE: "UEFI"},
            Boot(BootDevice.PXE, efi=False): {ENABLED: "Once", TARGET: "Pxe", MODE: "Legacy"},
        }
        for wanted, expected in cases.items():
            self.assertEqual(expected, override("bmc", system(), wanted))

    def test_offered(self) -> None:
        """
        Of two words for a device the one that is offered is taken; a device without any is refused.
        """
        self.assertEqual("UsbCd", override("bmc", system("UsbCd"), Boot(BootDevice.CDROM))[TARGET])
        error = self.assertRaises(PowerRefusedError, override, "bmc", system("Pxe"), Boot(BootDevice.DISK))
        self.assertIn("it offers Pxe", str(error))


class ETagTests(SynchronousTestCase):
    def test_ladder(self) -> None:
        """
        The ETag as it is, then strong, then none; and where none was told, any.
        """
        self.assertEqual(['W/"1"', '"1"', ""], list(etags('W/"1"')))
        self.assertEqual(['"1"', ""], list(etags('"1"')))
        self.assertEqual(["", "*"], list(etags("")))
