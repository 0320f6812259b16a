# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.web.trust` and `.place`: how pins, CA files and addresses are written.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.web import Place, Trust
from powercoord.drivers.web.trust import parse_pin, shown
from powercoord.errors import PowerSettingError

DIGITS = "0123456789ABCDEF" * 4


class PinTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """
        Digits of either case, with colons or without, are one pin.
        """
        for text in (DIGITS, DIGITS.lower(), shown(DIGITS), f" sha256:{shown(DIGITS).lower()}\n"):
            self.assertEqual(DIGITS, parse_pin(text))
            self.assertEqual(Trust(pin=DIGITS), Trust(pin=text))

    def test_wrong(self) -> None:
        """
        Anything else is refused, and says how to come by the right one.
        """
        for text in ("", DIGITS[:-1], DIGITS + "0", "G" + DIGITS[1:], "AB:CD"):
            self.assertIn("powercoord pin", str(self.assertRaises(PowerSettingError, parse_pin, text)))

    def test_one_reason(self) -> None:
        """
        A pin and a CA file at once are refused.
        """
        self.assertRaises(PowerSettingError, Trust, pin=DIGITS, ca_file="/x")

    def test_ca_file(self) -> None:
        """
        A CA file that cannot be used is named with the reason.
        """
        place = Place.parse("192.0.2.1")
        empty, broken = Path(self.mktemp()), Path(self.mktemp())
        empty.write_text("nothing")
        broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for path, reason in (
            (empty, "no certificate"),
            (broken, "is no certificate"),
            (Path("/nowhere"), "No such"),
        ):
            error = self.assertRaises(PowerSettingError, Trust(ca_file=str(path)).judge, place)
            self.assertIn(str(path), str(error))
            self.assertIn(reason, str(error))


class PlaceTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """
        However an address is written, it is one place.
        """
        cases = {
            "bmc": "https://bmc:443",
            "BMC.Example.Org.": "https://bmc.example.org:443",
            "bmc:8443": "https://bmc:8443",
            "https://bmc/": "https://bmc:443",
            "HTTP://bmc": "http://bmc:80",
            "192.0.2.1": "https://192.0.2.1:443",
            "2001:DB8::1": "https://[2001:db8::1]:443",
            "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443",
        }
        for text, expected in cases.items():
            place = Place.parse(text)
            self.assertEqual(expected, place.text)
            self.assertEqual(place, Place.parse(place.text))

    def test_ports(self) -> None:
        """
        A kind of BMC may have ports of its own.
        """
        self.assertEqual(16993, Place.parse("bmc", ports={"https": 16993, "http": 16992}).port)

    def test_wrong(self) -> None:
        """
        What is no address is refused, and a password in it is not repeated.
        """
        for text in (
            "",
            "a b",
            "bmc:0",
            "bmc:65536",
            "bmc/x",
            "u:hush@bmc",
            "https://u:hush@bmc",
            "ssh://bmc",
            "[x]",
        ):
            self.assertNotIn("hush", str(self.assertRaises(PowerSettingError, Place.parse, text)))
