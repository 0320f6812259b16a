# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.ipmi15`.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.activation import ActivateSession, GetSessionChallenge, SessionChallenge
from powercoord.drivers.ipmi.channel import CloseSession
from powercoord.drivers.ipmi.chassis import ChassisControl, Control, GetChassisStatus
from powercoord.drivers.ipmi.completion import INSUFFICIENT_PRIVILEGE, INVALID_DATA
from powercoord.drivers.ipmi.lan import LanRequest
from powercoord.drivers.ipmi.session15 import AUTH_MD5, AUTH_STRAIGHT, Session15, signed
from powercoord.sim.faults import Faults
from powercoord.sim.profile import Profile
from tests.sim_console import Console15, NoAnswer, make_bmc


class Ipmi15Tests(SynchronousTestCase):
    def console(self, profile: Profile | None = None) -> Console15:
        return Console15(make_bmc(Clock(), profile))

    def test_power(self) -> None:
        """
        A session of IPMI 1.5 switches power.
        """
        console = self.console().log_in()

        self.assertEqual(0, console.do(ChassisControl(Control.ON)).code)
        self.assertTrue(console.bmc.machine.power())

    def test_old_bmc(self) -> None:
        """
        A BMC without cipher suites still speaks IPMI 1.5.
        """
        console = self.console(Profile(suites=())).log_in()

        self.assertEqual(0, console.do(GetChassisStatus()).code)

    def test_not_offered(self) -> None:
        """
        Without IPMI 1.5 in the profile there is no challenge; nor for another authentication.
        """
        modern, straight = self.console(Profile(ipmi15=False)), self.console()

        self.assertEqual(INVALID_DATA, modern.outside(GetSessionChallenge(AUTH_MD5, b"admin")).code)
        self.assertEqual(INVALID_DATA, straight.outside(GetSessionChallenge(AUTH_STRAIGHT, b"admin")).code)

    def test_unknown_user(self) -> None:
        """
        There is no challenge for a name that nobody has.
        """
        self.assertEqual(0x81, self.console().outside(GetSessionChallenge(AUTH_MD5, b"root")).code)

    def test_wrong_password(self) -> None:
        """
        Who does not know the password gets no answer.
        """
        console = self.console()
        console.password = b"guess"

        self.assertRaises(NoAnswer, console.log_in)

    def test_wrong_challenge(self) -> None:
        """
        The challenge must come back as it was.
        """
        console = self.console()
        answer = console.outside(GetSessionChallenge(AUTH_MD5, b"admin"))
        console.session_id = SessionChallenge.decode(answer.data).session_id

        self.assertEqual(INVALID_DATA, console.do(ActivateSession(AUTH_MD5, 4, bytes(16), 1)).code)

    def test_before_activation(self) -> None:
        """
        Before its activation a session can do nothing.
        """
        console = self.console()
        answer = console.outside(GetSessionChallenge(AUTH_MD5, b"admin"))
        console.session_id = SessionChallenge.decode(answer.data).session_id

        self.assertEqual(INSUFFICIENT_PRIVILEGE, console.do(GetChassisStatus()).code)

    def test_limits(self) -> None:
        """
        No level above the user's, and no session where slots are full.
        """
        console = self.console()
        console.username, console.password = b"oper", b"opsecret"
        challenge = SessionChallenge.decode(console.outside(GetSessionChallenge(AUTH_MD5, b"oper")).data)
        console.session_id = challenge.session_id
        too_high = console.do(ActivateSession(AUTH_MD5, 4, challenge.challenge, 1))
        console.bmc.faults = Faults(slots_full=True)
        full = console.do(ActivateSession(AUTH_MD5, 3, challenge.challenge, 1))

        self.assertEqual((0x86, 0x81), (too_high.code, full.code))

    def test_repeated_packet(self) -> None:
        """
        A packet that comes twice is one command.
        """
        console = self.console().log_in()
        request = LanRequest(0, 2, bytes((Control.ON,))).encode()
        packet = signed(AUTH_MD5, console.password, console.session_id, console.sequence, request).encode()
        console.ask(packet)

        self.assertRaises(NoAnswer, console.ask, packet)
        self.assertEqual(1, console.bmc.machine.count("on"))

    def test_without_code(self) -> None:
        """
        In a session each packet needs its code.
        """
        console = self.console().log_in()
        request = LanRequest(0, 2, bytes((Control.ON,))).encode()

        self.assertRaises(NoAnswer, console.ask, Session15(0, 5, console.session_id, request).encode())

    def test_close(self) -> None:
        """
        Closing is answered, and then the session is gone.
        """
        console = self.console().log_in()

        self.assertEqual(0, console.do(CloseSession(console.session_id)).code)
        self.assertRaises(NoAnswer, console.do, GetChassisStatus())
