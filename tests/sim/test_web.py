# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.web` without sockets: what faults make of an answer, and what the record says.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from powercoord.sim.web.bmc import GARBAGE
from powercoord.sim.web.certificate import Certificate
from powercoord.sim.web.exchange import Ending
from powercoord.sim.web.faults import Faults
from powercoord.sim.web.record import MEMORY, Handled, Record
from tests.sim.web import RESET, SYSTEM, RedfishCase


class ReactionTests(RedfishCase):
    def test_endings(self) -> None:
        """
        Each fault says whether it was done, what is heard, and what becomes of the connection.
        """
        reset, every = frozenset(["reset"]), frozenset("*")
        for faults, done, heard, ending in (
            (Faults(), True, True, None),
            (Faults(dead=True), False, False, Ending.SILENT),
            (Faults(drop_before=reset), False, False, Ending.DROPPED),
            (Faults(drop_after=reset), True, False, Ending.DROPPED),
            (Faults(drop_after=every), True, False, Ending.DROPPED),
            (Faults(drop_after=frozenset(["system"])), True, True, None),
            (Faults(mute=reset), True, False, Ending.SILENT),
            (Faults(torn=reset), True, True, Ending.TORN),
            (Faults(endless=reset), True, True, Ending.ENDLESS),
            (Faults(refuse={"reset": 503}), False, True, None),
        ):
            self.machine.commands.clear()
            self.machine.press_button(False)
            self.bmc.faults = faults
            reaction = self.receive("POST", RESET, {"ResetType": "On"})
            said = self.bmc.record.requests[-1].code
            self.assertEqual(
                (done, heard, heard, ending),
                (bool(self.machine.commands), reaction.answer is not None, said is not None, reaction.ending),
                faults,
            )

    def test_delay(self) -> None:
        """
        A delay is for the requests that are slow, or for all.
        """
        for faults, seen in (
            (Faults(delay=2.0), [2.0, 2.0]),
            (Faults(delay=2.0, slow=frozenset(["reset"])), [2.0, 0.0]),
        ):
            self.bmc.faults = faults
            asked = (self.receive("POST", RESET, {"ResetType": "On"}), self.receive("GET", SYSTEM))
            self.assertEqual(seen, [reaction.delay for reaction in asked])

    def test_garbage(self) -> None:
        """
        Garbage replaces the body and nothing else.
        """
        self.bmc.faults = Faults(garbage=frozenset(["system"]))
        answer = self.ask("GET", SYSTEM)

        self.assertEqual((200, GARBAGE), (answer.code, answer.body))

    def test_next_by_name(self) -> None:
        """
        What waits for one name does not meet another, and each waits on its own.
        """
        self.bmc.fail_next("reset", Faults(refuse={"reset": 500}))
        self.bmc.fail_next("system", Faults(refuse={"system": 418}))
        seen = [
            self.ask("GET", SYSTEM).code,
            self.ask("GET", SYSTEM).code,
            self.reset("On"),
            self.reset("On"),
        ]

        self.assertEqual([418, 200, 500, 204], seen)


class RecordTests(RedfishCase):
    def test_requests(self) -> None:
        """
        A request is remembered with its time, name and status.
        """
        self.clock.advance(3)
        self.ask("GET", SYSTEM)

        self.assertEqual([Handled(3, 0, "GET", SYSTEM, "system", 200)], self.bmc.record.requests)

    def test_bounded(self) -> None:
        """
        Of very many requests the latest are remembered, and their number is.
        """
        record = Record()
        for number in range(MEMORY + 1):
            record.handled(Handled(number, 1, "GET", "/", "root", 200))

        self.assertEqual((MEMORY + 1, MEMORY), (record.asked, record.requests[-1].at))
        self.assertEqual(MEMORY // 2 + 1, len(record.requests))


class CertificateTests(RedfishCase):
    def test_made(self) -> None:
        """
        A certificate names its addresses, signs itself, and does not show its key.
        """
        made = Certificate.make(["127.60.0.1", "127.60.0.2"], datetime(2026, 1, 31, tzinfo=UTC))
        read = x509.load_pem_x509_certificate(made.pem)
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

        read.verify_directly_issued_by(read)
        self.assertEqual(
            ["127.60.0.1", "127.60.0.2"], [str(each) for each in names.get_values_for_type(x509.IPAddress)]
        )
        self.assertEqual(datetime(2026, 1, 30, tzinfo=UTC), read.not_valid_before_utc)
        self.assertEqual(datetime(2026, 3, 2, tzinfo=UTC), read.not_valid_after_utc)
        self.assertNotIn("PRIVATE", repr(made))
