# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.handshake`: who gets a session, and who does not.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.chassis import Control
from powercoord.drivers.ipmi.completion import (
    STATUS_BAD_INTEGRITY_VALUE,
    STATUS_BAD_SESSION,
    STATUS_NO_RESOURCES,
)
from powercoord.drivers.ipmi.quirks import combine
from powercoord.drivers.ipmi.rakp import NAME_ONLY
from powercoord.sim.bmc import Bmc
from powercoord.sim.faults import Faults
from powercoord.sim.firmware import INTEL, STANDARD, SUPERMICRO
from powercoord.sim.handshake import STATUS_NO_SUITE, STATUS_UNAUTHORIZED_NAME, STATUS_UNAUTHORIZED_ROLE
from powercoord.sim.profile import Privilege, Profile, User
from tests.sim_console import Console, NoAnswer, make_bmc, second_console


class HandshakeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def bmc(self, profile: Profile | None = None) -> Bmc:
        return make_bmc(self.clock, profile)


class LogInTests(HandshakeCase):
    def test_suites(self) -> None:
        """
        A session can be made with each suite on offer, and power can be changed in it.
        """
        for suite in (3, 8, 17):
            bmc = self.bmc(Profile(suites=(3, 8, 17)))
            console = Console(bmc, suite=suite).log_in()

            self.assertEqual((0, True), (console.control(Control.ON), console.power()))
            self.assertTrue(bmc.machine.power())

    def test_other_suite(self) -> None:
        """
        A suite that is not on offer gets its own status, and no slot.
        """
        bmc = self.bmc(Profile(suites=(17,)))

        self.assertEqual(STATUS_NO_SUITE, Console(bmc, suite=3).open().status)
        self.assertEqual(0, len(bmc.sessions))

    def test_kg(self) -> None:
        """
        With a K_g the session's key is made from it.
        """
        bmc = self.bmc(Profile(kg=b"rack one"))
        Console(bmc, kg=b"rack one").log_in()

        self.assertRaises(AssertionError, Console(bmc).log_in)

    def test_null_user(self) -> None:
        """
        The null user logs in with an empty name.
        """
        console = Console(self.bmc(), username=b"", password=b"test", privilege=2).log_in()

        self.assertFalse(console.power())

    def test_highest_privilege(self) -> None:
        """
        Privilege 0 in open session asks for the highest.
        """
        self.assertEqual(4, Console(self.bmc(), privilege=0).open().privilege)


class RefusalTests(HandshakeCase):
    def test_wrong_password(self) -> None:
        """
        A wrong password fails at the third message, and frees the slot.
        """
        bmc = self.bmc()
        console = Console(bmc, password=b"guess")
        console.open()
        console.rakp1()

        self.assertEqual(STATUS_BAD_INTEGRITY_VALUE, console.rakp3().status)
        self.assertEqual(0, len(bmc.sessions))

    def test_changed_password(self) -> None:
        """
        The fault makes the right password wrong, and another one right.
        """
        bmc = self.bmc()
        bmc.faults = Faults(password=b"changed")
        Console(bmc, password=b"changed").log_in()

        self.assertRaises(AssertionError, Console(bmc).log_in)

    def test_console_gives_up(self) -> None:
        """
        A console that says that the BMC's proof is wrong gets no answer and frees the slot.
        """
        bmc = self.bmc()
        console = Console(bmc)
        console.open()
        console.rakp1()

        self.assertRaises(NoAnswer, console.rakp3, STATUS_BAD_INTEGRITY_VALUE)
        self.assertEqual(0, len(bmc.sessions))

    def test_unknown_user(self) -> None:
        """
        A name that nobody has is unauthorized.
        """
        console = Console(self.bmc(), username=b"root")
        console.open()

        self.assertEqual(STATUS_UNAUTHORIZED_NAME, console.rakp1().status)

    def test_too_high_a_role(self) -> None:
        """
        A user gets no role above his own: by name the role is refused, by name and role the name.
        """
        for role, status in ((4 | NAME_ONLY, STATUS_UNAUTHORIZED_ROLE), (4, STATUS_UNAUTHORIZED_NAME)):
            console = Console(self.bmc(), username=b"oper", password=b"opsecret")
            console.open()

            self.assertEqual(status, console.rakp1(role).status)

    def test_same_name_twice(self) -> None:
        """
        Among users of one name, the first is found by name.
        """
        users = (User(b"admin", b"first"), User(b"admin", b"second", Privilege.USER))

        Console(self.bmc(Profile(users=users)), password=b"first").log_in()

    def test_unknown_session(self) -> None:
        """
        Messages about a session that is not there say so.
        """
        console = Console(self.bmc())
        console.open()
        console.rakp1()
        console.bmc.forget_sessions()

        self.assertEqual(STATUS_BAD_SESSION, console.rakp3().status)
        self.assertEqual(STATUS_BAD_SESSION, console.rakp1().status)

    def test_proof_before_name(self) -> None:
        """
        The third message is refused where the first never came.
        """
        bmc = self.bmc()
        honest = Console(bmc)
        honest.open()
        honest.rakp1()
        hasty = second_console(honest)
        hasty.open()
        hasty.exchange = honest.exchange

        self.assertEqual(STATUS_BAD_SESSION, hasty.rakp3().status)


