# SPDX-License-Identifier: MIT
"""
Properties of all messages: what is written can be read, and what cannot be read is refused.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi import (
    activation,
    boot,
    channel,
    chassis,
    completion,
    lan,
    opensession,
    rakp,
    rmcp,
    rmcpplus,
    session15,
    suites,
)
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from tests.hypothesis_notes import HypothesisNotes


def bits(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << count) - 1)


def size(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


BYTE, WORD = bits(8), bits(32)
BITS4, BITS6 = bits(4), bits(6)
DATA = st.binary(max_size=200)
NAME = st.binary(max_size=16)
# A name of IPMI 1.5 is filled up with zeros, so it cannot end in one.
NAME15 = NAME.filter(lambda name: not name.endswith(b"\0"))
FAILURE = st.integers(1, 255)
ALGORITHMS = st.builds(opensession.Algorithms, BITS6, BITS6, BITS6)
PRIVILEGE = BITS4

OPEN_RESPONSES = st.one_of(
    st.builds(opensession.OpenResponse, BYTE, st.just(0), PRIVILEGE, WORD, WORD, ALGORITHMS),
    st.builds(opensession.OpenResponse, BYTE, FAILURE, PRIVILEGE, WORD),
)
RAKP2S = st.one_of(
    st.builds(rakp.Rakp2, BYTE, st.just(0), WORD, size(16), size(16), st.binary(max_size=32)),
    st.builds(rakp.Rakp2, BYTE, FAILURE, WORD),
)
PLAIN_PACKETS = st.builds(
    rmcpplus.Packet,
    BITS6.filter(lambda kind: kind != rmcpplus.PAYLOAD_OEM),
    DATA,
    WORD,
    WORD,
    st.booleans(),
)
OEM_PACKETS = st.builds(rmcpplus.Packet, st.just(rmcpplus.PAYLOAD_OEM), DATA, WORD, WORD, oem=size(6))
SIGNED_PACKETS = st.builds(
    rmcpplus.Packet,
    BITS6.filter(lambda kind: kind != rmcpplus.PAYLOAD_OEM),
    DATA,
    WORD,
    WORD,
    st.booleans(),
    st.just(True),
    st.binary(min_size=2, max_size=40),
)

#: Each kind of message: values of it, and its reader.
MESSAGES: dict[str, tuple[st.SearchStrategy[Any], Callable[[bytes], Any]]] = {
    "rmcp": (st.builds(rmcp.Rmcp, bits(5), DATA, BYTE, st.booleans()), rmcp.Rmcp.decode),
    "ping": (st.builds(rmcp.Ping, BYTE), rmcp.Ping.decode),
    "pong": (st.builds(rmcp.Pong, BYTE, BYTE, BYTE, WORD, WORD), rmcp.Pong.decode),
    "request": (
        st.builds(
            lan.LanRequest,
            BITS6.map(lambda netfn: netfn & 0x3E),
            BYTE, DATA, BITS6, BYTE, bits(2), BYTE, bits(2),
        ),
        lan.LanRequest.decode,
    ),
    "response": (
        st.builds(
            lan.LanResponse,
            BITS6.map(lambda netfn: netfn | 1),
            BYTE, BYTE, DATA, BITS6, BYTE, bits(2), BYTE, bits(2),
        ),
        lan.LanResponse.decode,
    ),
    "session 1.5, none": (
        st.builds(session15.Session15, st.just(0), WORD, WORD, DATA),
        session15.Session15.decode,
    ),
    "session 1.5, MD5": (
        st.builds(session15.Session15, st.just(2), WORD, WORD, DATA, size(16)),
        session15.Session15.decode,
    ),
    "packet": (PLAIN_PACKETS, rmcpplus.Packet.decode),
    "OEM packet": (OEM_PACKETS, rmcpplus.Packet.decode),
    "signed packet": (SIGNED_PACKETS, rmcpplus.Packet.decode),
    "open request": (
        st.builds(opensession.OpenRequest, BYTE, PRIVILEGE, WORD, ALGORITHMS),
        opensession.OpenRequest.decode,
    ),
    "open response": (OPEN_RESPONSES, opensession.OpenResponse.decode),
    "rakp 1": (st.builds(rakp.Rakp1, BYTE, WORD, size(16), bits(5), NAME), rakp.Rakp1.decode),
    "rakp 2": (RAKP2S, rakp.Rakp2.decode),
    "rakp 3": (
        st.builds(rakp.Rakp3, BYTE, BYTE, WORD, st.binary(max_size=32)),
        rakp.Rakp3.decode,
    ),
    "rakp 4": (
        st.builds(rakp.Rakp4, BYTE, BYTE, WORD, st.binary(max_size=32)),
        rakp.Rakp4.decode,
    ),
    "get auth capabilities": (
        st.builds(channel.GetAuthCapabilities, PRIVILEGE, BITS4, st.booleans()),
        channel.GetAuthCapabilities.decode,
    ),
    "auth capabilities": (
        st.builds(channel.AuthCapabilities, BITS4, BITS6, BITS6, BYTE, st.booleans(), size(4)),
        channel.AuthCapabilities.decode,
    ),
    "get cipher suites": (
        st.builds(channel.GetCipherSuites, BITS6, BITS4, BITS6),
        channel.GetCipherSuites.decode,
    ),
    "cipher suites": (
        st.builds(channel.CipherSuites, BITS4, st.binary(max_size=16)),
        channel.CipherSuites.decode,
    ),
    "get session challenge": (
        st.builds(activation.GetSessionChallenge, BITS4, NAME15),
        activation.GetSessionChallenge.decode,
    ),
    "session challenge": (
        st.builds(activation.SessionChallenge, WORD, size(16)),
        activation.SessionChallenge.decode,
    ),
    "activate session": (
        st.builds(activation.ActivateSession, BITS4, PRIVILEGE, size(16), WORD),
        activation.ActivateSession.decode,
    ),
    "session activated": (
        st.builds(activation.SessionActivated, BITS4, WORD, WORD, PRIVILEGE),
        activation.SessionActivated.decode,
    ),
    "set privilege": (st.builds(channel.SetPrivilege, PRIVILEGE), channel.SetPrivilege.decode),
    "close session": (st.builds(channel.CloseSession, WORD), channel.CloseSession.decode),
    "chassis status": (
        st.builds(chassis.ChassisStatus, BYTE, BYTE, BYTE),
        chassis.ChassisStatus.decode,
    ),
    "chassis control": (
        st.builds(chassis.ChassisControl, st.sampled_from(chassis.Control)),
        chassis.ChassisControl.decode,
    ),
    "device id": (
        st.builds(
            chassis.DeviceId,
            BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, bits(24), bits(16), st.binary(max_size=4),
        ),
        chassis.DeviceId.decode,
    ),
    "set boot options": (
        st.builds(boot.SetBootOptions, bits(7), DATA),
        boot.SetBootOptions.decode,
    ),
    "get boot options": (
        st.builds(boot.GetBootOptions, bits(7), BYTE, BYTE),
        boot.GetBootOptions.decode,
    ),
    "boot option": (
        st.builds(boot.BootOption, bits(7), DATA, st.booleans(), BITS4),
        boot.BootOption.decode,
    ),
    "boot flags": (
        st.builds(
            boot.BootFlags,
            st.sampled_from(boot.Device),
            st.booleans(), st.booleans(), st.booleans(),
        ),
        boot.BootFlags.decode,
    ),
}  # fmt: skip

EXAMPLES = st.sampled_from(sorted(MESSAGES)).flatmap(lambda name: st.tuples(st.just(name), MESSAGES[name][0]))


class RoundTripTests(HypothesisNotes, SynchronousTestCase):
    """
    Both directions of every message.
    """

    @given(EXAMPLES)
    def test_round_trip(self, example: tuple[str, Any]) -> None:
        """
        Each message is read as the value that was written.
        """
        name, value = example
        self.assertEqual(value, MESSAGES[name][1](value.encode()))

    @given(st.sampled_from([3, 8, 17]), DATA, st.tuples(WORD, WORD), size(16))
    def test_sealed(self, suite: int, message: bytes, numbers: tuple[int, int], vector: bytes) -> None:
        """
        What one side seals the other opens, and nobody else.
        """
        keys, stranger = (suites.SessionKeys.derive(suites.SUITES[suite], key) for key in (vector, b"other"))
        packet = rmcpplus.Packet.decode(keys.seal(*numbers, message, vector))
        self.assertEqual(numbers, (packet.session_id, packet.sequence))
        self.assertEqual(message, keys.open(packet))
        with self.assertRaises(MalformedDatagram):
            stranger.open(packet)

    @given(st.dictionaries(BITS6, st.tuples(BITS6, BITS6, BITS6), max_size=20))
    def test_suite_records(self, known: dict[int, tuple[int, int, int]]) -> None:
        """
        A list of cipher suite records gives back the suites in their order.
        """
        self.assertEqual(tuple(known), channel.suite_numbers(channel.suite_records(known)))


class FuzzTests(HypothesisNotes, SynchronousTestCase):
    """
    Readers meet anything.
    """

    @given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=120))
    def test_anything(self, name: str, data: bytes) -> None:
        """
        Any bytes are a message or a `MalformedDatagram`, and nothing else.
        """
        self.read(name, data)

    @given(EXAMPLES, st.data())
    def test_nearly_right(self, example: tuple[str, Any], data: st.DataObject) -> None:
        """
        A message that was cut, grown or changed is a message or a `MalformedDatagram`.
        """
        name, value = example
        written = value.encode()
        cut = data.draw(st.integers(0, len(written)))
        self.read(name, written[:cut] + data.draw(st.binary(max_size=3)) + written[cut + 1 :])
        self.read(name, written[:cut])

    def read(self, name: str, data: bytes) -> None:
        """
        Read, and write again what could be read.
        """
        try:
            value = MESSAGES[name][1](data)
        except MalformedDatagram:
            return
        value.encode()

    @given(st.binary(max_size=100))
    def test_packets_in_a_session(self, data: bytes) -> None:
        """
        Any bytes behind an RMCP+ header are refused by a session's keys.
        """
        keys = suites.SessionKeys.derive(suites.SUITES[3], bytes(20))
        head = rmcp.IPMI_HEADER + b"\x06\xc0"
        with self.assertRaises(MalformedDatagram):
            keys.open(rmcpplus.Packet.decode(head + data))

    @given(st.binary(max_size=60))
    def test_cipher_records(self, data: bytes) -> None:
        """
        Any list of cipher suite records is read or refused.
        """
        try:
            channel.suite_numbers(data)
        except MalformedDatagram:
            return

    def test_too_long(self) -> None:
        """
        Datagrams longer than any of ours are refused unread.
        """
        datagram = rmcpplus.outside(0, bytes(2000))
        for read in (rmcp.Rmcp.decode, rmcpplus.Packet.decode, session15.Session15.decode):
            with self.assertRaises(MalformedDatagram):
                read(datagram)


class LegacyPadTests(SynchronousTestCase):
    def test_pad(self) -> None:
        """
        IPMI 1.5 packets of the lengths that old chips lose get one more byte, and are read as before.
        """
        packet = session15.Session15(0, 1, 2, bytes(46))
        self.assertEqual(61, len(packet.encode()))
        self.assertEqual(packet, session15.Session15.decode(packet.encode()))


class ChecksumTests(SynchronousTestCase):
    def test_wrong(self) -> None:
        """
        A wrong checksum is an error, unless the caller wants to live with it.
        """
        message = lan.LanResponse(7, 1, 0, b"data").encode()
        wrong = message[:-1] + bytes((message[-1] ^ 1,))
        with self.assertRaises(MalformedDatagram):
            lan.LanResponse.decode(wrong)
        self.assertEqual(b"data", lan.LanResponse.decode(wrong, check=False).data)


class WordsTests(SynchronousTestCase):
    """
    Codes as operators read them.
    """

    def test_generic(self) -> None:
        """
        A code comes in words and in hexadecimal.
        """
        self.assertEqual("node busy (completion code 0xc0)", completion.words(0xC0))

    def test_specific(self) -> None:
        """
        A command's own meaning of a code comes before the general one.
        """
        words = completion.words(0x81, 0x06, 0x3A)
        self.assertEqual("no session slot available (completion code 0x81)", words)

    def test_unknown(self) -> None:
        """
        Codes that nobody defined are still told.
        """
        self.assertIn("OEM", completion.words(0x11))
        self.assertIn("command specific", completion.words(0x90))
        self.assertIn("0xfe", completion.words(0xFE))

    def test_status(self) -> None:
        """
        RMCP+ status codes come in words and in hexadecimal.
        """
        self.assertIn("unauthorized name", completion.status_words(0x0D))
        self.assertIn("0x77", completion.status_words(0x77))
