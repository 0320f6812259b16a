# SPDX-License-Identifier: MIT
"""
What goes over the wire to libvirt's daemon: XDR, packets, arguments and answers.
"""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh import procedures, xdr
from powercoord.drivers.virsh.guests import Guest, GuestState, Seen
from powercoord.drivers.virsh.packets import MOST, REMOTE, Kind, Packet, Packets
from powercoord.drivers.virsh.xdr import Malformed, Reader
from tests.hypothesis_notes import HypothesisNotes

WORD = st.integers(min_value=0, max_value=2**32 - 1)
SIGNED = st.integers(min_value=-(2**31), max_value=2**31 - 1)
PACKETS = st.builds(
    Packet,
    program=WORD,
    procedure=SIGNED,
    kind=SIGNED,
    serial=WORD,
    status=SIGNED,
    body=st.binary(max_size=200),
    version=WORD,
)
GUESTS = st.builds(Guest, st.text(min_size=1, max_size=30), st.uuids())

#: Sent and answered by libvirtd 9.0.0 with the test driver's guest.
GUEST = Guest("test", UUID("f695eb01-f6a4-8304-79aa-97f2502e193f"))
LOOKED_UP = bytes.fromhex("0000000474657374f695eb01f6a4830479aa97f2502e193f00000001")
STATS = (
    bytes.fromhex("00000001")
    + LOOKED_UP
    + bytes.fromhex("00000002")
    + b"\0\0\0\x0bstate.state\0\0\0\0\x01\0\0\0\x01\0\0\0\x0cstate.reason\0\0\0\x01\0\0\0\x00"
)
EVENT = bytes(4) + LOOKED_UP[:-4] + bytes.fromhex("ffffffff0000000500000000")
NO_DOMAIN = bytes.fromhex("0000002a0000000c0000000100000010") + b"Domain not found" + bytes(20)


class XdrTests(HypothesisNotes, SynchronousTestCase):
    """
    Values.
    """

    @given(SIGNED, WORD, st.text(), st.none() | st.text(), st.lists(SIGNED, max_size=9))
    def test_round_trip(
        self, signed: int, unsigned: int, text: str, maybe: str | None, many: list[int]
    ) -> None:
        """
        What is written is read again, and ends at a multiple of four bytes.
        """
        data = (
            xdr.integer(signed)
            + xdr.unsigned(unsigned)
            + xdr.string(text)
            + xdr.optional(None if maybe is None else xdr.string(maybe))
            + xdr.array([xdr.integer(each) for each in many])
        )
        reader = Reader(data)

        self.assertEqual(0, len(data) % 4)
        self.assertEqual(signed, reader.integer())
        self.assertEqual(unsigned, reader.unsigned())
        self.assertEqual(text, reader.string())
        self.assertEqual(maybe, reader.optional(reader.string))
        self.assertEqual(many, reader.array(reader.integer, 9))
        reader.end()

    def test_refused(self) -> None:
        """
        Lengths beyond what is there, lists beyond their limit and padding that is not zero are refused.
        """
        for read in (
            Reader(b"\0\0\0").integer,
            Reader(b"\0\0\0\x05abcd").string,
            Reader(b"\xff\xff\xff\xffabcd").string,
            Reader(b"\0\0\0\x03abcd").string,
            lambda: Reader(b"\0\0\0\x02").optional(lambda: 1),
            lambda: Reader(b"\xff\xff\xff\xff").array(lambda: 1, 100),
            Reader(b"\0\0\0\0").end,
            Reader(bytes(7)).hyper,
        ):
            self.assertRaises(Malformed, read)

    def test_strange_text(self) -> None:
        """
        A name that is no UTF-8 is shown, not refused.
        """
        self.assertEqual("a\\xff", Reader(b"\0\0\0\x02a\xff\0\0").string())