class FirmwareTests(HandshakeCase):
    def test_workarounds(self) -> None:
        """
        Odd firmware needs the workaround that is named for it, and ordinary firmware none.
        """
        cases = (("intel20", INTEL), ("supermicro20", SUPERMICRO), ("none", STANDARD))
        for name, _ in cases:
            for owner, firmware in cases:
                console = Console(self.bmc(Profile(firmware=firmware)), quirks=combine([name]))
                if name == owner:
                    console.log_in()
                else:
                    self.assertRaises(AssertionError, console.log_in)

    def test_short_passwords(self) -> None:
        """
        Intel's firmware hashes 16 bytes of a password with MD5, and all of it otherwise.
        """
        users = (User(b"admin", b"0123456789abcdefghij"),)
        bmc = self.bmc(Profile(suites=(3, 8), users=users, firmware=INTEL))
        for suite, password in ((8, b"0123456789abcdef"), (3, b"0123456789abcdefghij")):
            Console(bmc, suite=suite, password=password, quirks=combine(["intel20"])).log_in()


class RepetitionTests(HandshakeCase):
    def test_repeated_messages(self) -> None:
        """
        A repeated message is answered as the first time, also when the session is made already.
        """
        console = Console(self.bmc())
        console.open()

        self.assertEqual(console.rakp1(), console.rakp1())
        self.assertEqual(console.rakp3(), console.rakp3())

    def test_repeated_proof(self) -> None:
        """
        A third message that comes again when the session is in use does not set it back.
        """
        console = Console(self.bmc()).log_in()
        console.rakp3()

        self.assertEqual(0, console.control(Control.ON))

    def test_other_random_number(self) -> None:
        """
        A first message with another random number begins anew.
        """
        console = Console(self.bmc())
        console.open()

        self.assertNotEqual(
            console.rakp1(random=b"1" * 16).managed_random, console.rakp1(random=b"2" * 16).managed_random
        )


class SlotTests(HandshakeCase):
    def test_all_taken(self) -> None:
        """
        When all slots have sessions there is no other one until one is idle for too long.
        """
        bmc = self.bmc(Profile(slots=2, idle_timeout=60.0))
        Console(bmc, console_id=1).log_in()
        self.clock.advance(30.0)
        Console(bmc, console_id=2).log_in()
        full = Console(bmc).open().status
        self.clock.advance(31.0)

        self.assertEqual((STATUS_NO_RESOURCES, 0), (full, Console(bmc).open().status))

    def test_unfinished(self) -> None:
        """
        Sessions that nobody finished making give their slot to new ones; those in use do not.
        """
        bmc = self.bmc(Profile(slots=2))
        busy = Console(bmc, console_id=1).log_in()
        for number in range(5):
            Console(bmc, console_id=10 + number).open()

        self.assertFalse(busy.power())
        self.assertEqual(2, len(bmc.sessions))

    def test_fault(self) -> None:
        """
        The fault "slots full" refuses new sessions and leaves the others alone.
        """
        bmc = self.bmc()
        console = Console(bmc).log_in()
        bmc.faults = Faults(slots_full=True)

        self.assertEqual(STATUS_NO_RESOURCES, second_console(console).open().status)
        self.assertFalse(console.power())
