# SPDX-License-Identifier: MIT
"""
The settings of the AMT driver.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.amt import AmtSettings, driver
from powercoord.drivers.amt.settings import Tls, from_context
from powercoord.errors import PowerSettingError
from powercoord.settings import context_names, describe


class SettingsTests(SynchronousTestCase):
    def test_places(self) -> None:
        """
        The port says whether there is TLS, unless that is said; AMT's own two are two ways to one device.
        """
        for given, place, endpoint in (
            ({}, "https://192.0.2.1:16993", "192.0.2.1"),
            ({"port": 16992}, "http://192.0.2.1:16992", "192.0.2.1"),
            ({"port": 4433}, "https://192.0.2.1:4433", "192.0.2.1:4433"),
            ({"port": 4433, "tls": Tls.OFF}, "http://192.0.2.1:4433", "192.0.2.1:4433"),
            ({"port": 16992, "tls": Tls.ON}, "https://192.0.2.1:16992", "192.0.2.1"),
            ({"address": "Host.Example."}, "https://host.example:16993", "host.example"),
            ({"address": "2001:DB8::1"}, "https://[2001:db8::1]:16993", "2001:db8::1"),
            ({"address": "[2001:db8::1]", "port": 1}, "https://[2001:db8::1]:1", "[2001:db8::1]:1"),
        ):
            settings = AmtSettings(**{"address": "192.0.2.1", **given})
            self.assertEqual((place, endpoint), (settings.place.text, settings.endpoint), given)

    def test_mistakes(self) -> None:
        """
        A mistake is named, with what would be right.
        """
        for given, words in (
            ({"address": "192.0.2.1:16993"}, "right would be address '192.0.2.1' and port 16993"),
            ({"address": "[2001:db8::1]:16992"}, "right would be address '[2001:db8::1]' and port 16992"),
            ({"address": "https://192.0.2.1"}, "no URL"),
            ({"address": "a b"}, "not understood"),
            ({"address": ""}, "not understood"),
            ({"port": 0}, "port 0 is not between"),
            ({"port": 65536}, "port 65536 is not between"),
            ({"username": ""}, "username"),
            ({"username": "a:b"}, "username"),
            ({"username": "a\nb"}, "username"),
            ({"pin": "12"}, "pin"),
            ({"pin": "ab" * 32, "port": 16992}, "about TLS"),
            ({"legacy_tls": True, "tls": Tls.OFF}, "about TLS"),
            ({"pin": "ab" * 32, "ca_file": "/x"}, "both"),
        ):
            with self.assertRaises(PowerSettingError) as caught:
                AmtSettings(**{"address": "192.0.2.1", **given})
            self.assertIn(words, str(caught.exception), given)

    def test_secret(self) -> None:
        """
        The password is known as a secret, and does not show.
        """
        self.assertNotIn("geheim", repr(AmtSettings(address="x", password="geheim")))
        self.assertEqual(["password"], [each.name for each in describe(AmtSettings) if each.setting.secret])

    def test_context(self) -> None:
        """
        MAAS's parameters are understood by their names there; what is empty is as not given.
        """
        for context, expected in (
            ({"power_address": "192.0.2.1"}, {"address": "192.0.2.1"}),
            ({"power_address": "192.0.2.1", "ip_address": "192.0.2.2"}, {"address": "192.0.2.2"}),
            ({"power_address": "h", "ip_address": "", "power_user": "", "port": ""}, {"address": "h"}),
            (
                {"power_address": "h", "power_user": "u", "power_pass": "p", "port": "16992", "mac": "x"},
                {"address": "h", "username": "u", "password": "p", "port": 16992},
            ),
            ({"power_address": "h", "port": 16993}, {"address": "h", "port": 16993}),
        ):
            self.assertEqual(AmtSettings(**expected), from_context(context))

    def test_context_mistakes(self) -> None:
        """
        What is missing there, or makes no sense, is named as it is called there.
        """
        for context, words in (({}, "power_address"), ({"power_address": "h", "port": "amt"}, "port")):
            with self.assertRaises(PowerSettingError) as caught:
                from_context(context)
            self.assertIn(words, str(caught.exception))

    def test_names(self) -> None:
        """
        The driver tells MAAS's names for what it reads of a context.
        """
        made: Any = driver(None)

        self.assertEqual(
            {"power_address", "power_user", "power_pass", "power_pin", "port"}, set(context_names(made))
        )
        self.assertEqual(15.0, made.worst_case(AmtSettings(address="h"), None))
