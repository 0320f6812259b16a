# SPDX-License-Identifier: MIT
"""
Tests for `tests.functional.sushy_emulator_peer`: what is done by Redfish is done to a real guest.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.libvirt_peer import LibvirtHost, until
from tests.functional.sushy_emulator_peer import PASSWORD, USERNAME, SushyEmulator, why_not


class SushyEmulatorTests(SynchronousTestCase):
    """
    Redfish over a libvirtd of our own.
    """

    skip = why_not()

    def ask(self, path: str, reset: str = "", password: str = PASSWORD) -> tuple[int, str]:
        """
        Read a resource, or reset a system.
        """
        data = json.dumps({"ResetType": reset}).encode() if reset else None
        login = b64encode(f"{USERNAME}:{password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.emulator.port}/redfish/v1/{path}",
            data,
            {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def test_power(self) -> None:
        """
        On and a graceful shutdown reach the guest, and a stranger reaches nothing.
        """
        host = LibvirtHost()
        self.addCleanup(host.close)
        host.start()
        guest = host.define("emulated")
        self.emulator = SushyEmulator(host.uri)
        self.addCleanup(self.emulator.close)
        self.emulator.start()
        system = f"Systems/{guest.uuid}"
        reset = f"{system}/Actions/ComputerSystem.Reset"

        self.assertEqual(401, self.ask(system, password="wrong")[0])
        self.assertEqual("Off", json.loads(self.ask(system)[1])["PowerState"])
        self.assertEqual(204, self.ask(reset, "On")[0])
        guest.wait_started()
        self.assertEqual("On", json.loads(self.ask(system)[1])["PowerState"])
        self.assertEqual(204, self.ask(reset, "GracefulShutdown")[0])
        until(lambda: guest.state() == "shut off", "it is off")
        self.assertEqual(("shut off (shutdown)", 1), (guest.reason(), guest.presses()))


if SushyEmulatorTests.skip and os.environ.get("CI") == "true":
    # There nothing may be skipped, and not every Python has Debian's bindings.
    print(f"no tests with sushy-emulator over guests: {SushyEmulatorTests.skip}")
    del SushyEmulatorTests
