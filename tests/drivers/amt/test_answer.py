# SPDX-License-Identifier: MIT
"""
What AMT says: everything that was recorded, and what nobody should say.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.amt.answer import Answer, Fault, NotWsman, read_answer
from powercoord.drivers.amt.namespaces import ASSOCIATED_POWER, SOAP, STANDBY_SERVICE
from powercoord.drivers.amt.states import Power, available
from powercoord.model import PowerState
from tests.drivers.amt.documents import envelope, fault, instance, power
from tests.hypothesis_notes import HypothesisNotes
from tests.recorded import recorded

NAME = "CIM_AssociatedPowerManagementService"


def split(tag: str) -> tuple[str, str]:
    resource, _, name = tag.removeprefix("{").partition("}")
    return resource, name


def read(document: bytes, resource: str = ASSOCIATED_POWER, element: str = NAME) -> Answer | Fault:
    return read_answer(document, resource, element)


class RecordedResponseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = recorded("amt") / "responses"

    def answer(self, path: str) -> Answer:
        found = read_any(self.folder / path)
        assert isinstance(found, Answer), found
        return found

    def test_all(self) -> None:
        """
        Each recorded message is read, and what it was asked for is found in it.
        """
        paths = sorted(self.folder.rglob("*.xml"))

        self.assertEqual(55, len(paths))
        for path in paths:
            found = read_any(path)
            if path.parent.name == "fault":
                self.assertIsInstance(found, Fault)
            else:
                assert isinstance(found, Answer), path
                # In these two an editor has lost the namespace.
                self.assertTrue(found.fields or path.stem in ("getuuid", "getuuid-bad"), path)

    def test_power(self) -> None:
        """
        The recorded machine is on, and its operating system can be asked to stop.
        """
        answer = self.answer("cim/associatedpower/managementservice/get.xml")
        found = Power(answer.number("PowerState"), available(answer))

        self.assertEqual(PowerState.ON, found.state("it"))
        self.assertEqual({10, 8, 5, 11, 4, 7, 14, 12}, found.available)

    def test_methods(self) -> None:
        """
        Each recorded method says that it did what it should.
        """
        for path in (
            "cim/power/managementservice/requestpowerstatechange.xml",
            "cim/boot/configsetting/changebootorder.xml",
            "cim/boot/service/setbootconfigrole.xml",
            "ips/power/managementservice/requestospowersavingstatechange.xml",
        ):
            self.assertEqual(0, self.answer(path).number("ReturnValue"), path)

    def test_standby(self) -> None:
        """
        The recorded machine is at full power.
        """
        answer = self.answer("ips/power/managementservice/get.xml")

        self.assertEqual(2, answer.number("OSPowerSavingState"))

    def test_fault(self) -> None:
        """
        A recorded fault is known by its innermost code, with the device's own words.
        """
        found = read((self.folder / "fault/destination-unreachable.xml").read_bytes())

        assert isinstance(found, Fault)
        self.assertEqual("DestinationUnreachable", found.code)
        self.assertTrue(found.reason.startswith("No route can be determined"), found.reason)


def read_any(path: Path) -> Answer | Fault:
    document = path.read_bytes()
    body = fromstring(document).find(f"{{{SOAP}}}Body")
    assert body is not None
    resource, name = split(body[0].tag)
    return read_answer(document, resource, name)


class AnswerTests(SynchronousTestCase):
    def test_not_wsman(self) -> None:
        """
        What is no answer to what was asked is told as that, whatever else it is.
        """
        bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><q:Envelope xmlns:q="urn:x">&a;</q:Envelope>'
        for document in (
            b"",
            b"<html><body>Log on failed.</body>",
            b"\xff\xfe\x00",
            b'<?xml version="1.0" encoding="none-such"?><a/>',
            bomb,
            b"<!DOCTYPE x>" + power(2).partition(b"?>")[2],
            b"<a/>",
            f'<Envelope xmlns="{SOAP}"/>'.encode(),
            f'<q:Body xmlns:q="{SOAP}"/>'.encode(),
            envelope(""),
            instance(STANDBY_SERVICE, ("OSPowerSavingState", 2)),
            envelope(f"<{NAME}><PowerState>2</PowerState></{NAME}>"),
        ):
            self.assertRaises(NotWsman, read, document)

    def test_number(self) -> None:
        """
        A number is one if it stands there once and as one.
        """
        for value in ("", "two", "-2", "2.0", "0x2", "٢", "2 3"):
            answer = read(power(value))
            assert isinstance(answer, Answer)
            self.assertRaises(NotWsman, answer.number, "PowerState")
            self.assertRaises(NotWsman, answer.number, "None")
        twice = read(instance(ASSOCIATED_POWER, ("PowerState", 2), ("PowerState", 8)))
        assert isinstance(twice, Answer)
        self.assertRaises(NotWsman, twice.number, "PowerState")

    def test_white_space(self) -> None:
        """
        White space around a value is none of it.
        """
        answer = read(power("\n 2\t"))
        assert isinstance(answer, Answer)

        self.assertEqual(2, answer.number("PowerState"))

    def test_other_namespace(self) -> None:
        """
        A field of another namespace is another field.
        """
        inner = '<z:PowerState>2</z:PowerState><o:PowerState xmlns:o="urn:o">8</o:PowerState>'
        answer = read(envelope(f'<z:{NAME} xmlns:z="{ASSOCIATED_POWER}">{inner}</z:{NAME}>'))
        assert isinstance(answer, Answer)

        self.assertEqual(2, answer.number("PowerState"))

    def test_any_answer(self) -> None:
        """
        Where no answer is expected but success, whatever is no fault is one.
        """
        self.assertEqual(Answer("", ()), read(envelope(""), element=""))
        self.assertIsInstance(read(fault("QuotaLimit"), element=""), Fault)

    def test_fault_words(self) -> None:
        """
        A fault's words are one line of bounded length, and without any it is still a fault.
        """
        long = read(fault("A" * 500, "one\n two\u202e " + "z" * 500))
        assert isinstance(long, Fault)
        self.assertEqual(("A" * 200, "one two zz"), (long.code, long.reason[:10]))
        self.assertEqual(200, len(long.reason))
        empty = read(envelope("<q:Fault/>"))
        self.assertEqual("a fault without a code", str(empty))
        self.assertEqual("QuotaLimit (because)", str(read(fault("QuotaLimit"))))


class AnyDocumentTests(HypothesisNotes, SynchronousTestCase):
    @given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_damaged(self, noise: bytes, start: int, end: int) -> None:
        """
        Whatever bytes come, they are read or told to be no answer.
        """
        good = power(2)
        first, last = sorted((start % len(good), end % len(good)))
        for document in (noise, good[:first] + noise + good[last:]):
            try:
                found = read(document)
            except NotWsman:
                continue
            self.assertIsInstance(found, Answer | Fault)
