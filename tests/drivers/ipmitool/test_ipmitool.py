# SPDX-License-Identifier: MIT
"""
What `ipmitool` is told, what of it anybody can see, and what its words mean.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.children import Ended
from powercoord.drivers.ipmitool.commandline import STATUS, Pace, arguments, environment, next_boot
from powercoord.drivers.ipmitool.settings import Interface, IpmitoolSettings, from_context
from powercoord.drivers.ipmitool.verdict import error_of, has_answered, state_of
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import Boot, BootDevice, PowerState


def settings(**more: Any) -> IpmitoolSettings:
    return IpmitoolSettings(**{"address": "10.0.0.1", "username": "u", "password": "hunter2", **more})


class ArgumentsTests(SynchronousTestCase):
    def test_all(self) -> None:
        """
        Arguments say all but the secrets, which are in the environment.
        """
        mine = settings(k_g="0x41ff", cipher_suite=3, oem="supermicro", bridge="-b 7 -t 0x72")
        self.assertEqual(
            "-I lanplus -H 10.0.0.1 -p 623 -U u -L OPERATOR -N 1 -R 2 -C 3 -o supermicro -E -K"
            " -b 7 -t 0x72 -v chassis power status",
            " ".join(arguments(mine, Pace(1, 2), STATUS)),
        )
        self.assertEqual("hunter2", environment(mine)["IPMI_PASSWORD"])
        self.assertEqual(b"A\xff", os.fsencode(environment(mine)["IPMI_KGKEY"]))
        self.assertNotIn("hunter2", repr(mine))

    def test_old(self) -> None:
        """
        IPMI 1.5 has neither K_g nor cipher suites, so they are not given.
        """
        words = arguments(settings(interface=Interface.LAN, k_g="k", cipher_suite=3), Pace(1, 1), STATUS)
        self.assertEqual(set(), {"-C", "-K"} & set(words))

    def test_pace(self) -> None:
        """
        It gives up, as was measured, before its time is over; what must leave once is transmitted once.
        """
        for seconds in (2.2, 6.2, 12.5, 20.5, 60.0):
            pace = Pace.within(seconds, once=False)
            self.assertLessEqual(pace.times * (pace.times + 1), seconds)
            self.assertEqual(1, Pace.within(seconds, once=True).times)
        self.assertEqual(Pace(6, 1), Pace.within(13.0, once=True))
        self.assertEqual(Pace(1, 1), Pace.within(-1.0, once=False))

    def test_boot(self) -> None:
        """
        The boot device's words say how long and how it starts.
        """
        self.assertEqual(("chassis", "bootdev", "pxe"), next_boot(Boot(BootDevice.PXE), efi=False))
        self.assertEqual(
            "options=persistent,efiboot", next_boot(Boot(BootDevice.DISK, persistent=True), efi=True)[-1]
        )

    def test_mistakes(self) -> None:
        """
        What `ipmitool` would take for something else is refused; secrets are not told.
        """
        for wrong in (
            {"address": "a b"},
            {"username": "-P"},
            {"username": "x" * 17},
            {"password": "hunter2" * 3},
            {"password": "hunter2\0"},
            {"k_g": "0x0"},
            {"k_g": "0x00"},
            {"cipher_suite": 0},
            {"oem": "a b"},
            {"bridge": "-P x"},
        ):
            error = self.assertRaises(PowerSettingError, settings, **wrong)
            self.assertNotIn("hunter2", str(error))

    def test_context(self) -> None:
        """
        MAAS's IPMI parameters are understood.
        """
        found = from_context(
            {"power_address": "a", "power_driver": "LAN", "power_hwaddress": "-b  7 -t 0x72"}
        )
        self.assertEqual((Interface.LAN, "-b 7 -t 0x72"), (found.interface, found.bridge))
        for context in ({}, {"power_address": "a", "cipher_suite_id": "x"}):
            self.assertRaises(PowerSettingError, from_context, context)


class VerdictTests(SynchronousTestCase):
    def test_state(self) -> None:
        """
        Only a whole answer tells a state.
        """
        for code, said, state in (
            (0, b"Chassis Power is on\n", PowerState.ON),
            (0, b"Chassis Power is off\n", PowerState.OFF),
            (0, b"Chassis Power is o", None),
            (1, b"Chassis Power is on\n", None),
            (0, b"", None),
        ):
            self.assertIs(state, state_of(Ended(code=code, stdout=said)), said)

    def test_errors(self) -> None:
        """
        Its words become the errors that tell a caller what to do, with the truth about what left.
        """
        none = "Error: Unable to establish IPMI v2 / RMCP+ session"
        cases: list[tuple[str, type[PowerError], bool]] = [
            (f"> RAKP 2 HMAC is invalid\n{none}", PowerAuthError, False),
            (f"RAKP 2 message indicates an error : unauthorized name\n{none}", PowerAuthError, False),
            ("Activate Session error:\tNo session slot available", PowerActionError, False),
            (
                f"Error in open session response message : insufficient resources for session\n{none}",
                PowerActionError,
                False,
            ),
            (
                f"Error in open session response message : invalid authentication algorithm\n{none}",
                PowerSettingError,
                False,
            ),
            (none, PowerConnError, False),
            ("Unable to set Chassis Power Control to Reset", PowerConnError, True),
            ("Set Chassis Power Control to Up/On failed: Node busy", PowerActionError, False),
            (
                "Set Chassis Power Control to Up/On failed: Insufficient privilege level",
                PowerRefusedError,
                False,
            ),
            ("Segmentation fault", PowerActionError, True),
        ]
        for text, kind, sent in cases:
            error = error_of("x", Ended(code=1, stderr=text.encode()), (), changes=True)
            self.assertEqual((kind, sent), (type(error), error.sent), text)
            self.assertNotIn("\n", str(error))

    def test_answered(self) -> None:
        """
        A BMC that says no to a read has let us in: a command may work all the same.
        """
        self.assertTrue(
            has_answered(Ended(code=1, stderr=b"Get Chassis Power Status failed: Unspecified error"))
        )
        self.assertFalse(has_answered(Ended(code=1, stderr=b"Unable to get Chassis Power Status")))

    def test_secrets(self) -> None:
        """
        What it repeats of a secret is not repeated by us.
        """
        error = error_of("x", Ended(code=1, stderr=b"bad hunter2"), ("hunter2",), changes=False)
        self.assertNotIn("hunter2", str(error))
