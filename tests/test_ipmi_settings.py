# SPDX-License-Identifier: MIT
"""
Tests for `settings`, `address` and `quirks` of `powercoord.drivers.ipmi`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.address import Address
from powercoord.drivers.ipmi.quirks import FLAGS, STANDARD, combine
from powercoord.drivers.ipmi.settings import BootType, IpmiSettings, PrivilegeLevel, from_context
from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, describe
from powercoord.strict import strict_converter
from tests.hypothesis_notes import HypothesisNotes


class AddressTests(HypothesisNotes, SynchronousTestCase):
    def test_forms(self) -> None:
        """
        An address is a name or an IP address, with or without a port, and has one spelling.
        """
        expected = {
            "10.0.0.1": "10.0.0.1:623",
            "10.0.0.1:6230": "10.0.0.1:6230",
            "BMC-1.Rack.Example": "bmc-1.rack.example:623",
            "bmc1.example.": "bmc1.example:623",
            "bmc1:65535": "bmc1:65535",
            "[2001:DB8::0:1]": "[2001:db8::1]:623",
            "[2001:db8::1]:6230": "[2001:db8::1]:6230",
            "2001:db8::1": "[2001:db8::1]:623",
            "fe80::1%eth0": "[fe80::1%eth0]:623",
        }
        self.assertEqual(expected, {text: Address.parse(text).text for text in expected})

    def test_literal(self) -> None:
        """
        Only what is no IP address has to be looked up.
        """
        self.assertTrue(Address.parse("10.0.0.1").literal)
        self.assertTrue(Address.parse("::1").literal)
        self.assertFalse(Address.parse("bmc1").literal)

    def test_wrong(self) -> None:
        """
        Anything else is an error that names it and the forms there are.
        """
        for text in (
            "",
            " ",
            "bmc 1",
            "bmc:0",
            "bmc:70000",
            "bmc:x",
            "[::1",
            "[bmc]:1",
            "a..b",
            "-a",
            "x" * 300,
        ):
            with self.assertRaises(PowerSettingError) as caught:
                Address.parse(text)
            self.assertIn(f"'{text}'", str(caught.exception))

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """
        Any text is an address or a `PowerSettingError`, and the spelling of an address is that address.
        """
        try:
            address = Address.parse(text)
        except PowerSettingError:
            return
        self.assertEqual(address, Address.parse(address.text))


class SettingsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """
        Only the address is needed.
        """
        settings = IpmiSettings(address="10.0.0.1")
        self.assertEqual((17, 3), settings.cipher_suites)
        self.assertIs(PrivilegeLevel.OPERATOR, settings.privilege_level)
        self.assertFalse(settings.allow_ipmi15)

    def test_described(self) -> None:
        """
        Each setting has a label and a description, all are the BMC's, and the secrets are password and K_g.
        """
        described = describe(IpmiSettings)
        self.assertEqual(["address"], [each.name for each in described if each.required])
        self.assertEqual({"password", "k_g"}, {each.name for each in described if each.setting.secret})
        for each in described:
            self.assertTrue(each.setting.label and each.setting.description, each.name)
            self.assertIs(Scope.BMC, each.setting.scope)

    def test_repr(self) -> None:
        """
        Secrets are not in the repr.
        """
        text = repr(IpmiSettings(address="10.0.0.1", password="hunter2", k_g="kkkkk"))
        self.assertNotIn("hunter2", text)
        self.assertNotIn("kkkkk", text)

    def test_from_a_table(self) -> None:
        """
        A table of the configuration becomes settings.
        """
        table = {
            "address": "10.0.0.1",
            "cipher_suites": [3],
            "privilege_level": "ADMIN",
            "workaround_flags": ["sun20"],
            "timeout": "2s",
            "boot_type": "efi",
        }
        settings = strict_converter().structure(table, IpmiSettings)
        expected = IpmiSettings(
            address="10.0.0.1",
            cipher_suites=(3,),
            privilege_level=PrivilegeLevel.ADMIN,
            workaround_flags=("sun20",),
            timeout=2.0,  # type: ignore[arg-type]
            boot_type=BootType.EFI,
        )
        self.assertEqual(expected, settings)

    def test_wrong(self) -> None:
        """
        What can not be is refused, with the setting's name and what would be right, and no secret.
        """
        expected: dict[str, dict[str, Any]] = {
            "password has 21 bytes; IPMI has room for 20": {"password": "p" * 21},
            "username has 17 bytes; IPMI has room for 16": {"username": "u" * 17},
            "k_g has 21 bytes; IPMI has room for 20": {"k_g": "0x" + "00" * 21},
            "pairs of hexadecimal digits": {"k_g": "0xsecret"},
            "username has a zero byte": {"username": "a\0b"},
            "cipher suite 0 does not authenticate and is never used; supported: 17, 8, 3": {
                "cipher_suites": (0,)
            },
            "cipher suite 12 is not supported": {"cipher_suites": (12,)},
            "no session could be made": {"cipher_suites": ()},
            "workaround flag 'opensespriv' is not known; did you mean 'opensesspriv'?": {
                "workaround_flags": ("opensespriv",)
            },
            "workaround flag 'x' is not known; known: authcap": {"workaround_flags": ("x",)},
        }
        for text, wrong in expected.items():
            with self.assertRaises(PowerSettingError) as caught:
                IpmiSettings(address="10.0.0.1", **wrong)
            self.assertIn(text, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))
            self.assertNotIn("ppp", str(caught.exception))


class ContextTests(SynchronousTestCase):
    """
    MAAS's power parameters.
    """

    def test_all(self) -> None:
        """
        Each parameter that says something about the BMC becomes a setting; others are nobody's.
        """
        context = {
            "power_address": "10.0.0.1",
            "power_user": "maas",
            "power_pass": "pw",
            "k_g": "0x00ff",
            "cipher_suite_id": "17",
            "privilege_level": "ADMIN",
            "workaround_flags": ["opensesspriv", "authcap"],
            "power_boot_type": "efi",
            "power_driver": "LAN_2_0",
            "power_off_mode": "soft",
            "mac_address": "00:16:3e:00:00:01",
            "system_id": "abc123",
        }
        expected = IpmiSettings(
            address="10.0.0.1",
            username="maas",
            password="pw",
            k_g="0x00ff",
            cipher_suites=(17,),
            privilege_level=PrivilegeLevel.ADMIN,
            workaround_flags=("opensesspriv", "authcap"),
            boot_type=BootType.EFI,
        )
        self.assertEqual(expected, from_context(context))

    def test_empty(self) -> None:
        """
        An empty parameter, or None, is as none.
        """
        context = dict.fromkeys(("power_user", "power_pass", "k_g", "cipher_suite_id", "power_boot_type"), "")
        context |= {"power_address": "10.0.0.1", "workaround_flags": None, "privilege_level": None}  # type: ignore[dict-item]
        self.assertEqual(IpmiSettings(address="10.0.0.1"), from_context(context))

    def test_old_driver(self) -> None:
        """
        The driver "LAN" allows IPMI 1.5.
        """
        context = {"power_address": "10.0.0.1", "power_driver": "LAN"}
        self.assertTrue(from_context(context).allow_ipmi15)

    def test_flags_as_text(self) -> None:
        """
        Flags may come as one text.
        """
        context = {"power_address": "10.0.0.1", "workaround_flags": "sun20, authcap"}
        self.assertEqual(("sun20", "authcap"), from_context(context).workaround_flags)

    def test_wrong(self) -> None:
        """
        A missing address, and values that make no sense, are named.
        """
        expected = {
            "power_address is missing": {},
            "cipher_suite_id is 'x', which makes no sense": {"cipher_suite_id": "x"},
            "power_driver is 'LAN_3'": {"power_driver": "LAN_3"},
            "privilege_level is 'ROOT'": {"privilege_level": "ROOT"},
            "power_boot_type is 'uefi'": {"power_boot_type": "uefi"},
            "workaround_flags is 7": {"workaround_flags": 7},
            "cipher suite 12": {"cipher_suite_id": "12"},
        }
        for text, wrong in expected.items():
            context = {"power_address": "10.0.0.1", **wrong} if wrong else {}
            with self.assertRaises(PowerSettingError) as caught:
                from_context(context)
            self.assertIn(text, str(caught.exception))


class QuirkFlagTests(SynchronousTestCase):
    def test_none(self) -> None:
        """
        Without flags everything is as the specification says.
        """
        self.assertIs(STANDARD, combine(()))

    def test_each(self) -> None:
        """
        Each flag changes what its row of the table says, and nothing else.
        """
        for name, changes in FLAGS.items():
            quirks = combine([name])
            for quirk in (
                "pad_username",
                "check_codes",
                "swapped_sequence",
                "per_message",
                "long_rakp2_code",
            ):
                expected = changes.get(quirk, getattr(STANDARD, quirk))
                self.assertEqual(expected, getattr(quirks, quirk), f"{name} {quirk}")

    def test_together(self) -> None:
        """
        Flags add up.
        """
        quirks = combine(["sun20", "nochecksumcheck"])
        self.assertEqual(
            (True, False, False), (quirks.long_rakp2_code, quirks.check_checksums, quirks.highest_privilege)
        )

    def test_maas_choices(self) -> None:
        """
        Every flag that MAAS offers is known.
        """
        choices = (
            "opensesspriv authcap idzero unexpectedauth forcepermsg endianseq intel20 supermicro20 sun20 "
            "nochecksumcheck integritycheckvalue ipmiping none"
        )
        for flag in choices.split():
            combine([flag])
