# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.redfish.settings`: what is taken, and what is refused in words.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.certificates import ICertified
from powercoord.drivers.redfish import RedfishSettings, driver
from powercoord.drivers.redfish.settings import from_context
from powercoord.errors import PowerSettingError
from powercoord.interfaces import IPowerDriver

PIN = "ab" * 32


def settings(**more: Any) -> RedfishSettings:
    return RedfishSettings(**{"address": "192.0.2.1", "username": "u", "password": "p", **more})


class SettingsTests(SynchronousTestCase):
    def test_driver(self) -> None:
        """
        It is what the coordinator calls a driver, shows certificates, and opens nothing when it is made.
        """
        made = driver(Clock())

        self.assertTrue(verifyObject(IPowerDriver, made))
        self.assertTrue(verifyObject(ICertified, made))
        self.assertEqual(("redfish", 0), (made.name, made.counters.connections))

    def test_refused(self) -> None:
        """
        What makes no sense is refused, and no secret is told.
        """
        for more in (
            {"address": "https://u:s3cret@192.0.2.1"},
            {"address": "ftp://192.0.2.1"},
            {"address": "192.0.2.1/redfish"},
            {"pin": "ab"},
            {"pin": PIN, "ca_file": "/x"},
            {"username": "a:b"},
            {"password": "s3cret\n"},
        ):
            error = self.assertRaises(PowerSettingError, settings, **more)
            self.assertNotIn("s3cret", str(error))

    def test_secret(self) -> None:
        """
        The password is not printed.
        """
        self.assertNotIn("hush", repr(settings(password="hush")))

    def test_target(self) -> None:
        """
        One service has one endpoint however its address is written, and its systems are selectors.
        """
        made = driver(Clock())
        for address in ("BMC1", "https://bmc1", "bmc1:443", "https://bmc1:443/"):
            target = made.target(settings(address=address, node_id="2"))
            self.assertEqual(("https://bmc1:443", "2"), (target.endpoint, target.selector))
        self.assertEqual("http://bmc1:80", made.target(settings(address="http://bmc1")).endpoint)

    def test_worst_case(self) -> None:
        """
        No operation takes longer than the timeout.
        """
        self.assertEqual(7.0, driver(Clock()).worst_case(settings(timeout=7.0), None))

    def test_context(self) -> None:
        """
        MAAS's power parameters are taken under their names; a file of ours is not a caller's to name.
        """
        context = {
            "power_address": "192.0.2.1",
            "power_user": "u",
            "power_pass": "p",
            "node_id": "1",
            "power_pin": PIN,
            "ca_file": "/etc/shadow",
        }

        self.assertEqual(settings(node_id="1", pin=PIN), from_context(context))
        for name in ("power_address", "power_user", "power_pass"):
            error = self.assertRaises(PowerSettingError, from_context, {**context, name: ""})
            self.assertIn(name, str(error))