class PacketsTests(HypothesisNotes, SynchronousTestCase):
    """
    Packets in a stream.
    """

    @given(st.lists(PACKETS, max_size=5), st.integers(min_value=1, max_value=64))
    def test_any_pieces(self, packets: list[Packet], size: int) -> None:
        """
        Packets are found however the stream is cut.
        """
        stream = b"".join(packet.encode() for packet in packets)
        cutter = Packets()
        found = [
            packet for at in range(0, len(stream), size) for packet in cutter.feed(stream[at : at + size])
        ]

        self.assertEqual(packets, found)

    @given(st.binary(max_size=300))
    def test_garbage(self, data: bytes) -> None:
        """
        Any bytes are packets, the beginning of one, or `Malformed`.
        """
        try:
            found = list(Packets().feed(data))
        except Malformed:
            return
        self.assertTrue(all(isinstance(packet, Packet) for packet in found))

    def test_lengths(self) -> None:
        """
        A length below the header's, or above what anybody needs, is refused before its bytes are waited for.
        """
        for length in (0, 27, MOST + 1, 0xFFFFFFFF):
            self.assertRaises(Malformed, list, Packets().feed(length.to_bytes(4, "big")))
        self.assertEqual([], list(Packets().feed(MOST.to_bytes(4, "big"))))

    def test_header(self) -> None:
        """
        A call is encoded as libvirt's own clients do.
        """
        self.assertEqual(
            bytes.fromhex("0000001c 20008086 00000001 00000042 00000000 00000007 00000000"),
            Packet(REMOTE, 66, Kind.CALL, 7, 0).encode(),
        )


class AnswerTests(HypothesisNotes, SynchronousTestCase):
    """
    Recorded from a real daemon.
    """

    def test_recorded(self) -> None:
        """
        A guest, its state, what happened to it and an error are read as they were sent.
        """
        self.assertEqual(GUEST, procedures.read_guest(LOOKED_UP))
        self.assertEqual([Seen(GUEST, GuestState.RUNNING)], procedures.read_stats(STATS))
        self.assertEqual(GUEST, procedures.read_event(EVENT))
        self.assertEqual(procedures.RemoteError(42, "Domain not found"), procedures.read_error(NO_DOMAIN))
        self.assertEqual([0], procedures.read_auth(bytes.fromhex("0000000100000000")))
        self.assertEqual(GuestState.SHUTOFF, procedures.read_state(bytes.fromhex("0000000500000001")))

    def test_unknown_states(self) -> None:
        """
        A state that we have never heard of is no state, and a guest without one is left out.
        """
        self.assertIs(GuestState.NOSTATE, procedures.read_state(xdr.integer(99)))
        record = LOOKED_UP + xdr.array([xdr.string("cpu.time") + xdr.integer(4) + bytes(8)])

        self.assertEqual([], procedures.read_stats(xdr.array([record])))

    def test_all_types(self) -> None:
        """
        Values of all types are passed over, and of none that is unknown.
        """
        parts = [(1, bytes(4)), (2, bytes(4)), (3, bytes(8)), (4, bytes(8)), (5, bytes(8)), (6, bytes(4))]
        parts.append((7, xdr.string("x")))
        values = [xdr.string("n") + xdr.integer(kind) + data for kind, data in parts]
        values.append(xdr.string("state.state") + xdr.integer(1) + xdr.integer(3))
        seen = procedures.read_stats(xdr.array([LOOKED_UP + xdr.array(values)]))

        self.assertEqual([Seen(GUEST, GuestState.PAUSED)], seen)
        unknown = xdr.array([LOOKED_UP + xdr.array([xdr.string("n") + xdr.integer(8)])])
        self.assertRaises(Malformed, procedures.read_stats, unknown)

    @given(st.lists(GUESTS, max_size=4))
    def test_guests(self, guests: list[Guest]) -> None:
        """
        Guests are told as they are listed.
        """
        data = xdr.array([procedures.guest_argument(guest) for guest in guests]) + xdr.unsigned(0)

        self.assertEqual(guests, procedures.read_list(data))

    @given(st.binary(max_size=120))
    def test_garbage(self, data: bytes) -> None:
        """
        Any bytes are an answer or `Malformed`, whatever was asked.
        """
        for read in (
            procedures.read_guest,
            procedures.read_stats,
            procedures.read_event,
            procedures.read_error,
            procedures.read_auth,
            procedures.read_state,
            procedures.read_list,
        ):
            try:
                read(data)  # type: ignore[operator]
            except Malformed:
                continue
