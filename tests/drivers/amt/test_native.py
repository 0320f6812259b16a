# SPDX-License-Identifier: MIT
"""
The AMT driver, message by message, with a device in memory.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.certificates import ICertified
from powercoord.drivers.amt import driver
from powercoord.drivers.amt.device import REST
from powercoord.drivers.amt.namespaces import POWER_SERVICE
from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
)
from powercoord.interfaces import IPowerDriver
from powercoord.model import Command, PowerState, Target
from tests.drivers.amt.documents import fault, output, power, saving
from tests.drivers.amt.world import CHANGE, PASSWORD, READ, STANDBY, WAKE, Outcome, Reply, World
from tests.drivers.web.world import Errand


class AmtCase(SynchronousTestCase):
    """
    With a device that is off; nothing may be left behind.
    """

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.close)

    def close(self) -> None:
        closing = Deferred.fromCoroutine(self.world.driver.close())
        self.world.web.clock.advance(1)
        self.successResultOf(closing)
        self.assertEqual([], self.world.web.clock.getDelayedCalls())

    def done(self, outcome: Outcome) -> object:
        return self.world.run(outcome).result

    def error(self, outcome: Outcome, kind: type[PowerError], *words: str) -> PowerError:
        """
        What it fails with: of this class, on one line, with these words and no secret in it.
        """
        error = self.world.run(outcome).error
        self.assertIs(kind, type(error), error)
        for word in (*words, "http://192.0.2.1:16992: "):
            self.assertIn(word, str(error))
        self.assertNotIn("\n", str(error))
        self.assertNotIn(PASSWORD, str(error))
        return error


class LoginTests(AmtCase):
    def test_provides(self) -> None:
        """
        It is a driver, and one whose devices have certificates.
        """
        for door in (IPowerDriver, ICertified):
            verifyObject(door, driver(self.world.web.clock))

    def test_first(self) -> None:
        """
        The device asks for credentials once, closes the connection, and is given them on the next.
        """
        self.assertIs(PowerState.OFF, self.done(self.world.read()))

        self.assertEqual((1, 0, 2), (self.world.asked, self.world.refused, self.world.web.attempts))
        self.assertEqual(("n1", "00000001"), self.used())

    def test_again(self) -> None:
        """
        What was accepted is used for the next operations, on the connection that there is.
        """
        for _ in range(3):
            self.done(self.world.read())

        self.assertEqual((1, 2), (self.world.asked, self.world.web.attempts))
        self.assertEqual(("n1", "00000003"), self.used())

    def test_open_connection(self) -> None:
        """
        A device that does not close the connection behind its challenge is answered on it.
        """
        self.world.closes = False
        self.done(self.world.read())

        self.assertEqual((1, 1), (self.world.asked, self.world.web.attempts))

    def test_restarted(self) -> None:
        """
        A device that has forgotten its nonce is given credentials of a new one, without a try that counts.
        """
        self.done(self.world.read())
        self.world.nonce = "n2"
        self.done(self.world.command(Command.ON))

        self.assertEqual(("n2", "1"), (self.used()[0], str(self.world.refused)))
        self.assertEqual(["2"], self.world.commands)

    def test_nonce_used_up_by_a_read(self) -> None:
        """
        Should the nonce go stale between the read and the command, that leaves once more, and counts once.
        """
        self.world.stale = "true"
        outcome = self.world.command(Command.OFF)
        self.world.serve_one()
        self.world.serve_one()
        self.world.nonce = "n2"
        self.done(outcome)

        self.assertEqual(["8"], self.world.commands)
        self.assertEqual("n2", self.used()[0])

    def test_wrong_password(self) -> None:
        """
        A refused password is tried once, and again only if an operation asks for it; then, too, once.
        """
        self.world.password = "changed"
        for refused in (1, 2):
            self.error(self.world.read(), PowerAuthError, "user name or password refused", "not tried again")
            self.assertEqual(refused, self.world.refused)

    def test_password_changed(self) -> None:
        """
        A password that is not taken any more is found out by a read: no command leaves.
        """
        self.done(self.world.read())
        self.world.password = "changed"
        outcome = self.world.command(Command.OFF)
        error = self.error(outcome, PowerAuthError)

        self.assertEqual((1, 0, False), (self.world.refused, outcome.errand.announced, error.sent))

    def test_other_settings(self) -> None:
        """
        With another password nothing of the old login is used.
        """
        self.done(self.world.read())
        self.done(self.world.read(timeout=3.0))

        self.assertEqual(2, self.world.asked)

    def test_no_digest(self) -> None:
        """
        A server that offers no digest is told, and hears no password.
        """
        outcome = self.world.read()
        self.world.web.turn()
        self.world.web.say(b"", "401 Unauthorized", WWW_Authenticate='Basic realm="x"')

        self.error(outcome, PowerRefusedError, "no way to log in", "schemes offered: basic")

    def test_no_nonce_is_good(self) -> None:
        """
        A device that calls each of its nonces stale is to blame itself, and is not asked for ever.
        """
        self.world.stale = "true"
        self.world.password = "unknown, but the device does not say so"

        self.error(self.world.read(), PowerActionError, "stale")
        self.assertEqual((1, 2), (self.world.asked, self.world.refused))

    def used(self) -> tuple[str, str]:
        """
        The nonce and its count that came last.
        """
        credentials = self.world.heard[-1].credentials
        return credentials["nonce"], credentials["nc"]


class MemoryTests(AmtCase):
    def test_forgets(self) -> None:
        """
        With more devices than are remembered, one that nobody speaks to is logged in to anew.
        """
        self.world.driver.most = 2
        for timeout in (1.0, 2.0, 3.0, 3.0, 2.0, 1.0):
            self.done(self.world.read(timeout=timeout))

        self.assertEqual(4, self.world.asked)

    def test_foreign_settings(self) -> None:
        """
        Settings of another driver are a mistake of the program.
        """
        target = Target("other", "x", "", object())
        self.failureResultOf(Deferred.fromCoroutine(self.world.driver.read(target, Errand())), TypeError)


class ReadTests(AmtCase):
    def test_states(self) -> None:
        """
        Each number that means on or off is that, and no other is guessed.
        """
        for numbers, state in (((2, 3, 4), PowerState.ON), ((6, 7, 8, 12, 13), PowerState.OFF)):
            for each in numbers:
                self.world.says(READ, power(each))
                self.assertIs(state, self.done(self.world.read()), each)
        for each, words in (
            (0, "neither"),
            (1, "neither"),
            (5, "power cycle"),
            (10, "reset"),
            (11, "interrupt"),
            (17, "neither"),
        ):
            self.world.says(READ, power(each))
            self.error(self.world.read(), PowerActionError, f"PowerState {each}: ", words)

    def test_one_message(self) -> None:
        """
        A read is one message, and announces nothing.
        """
        outcome = self.world.read()
        self.done(outcome)

        self.assertEqual(([READ], 0), (self.world.names, outcome.errand.announced))

    def test_nonsense(self) -> None:
        """
        An answer that makes no sense is no state, and may be a better one later.
        """
        for reply, words in (
            (Reply(b"<html>"), "not the XML"),
            (Reply(power("on")), "no usable PowerState"),
            (Reply(b"", "302 Found"), "HTTP 302"),
            (Reply(power(2), "400 Bad Request"), "HTTP 400 without a fault"),
            (Reply(b"oops", "500 Internal Server Error"), "HTTP 500"),
            (Reply(b"", "503 Service Unavailable"), "busy"),
            (Reply(b"", "418 Teapot"), "HTTP 418"),
        ):
            self.world.says(READ, reply)
            self.assertFalse(self.error(self.world.read(), PowerActionError, words).sent)

    def test_not_amt(self) -> None:
        """
        What will not change by itself is not tried again.
        """
        for status, words in (("404 Not Found", "is the port right?"), ("403 Forbidden", "may not do that")):
            self.world.says(READ, Reply(b"", status))
            self.error(self.world.read(), PowerRefusedError, words)

    def test_stale_connection(self) -> None:
        """
        A read that meets a connection which the device has closed meanwhile is sent on a new one.
        """
        self.done(self.world.read())
        self.world.says(READ, Reply(lost=True), power(2))

        self.assertIs(PowerState.ON, self.done(self.world.read()))

    def test_silence(self) -> None:
        """
        A device that does not answer is dead after the timeout, or at the deadline.
        """
        self.world.says(READ, Reply(silent=True))
        for allowed, limit in ((100.0, 15.0), (3.0, 3.0)):
            errand = Errand(self.world.web.clock.seconds() + allowed)
            outcome = self.world.run(self.world.read(errand=errand))
            self.world.web.clock.advance(limit - 0.2)
            self.assertFalse(outcome.over)
            self.world.web.clock.advance(0.11)
            self.error(outcome, PowerConnError, "no answer within")


class CommandTests(AmtCase):
    def test_commands(self) -> None:
        """
        Each command is one request for a state, behind a read, and is announced once.
        """
        self.world.says(READ, power(2))
        for command, wanted in (("on", "2"), ("off", "8"), ("soft", "12"), ("reset", "10")):
            self.world.heard.clear()
            outcome = self.world.command(Command(command))
            self.assertIsNone(self.done(outcome))
            self.assertEqual([wanted], self.world.commands)
            self.assertEqual((READ, CHANGE), (self.world.names[0], self.world.names[-1]))
            self.assertEqual(1, outcome.errand.announced)

    def test_no_soft_stop(self) -> None:
        """
        A soft stop that the device does not offer now is refused by us, and nothing of it leaves.
        """
        self.world.says(READ, power(2, available=(8, 10, 5)))
        outcome = self.world.command(Command.SOFT)

        self.assertFalse(self.error(outcome, PowerRefusedError, "no soft stop now").sent)
        self.assertEqual(([READ], 0), (self.world.names, outcome.errand.announced))

    def test_return_values(self) -> None:
        """
        Each ReturnValue is what it says: done, not now, or never.
        """
        for value, kind, words in (
            (0, None, ""),
            (4096, None, ""),
            (1, PowerRefusedError, "does not support"),
            (2, PowerActionError, "failed"),
            (3, PowerActionError, "within its own time"),
            (4, PowerActionError, "failed"),
            (5, PowerRefusedError, "parameter"),
            (6, PowerActionError, "in use"),
            (4097, PowerActionError, "no valid change"),
            (4098, PowerRefusedError, "time limit"),
            (4099, PowerActionError, "busy"),
            (77, PowerActionError, "no meaning known to us"),
        ):
            self.world.says(CHANGE, output(POWER_SERVICE, CHANGE, value))
            outcome = self.world.command(Command.RESET)
            if kind is None:
                self.assertIsNone(self.done(outcome))
            else:
                error = self.error(outcome, kind, CHANGE, f"ReturnValue {value}: ", words)
                self.assertEqual(value == 3, error.sent, value)

    def test_invalid_transition(self) -> None:
        """
        A change that is invalid because the machine is there already is done; else it may be tried again.
        """
        self.world.says(CHANGE, output(POWER_SERVICE, CHANGE, 4097))
        for command, state, done in (
            (Command.ON, 2, True),
            (Command.ON, 8, False),
            (Command.OFF, 8, True),
            (Command.OFF, 2, False),
            (Command.SOFT, 6, True),
            (Command.RESET, 2, False),
        ):
            self.world.says(READ, power(state))
            outcome = self.world.command(command)
            if done:
                self.assertIsNone(self.done(outcome))
            else:
                self.error(outcome, PowerActionError, "ReturnValue 4097")

    def test_faults(self) -> None:
        """
        A fault is busy, unknown, or a no; its words are told.
        """
        for code, kind, sent in (
            ("QuotaLimit", PowerActionError, False),
            ("Concurrency", PowerActionError, False),
            ("EndpointUnavailable", PowerActionError, False),
            ("TimedOut", PowerActionError, True),
            ("InternalError", PowerActionError, True),
            ("AccessDenied", PowerRefusedError, False),
            ("InvalidRepresentation", PowerRefusedError, False),
        ):
            for status in ("400 Bad Request", "500 Internal Server Error", "200 OK"):
                self.world.says(CHANGE, Reply(fault(code), status))
                error = self.error(self.world.command(Command.OFF), kind, f"{CHANGE}: {code} (because)")
                self.assertEqual(sent, error.sent, code)

    def test_lost_answer(self) -> None:
        """
        A command whose answer is lost may have arrived, and is not sent again.
        """
        for reply, kind in (
            (Reply(lost=True), PowerConnError),
            (Reply(silent=True), PowerConnError),
            (Reply(b"<html>"), PowerActionError),
            (Reply(b"", "418 Teapot"), PowerActionError),
            (Reply(output(POWER_SERVICE, CHANGE, "")), PowerActionError),
        ):
            self.world.heard.clear()
            self.world.says(CHANGE, reply)
            outcome = self.world.run(self.world.command(Command.RESET))
            self.world.web.clock.advance(15)
            self.assertTrue(self.error(outcome, kind).sent)
            self.assertEqual(["10"], self.world.commands)

    def test_lost_before(self) -> None:
        """
        What fails before the command has left was not sent.
        """
        self.world.web.refuses = True
        outcome = self.world.command(Command.OFF)

        self.assertFalse(self.error(outcome, PowerConnError, "connection refused").sent)
        self.assertEqual(0, outcome.errand.announced)


class StandbyTests(AmtCase):
    def test_woken(self) -> None:
        """
        A machine in modern standby is brought to full power before it is told to be on, and no other is.
        """
        self.world.says(STANDBY, saving(3), saving(2))
        self.done(self.world.command(Command.ON))
        self.assertEqual([READ, STANDBY, WAKE, CHANGE], self.world.names)
        self.world.heard.clear()
        self.done(self.world.command(Command.ON))

        self.assertEqual([READ, STANDBY, CHANGE], self.world.names)

    def test_refused(self) -> None:
        """
        What the device says to that is of no account: the command counts.
        """
        self.world.fails(WAKE, "InternalError")
        for standby in (saving(3), Reply(b"", "403 Forbidden"), Reply(b"<html>")):
            self.world.heard.clear()
            self.world.says(STANDBY, standby)
            self.assertIsNone(self.done(self.world.command(Command.ON)))
            self.assertEqual(["2"], self.world.commands)

    def test_no_such_class(self) -> None:
        """
        A device that knows of no standby is asked about it once; one that was only busy is asked again.
        """
        self.world.fails(STANDBY, "QuotaLimit")
        self.done(self.world.command(Command.ON))
        self.world.fails(STANDBY, "DestinationUnreachable")
        for _ in range(3):
            self.done(self.world.command(Command.ON))

        self.assertEqual(2, self.world.names.count(STANDBY))
        self.assertEqual(["2"] * 4, self.world.commands)


class QueueTests(AmtCase):
    def test_one_at_a_time(self) -> None:
        """
        Operations of one device wait in line, with a rest between them.
        """
        first, second = self.world.read(), self.world.command(Command.OFF)
        self.world.serve()
        self.assertEqual((True, False), (first.over, second.over))
        self.world.web.clock.advance(REST / 2)
        self.world.serve()
        self.assertEqual([READ], self.world.names)
        self.done(second)

        self.assertEqual([READ, READ, CHANGE], self.world.names)

    def test_waits_too_long(self) -> None:
        """
        Who does not get its turn in time has sent nothing.
        """
        self.world.says(READ, Reply(silent=True))
        self.world.read()
        second = self.world.command(Command.OFF, errand=Errand(deadline=5.0))
        self.world.serve()
        self.world.web.clock.advance(5.0)

        self.assertFalse(self.error(second, PowerConnError, "still busy").sent)
        self.assertEqual(0, second.errand.announced)

    def test_closed(self) -> None:
        """
        Closing ends what goes on and what waits; afterwards nothing is begun.
        """
        first, second = self.world.read(), self.world.read()
        self.world.web.turn()
        self.close()
        for outcome in (first, second, self.world.read()):
            self.error(outcome, PowerConnError, "closed")


class CancelTests(AmtCase):
    def test_polite(self) -> None:
        """
        Politely cancelled before its command has left, an operation ends there and then, and nothing leaves.
        """
        for answered in range(4):
            self.world.heard.clear()
            self.world.says(STANDBY, saving(2))
            outcome = self.world.command(Command.ON)
            for _ in range(answered):
                self.world.serve_one()
            if outcome.errand.announced:
                break
            outcome.errand.stop()
            self.assertIs(OperationCancelled, type(outcome.error))
            self.world.run(outcome)
            self.assertEqual([], self.world.commands)

    def test_polite_after_sending(self) -> None:
        """
        One whose command has left waits for the answer and is what that says.
        """
        self.world.says(READ, power(2))
        outcome = self.world.command(Command.OFF)
        while not outcome.errand.announced:
            self.world.serve_one()
        outcome.errand.stop()
        self.assertFalse(outcome.over)

        self.assertIsNone(self.done(outcome))

    def test_polite_in_line(self) -> None:
        """
        One that waits in line leaves it.
        """
        self.world.read()
        waiting = self.world.command(Command.OFF)
        waiting.errand.stop()

        self.assertIs(OperationCancelled, type(waiting.error))

    def test_hard(self) -> None:
        """
        A hard cancel closes the connection there and then, and the next operation goes on.
        """
        self.done(self.world.read())
        outcome = self.world.command(Command.OFF)
        while not outcome.errand.announced:
            self.world.serve_one()
        outcome.call.cancel()

        self.assertIs(CancelledError, type(outcome.error))
        self.assertTrue(self.world.web.socket.aborted)
        self.world.web.clock.advance(REST)
        self.assertIs(PowerState.OFF, self.done(self.world.read()))
