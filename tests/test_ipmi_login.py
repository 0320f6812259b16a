# SPDX-License-Identifier: MIT
"""
Tests for the scripts that open sessions, and for the quirks of firmware.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.settings import PrivilegeLevel
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import Command, PowerState
from tests.ipmi_bmc import ScriptedBmc
from tests.ipmi_world import PEER, World


class LoginCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def error(self, bmc: dict[str, Any] | None = None, **settings: Any) -> PowerError:
        """
        What a read of a BMC fails with.
        """
        self.last = self.world.bmc(**(bmc or {}))
        outcome = self.world.finish(self.world.read(self.world.target(**settings)))
        self.assertIsInstance(outcome.error, PowerError)
        error: PowerError = outcome.error
        return error

    def works(self, bmc: dict[str, Any] | None = None, **settings: Any) -> ScriptedBmc:
        """
        Change the power of a BMC and read it.
        """
        found = self.world.bmc(**(bmc or {}))
        target = self.world.target(**settings)
        self.world.finish(self.world.command(Command.ON, target)).result  # noqa: B018
        self.assertIs(PowerState.ON, self.world.finish(self.world.read(target)).result)
        return found


class AuthenticationTests(LoginCase):
    """
    Who may come in.
    """

    def test_wrong_password(self) -> None:
        """
        A wrong password is found out before ours is shown, tried once, and never retried.
        """
        error = self.error(password="guess")
        self.assertIsInstance(error, PowerAuthError)
        self.assertFalse(error.retryable)
        self.assertIn("password for user 'admin'", str(error))
        self.assertNotIn("guess", str(error))
        self.assertEqual(["open", "rakp1", "rakp3", "broken-off"], self.last.log)

    def test_unknown_user(self) -> None:
        """
        An unknown user is named, with the BMC's words.
        """
        error = self.error(username="nobody")
        self.assertIsInstance(error, PowerAuthError)
        self.assertIn("'nobody'", str(error))
        self.assertIn("unauthorized name (RMCP+ status 0x0d)", str(error))

    def test_null_user(self) -> None:
        """
        The null user has no name, and may have no password.
        """
        self.works({"username": b"", "password": b""}, username="", password="")

    def test_k_g(self) -> None:
        """
        A K_g is used where the BMC has one, as text or in hexadecimal digits.
        """
        self.works({"k_g": b"\x01\x02\xff"}, k_g="0x0102ff")
        self.world = World()
        self.works({"k_g": b"key"}, k_g="key")

    def test_wrong_k_g(self) -> None:
        """
        A wrong K_g has words of its own, and so has a missing one.
        """
        error = self.error({"k_g": b"right"}, k_g="wrong")
        self.assertIsInstance(error, PowerAuthError)
        self.assertIn("K_g is wrong", str(error))
        self.assertNotIn("right", str(error))
        self.world = World()
        self.assertIn("no k_g is set", str(self.error({"k_g": b"right"})))

    def test_statuses(self) -> None:
        """
        Each refusal in RAKP 2 and 4 becomes the error that says what to do about it.
        """
        expected = {
            ("rakp1", 0x0A): PowerAuthError,
            ("rakp1", 0x0C): PowerAuthError,
            ("rakp1", 0x09): PowerAuthError,
            ("rakp1", 0x12): PowerRefusedError,
            ("rakp3", 0x0F): PowerAuthError,
            ("rakp3", 0x0D): PowerAuthError,
            ("rakp3", 0x03): PowerRefusedError,
        }
        for (stage, status), kind in expected.items():
            for short in (False, True):
                self.world = World()
                error = self.error({"statuses": {stage: [status] * 9}, "short_errors": short})
                self.assertIs(kind, type(error), f"{stage} {status:#x}")
                self.assertIn(f"{status:#04x}", str(error))

    def test_lost_session(self) -> None:
        """
        A BMC that lost the session half-way is begun with again, but not for ever.
        """
        self.works({"statuses": {"rakp1": [0x02], "rakp3": [0x08]}})
        self.world = World()
        error = self.error({"statuses": {"rakp1": [0x02] * 50}})
        self.assertIsInstance(error, PowerConnError)
        self.assertEqual(4, self.last.log.count("open"))

    def test_answers_to_an_older_question(self) -> None:
        """
        A late answer to an earlier login is not taken for one to this.
        """
        bmc = self.world.bmc(statuses={"rakp1": [0x0D]})
        self.world.finish(self.world.read())
        refusal = self.world.answered[-1]
        bmc.log.clear()
        outcome = self.world.read()
        while "rakp1" not in bmc.log:
            self.world.clock.advance(0.01)
        self.world.fleet.received(refusal, PEER)
        self.assertIs(PowerState.OFF, self.world.finish(outcome).result)

    def test_no_secrets(self) -> None:
        """
        Passwords and keys are in no error and no repr.
        """
        target = self.world.target(password="hunter2", k_g="0x6b6579")
        login = self.world.driver._login(target)  # noqa: SLF001
        for text in (repr(target), repr(login), repr(self.world.driver)):
            self.assertNotIn("hunter2", text)
            self.assertNotIn("6b6579", text)


class SlotTests(LoginCase):
    """
    All session slots taken.
    """

    def test_free_again(self) -> None:
        """
        It is tried again a little later, within the operation's time.
        """
        self.works({"statuses": {"open": [0x01, 0x01]}})
        self.world = World()
        self.works({"statuses": {"rakp1": [0x01]}})

    def test_never_free(self) -> None:
        """
        If they stay taken, the error says so and may be retried.
        """
        error = self.error({"statuses": {"open": [0x01] * 50}})
        self.assertIsInstance(error, PowerConnError)
        self.assertTrue(error.retryable)
        self.assertIn("all session slots are taken", str(error))
        self.assertLess(self.last.log.count("open"), 12)


class SuiteTests(LoginCase):
    """
    Which algorithms.
    """

    def test_downgrade(self) -> None:
        """
        A BMC without the first suite gets the next one allowed, and is asked for that one the next time.
        """
        bmc = self.works({"suites": (3,)})
        self.assertEqual(2, bmc.log.count("open"))
        self.world.pass_time(30)
        bmc.log.clear()
        self.world.state()
        self.assertEqual(1, bmc.log.count("open"))

    def test_not_allowed(self) -> None:
        """
        Without a common suite it fails for good, naming what was asked for and the BMC's reason.
        """
        error = self.error({"suites": (3,)}, cipher_suites=(17,))
        self.assertIsInstance(error, PowerSettingError)
        self.assertIn("cipher suite 17", str(error))
        self.assertIn("0x11", str(error))

    def test_old_words_for_no_suite(self) -> None:
        """
        Old firmware says "no such suite" in other words; they mean the next one, too.
        """
        for status in (0x04, 0x05, 0x10, 0x12):
            self.world = World()
            self.works({"statuses": {"open": [status]}})

    def test_answers_another_suite(self) -> None:
        """
        A BMC that answers with another suite than asked for gets that one if it is allowed.
        """
        self.works({"answer_suite": 3})
        self.world = World()
        error = self.error({"answer_suite": 3}, cipher_suites=(17,))
        self.assertIn("other algorithms", str(error))

    def test_other_refusal(self) -> None:
        """
        Any other refusal of a session ends it there.
        """
        error = self.error({"statuses": {"open": [0x03]}})
        self.assertIsInstance(error, PowerRefusedError)
        self.assertIn("invalid payload type", str(error))

    def test_suite_8(self) -> None:
        """
        Suite 8 works where the operator asks for it.
        """
        self.works({"suites": (8,)}, cipher_suites=(8,))


class LevelTests(LoginCase):
    """
    Privilege levels.
    """

    def test_same_level_in_both(self) -> None:
        """
        Open session asks for the level of RAKP 1, so that firmware that hashes it is no exception.
        """
        bmc = self.works({"hash_open_privilege": True})
        self.assertEqual([3], bmc.opened_with)

    def test_highest(self) -> None:
        """
        A BMC that does not want that level is asked for the highest, whichever of the two it hashes.
        """
        for hashes in (True, False):
            self.world = World()
            bmc = self.works({"statuses": {"open": [0x09]}, "hash_open_privilege": hashes})
            self.assertEqual([3, 0], bmc.opened_with)

    def test_not_the_highest(self) -> None:
        """
        With the flag opensesspriv it is not.
        """
        error = self.error(
            {"statuses": {"open": [0x09] * 9}}, cipher_suites=(17,), workaround_flags=("opensesspriv",)
        )
        self.assertEqual([3], self.last.opened_with)
        self.assertIn("invalid role", str(error))

    def test_cannot_have_it(self) -> None:
        """
        A user who cannot have the level is told so, by the first change.
        """
        self.world.bmc(codes={"privilege": [0x81]})
        outcome = self.world.finish(self.world.command(Command.ON))
        self.assertIsInstance(outcome.error, PowerAuthError)
        self.assertIn("above the limit", str(outcome.error))

    def test_reading_needs_it(self) -> None:
        """
        A BMC that wants the level even for a read gets it, and the read is repeated.
        """
        bmc = self.world.bmc(codes={"status": [0xD4]})
        self.assertIs(PowerState.OFF, self.world.state())
        self.assertEqual(["status", "privilege", "status"], bmc.log[-3:])

    def test_admin(self) -> None:
        """
        The level asked for is the one in the settings.
        """
        bmc = self.works(privilege_level=PrivilegeLevel.ADMIN)
        self.assertEqual(4, bmc.privilege)


class CompletionTests(LoginCase):
    """
    Commands that the BMC does not carry out.
    """

    def outcome(self, command: str, code: int, wanted: Command | None) -> PowerError:
        """
        What an operation fails with when a command has a completion code.
        """
        self.world = World()
        self.world.bmc(codes={command: [code] * 9})
        started = self.world.read() if wanted is None else self.world.command(wanted)
        error: PowerError = self.world.finish(started).error
        return error

    def test_passing(self) -> None:
        """
        "Busy" and its like may be tried again.
        """
        for code in (0xC0, 0xC4, 0xD1, 0xD2):
            error = self.outcome("control", code, Command.ON)
            self.assertIs(PowerActionError, type(error))
            self.assertFalse(error.sent)

    def test_refusals(self) -> None:
        """
        A refusal is for good, with the code in words and in hexadecimal.
        """
        expected = {
            0xC1: "invalid command",
            0xCC: "invalid data field",
            0xD4: "insufficient privilege",
            0xD5: "command or parameter not supported in the present state",
            0xFF: "unspecified error",
            0x91: "command specific code",
        }
        for code, words in expected.items():
            error = self.outcome("control", code, Command.OFF)
            self.assertIs(PowerRefusedError, type(error))
            self.assertIn(f"192.0.2.1:623: power command 'off': {words}", str(error))
            self.assertIn(f"{code:#04x}", str(error))

    def test_done_perhaps(self) -> None:
        """
        After a timeout inside the BMC nobody knows whether it was done, and the error says so.
        """
        for code in (0xC3, 0xCE, 0xCF):
            error = self.outcome("control", code, Command.OFF)
            self.assertIs(PowerActionError, type(error))
            self.assertTrue(error.sent)

    def test_no_sense(self) -> None:
        """
        An answer that makes no sense fails its operation, and may be tried again.
        """

        class Senseless(ScriptedBmc):
            def _do(self, name: str, request: Any) -> bytes:
                return b""

        world = World()
        world.bmcs[PEER] = Senseless()
        error = world.finish(world.read()).error
        self.assertIsInstance(error, PowerActionError)
        self.assertIn("Get Chassis Status", str(error))

    def test_reads(self) -> None:
        """
        The same for reads, of which none is a change.
        """
        self.assertIsInstance(self.outcome("status", 0xC0, None), PowerActionError)
        self.assertIsInstance(self.outcome("status", 0xC1, None), PowerRefusedError)
        self.assertFalse(self.outcome("status", 0xC3, None).sent)


class QuirkTests(LoginCase):
    """
    Firmware that needs a flag.
    """

    def test_long_code(self) -> None:
        """
        One byte too many in RAKP 2 is an error, unless supermicro20 or sun20 is set.
        """
        self.assertIsInstance(self.error({"rakp2_surplus": b"\0"}), PowerAuthError)
        for flag in ("supermicro20", "sun20"):
            self.world = World()
            self.works({"rakp2_surplus": b"\0"}, workaround_flags=(flag,))

    def test_padded_name(self) -> None:
        """
        With intel20 the name in RAKP 1 has 16 bytes.
        """
        self.world.bmc(username=b"admin".ljust(16, b"\0"))
        outcome = self.world.finish(self.world.read(self.world.target(workaround_flags=("intel20",))))
        # This BMC does not compute RAKP 4 as such firmware does: it gets as far as that.
        self.assertIn("could not prove", str(outcome.error))

    def test_checksum(self) -> None:
        """
        A wrong checksum inside a sealed packet is believed with nochecksumcheck only.
        """

        class Broken(ScriptedBmc):
            def _command(self, request: Any) -> tuple[str, bytes]:
                name, message = super()._command(request)
                return name, message[:-1] + bytes((message[-1] ^ 1,)) if message else b""

        for flags, works in (((), False), (("nochecksumcheck",), True)):
            world = World()
            world.bmcs[("192.0.2.1", 623)] = Broken()
            outcome = world.finish(world.read(world.target(workaround_flags=flags)))
            self.assertEqual(works, outcome.results == [PowerState.OFF])


class Ipmi15Tests(LoginCase):
    """
    BMCs without RMCP+, where the operator allows it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.old = {"speaks_rmcpplus": False, "suites": ()}

    def test_not_allowed(self) -> None:
        """
        IPMI 1.5 is not used unless it is allowed.
        """
        self.assertIsInstance(self.error(self.old), PowerSettingError)

    def test_works(self) -> None:
        """
        Allowed, everything works: on, read, kept session, close.
        """
        bmc = self.works(self.old, allow_ipmi15=True)
        self.world.pass_time(30)
        self.assertEqual((1, 1), (bmc.sessions, bmc.log.count("close")))

    def test_no_per_message(self) -> None:
        """
        Where both agree on it, packets carry no codes; with forcepermsg they do.
        """
        self.works({**self.old, "per_message": False}, allow_ipmi15=True)
        self.world = World()
        bmc = self.world.bmc(**self.old, per_message=False)
        target = self.world.target(allow_ipmi15=True, workaround_flags=("forcepermsg",))
        self.world.finish(self.world.read(target, seconds=1))
        self.assertEqual(2, bmc.datagrams[-1][4])

    def test_better_is_used(self) -> None:
        """
        A BMC that has RMCP+ gets RMCP+.
        """
        bmc = self.works(allow_ipmi15=True)
        self.assertIn("rakp3", bmc.log)
        self.assertEqual(1, bmc.log.count("capabilities"))

    def test_fallback(self) -> None:
        """
        One that claims RMCP+ and has no suite in common gets IPMI 1.5.
        """
        bmc = self.works({"suites": ()}, allow_ipmi15=True)
        self.assertIn("activate", bmc.log)

    def test_better_again(self) -> None:
        """
        That RMCP+ was not possible once is not remembered, and that it was saves a question.
        """
        bmc = self.world.bmc(suites=())
        target = self.world.target(allow_ipmi15=True)
        self.world.finish(self.world.read(target)).result  # noqa: B018
        self.world.pass_time(30)
        bmc.suites = (3,)
        for questions in (1, 0):
            bmc.log.clear()
            self.world.finish(self.world.read(target)).result  # noqa: B018
            self.assertIn("rakp3", bmc.log)
            self.assertEqual(questions, bmc.log.count("capabilities"))
            self.world.pass_time(30)
        bmc.suites = ()
        self.assertIs(PowerState.OFF, self.world.finish(self.world.read(target)).result)

    def test_wrong_password(self) -> None:
        """
        A wrong password is silence, is tried no more than twice, and is never retried.
        """
        error = self.error(self.old, allow_ipmi15=True, password="guess")
        self.assertIsInstance(error, PowerAuthError)
        self.assertEqual(2, self.last.log.count("wrong-code"))

    def test_unknown_user(self) -> None:
        """
        An unknown user is named.
        """
        error = self.error(self.old, allow_ipmi15=True, username="nobody")
        self.assertIsInstance(error, PowerAuthError)
        self.assertIn("'nobody': invalid user name", str(error))

    def test_codes(self) -> None:
        """
        Full slots are waited for, a lost session begins again, a level too high is for good.
        """
        for codes in ([0x81], [0x85], [0x82, 0x84]):
            self.world = World()
            self.works({**self.old, "codes": {"activated": codes}}, allow_ipmi15=True)
        self.world = World()
        error = self.error({**self.old, "codes": {"activated": [0x86]}}, allow_ipmi15=True)
        self.assertIsInstance(error, PowerAuthError)
        self.world = World()
        error = self.error({**self.old, "codes": {"activated": [0xC1]}}, allow_ipmi15=True)
        self.assertIsInstance(error, PowerRefusedError)

    def test_lost(self) -> None:
        """
        Lost answers are made up for.
        """
        for name in ("capabilities", "challenge", "privilege", "control", "status"):
            lost = [name]

            def once(other: str, lost: list[str] = lost) -> bool:
                return bool(lost) and other == lost[0] and bool(lost.pop())

            self.world = World()
            self.works({**self.old, "lost": once}, allow_ipmi15=True)

    def test_refused_capabilities(self) -> None:
        """
        Old firmware that refuses to be asked about RMCP+ is asked without that.
        """
        self.works({**self.old, "codes": {"capabilities": [0xCC]}}, allow_ipmi15=True)
        self.world = World()
        error = self.error({**self.old, "codes": {"capabilities": [0xCC] * 9}}, allow_ipmi15=True)
        self.assertIsInstance(error, PowerRefusedError)

    def test_no_sense(self) -> None:
        """
        An answer that makes no sense fails its operation, and may be tried again.
        """

        class Senseless(ScriptedBmc):
            def _do(self, name: str, request: Any) -> bytes:
                return b""

        world = World()
        world.bmcs[PEER] = Senseless(**self.old)
        error = world.finish(world.read(world.target(allow_ipmi15=True))).error
        self.assertIsInstance(error, PowerActionError)

    def test_quirky_answers(self) -> None:
        """
        Answers with session id 0, with swapped numbers or with wrong codes need their flags.
        """
        changes = {
            "idzero": lambda datagram: datagram[:9] + bytes(4) + datagram[13:],
            "noauthcodecheck": lambda datagram: datagram[:13] + bytes(16) + datagram[29:],
        }
        for flag, change in changes.items():
            for flags in ((), (flag,), (flag, "noauthcodecheck")):
                self.world = World()

                def garble(name: str, datagram: bytes, change: Any = change) -> bytes:
                    return change(datagram) if name == "status" else datagram

                self.world.bmc(**self.old, garble=garble)
                target = self.world.target(allow_ipmi15=True, workaround_flags=flags)
                outcome = self.world.finish(self.world.read(target))
                works = "noauthcodecheck" in flags and flag in flags
                self.assertEqual(works, outcome.results == [PowerState.OFF], f"{flag} {flags}")
