# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.boxes`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.boxes import MAX_BOX, MAX_KEYS, BoxParser, Flawed, Garbage, ValueTooLong, encode
from tests.hypothesis_notes import HypothesisNotes

box = st.dictionaries(st.binary(min_size=1, max_size=20), st.binary(max_size=300), min_size=1, max_size=8)
boxes = st.lists(box, max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True)]


def parsed(chunks: list[bytes]) -> list[object]:
    parser, found = BoxParser(), []
    for chunk in chunks:
        parser.feed(chunk)
        while (box := parser.take()) is not None:
            found.append(box)
    return found


class BoxParserTests(HypothesisNotes, SynchronousTestCase):
    @given(boxes, st.lists(st.integers(0, 100_000), max_size=20))
    def test_any_chunks(self, sent: list[dict[bytes, bytes]], cuts: list[int]) -> None:
        """
        However the bytes of boxes are cut, the same boxes come out.
        """
        self.assertEqual(sent, parsed(pieces(b"".join(map(encode, sent)), cuts)))

    @given(boxes)
    def test_agrees_with_twisted(self, sent: list[dict[bytes, bytes]]) -> None:
        """
        Twisted reads what we write, and we read what Twisted writes.
        """
        data = b"".join(map(encode, sent))

        self.assertEqual(sent, [dict(box) for box in amp.parseString(data)])
        self.assertEqual(sent, parsed([b"".join(amp.AmpBox(box).serialize() for box in sent)]))

    @given(st.lists(st.binary(max_size=200), max_size=20))
    def test_any_bytes(self, chunks: list[bytes]) -> None:
        """
        Whatever comes, the parser makes boxes of it or says that it is garbage.
        """
        try:
            parsed(chunks)
        except Garbage:
            return

    def test_drip(self) -> None:
        """
        A box that comes byte by byte is read like any other.
        """
        sent = {b"_command": b"Ping", b"x": b"y" * 3_000}

        self.assertEqual([sent], parsed([bytes([byte]) for byte in encode(sent)]))

    def test_unfinished(self) -> None:
        """
        The parser knows whether a box has begun and its end is missing.
        """
        parser, data = BoxParser(), encode({b"a": b"b"})
        self.assertFalse(parser.unfinished)
        for cut in range(1, len(data)):
            parser = BoxParser()
            parser.feed(data[:cut])
            self.assertIsNone(parser.take())
            self.assertTrue(parser.unfinished, cut)
            parser.feed(data[cut:])
            self.assertEqual({b"a": b"b"}, parser.take())
            self.assertFalse(parser.unfinished, cut)

    def test_other_protocols(self) -> None:
        """
        HTTP and TLS are told from AMP by their first two bytes.
        """
        for data in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"SSH-2.0-x\r\n"):
            self.assertRaises(Garbage, parsed, [data[:2]])

    def test_twice_the_same_key(self) -> None:
        """
        A box in which a key stands twice is flawed, and the next one is not.
        """
        twice = encode({b"_ask": b"1"})[:-2] + encode({b"_ask": b"2", b"_command": b"Ping"})
        flawed, fine = parsed([twice + encode({b"k": b"v"})])

        self.assertIsInstance(flawed, Flawed)
        self.assertEqual({b"_ask": b"1", b"_command": b"Ping"}, flawed.box)
        self.assertEqual({b"k": b"v"}, fine)

    def test_many_keys(self) -> None:
        """
        A box with more keys than anybody needs is flawed and costs no more memory than one with as many.
        """
        (most,) = parsed([encode({b"%d" % index: b"" for index in range(MAX_KEYS)})])
        (flawed,) = parsed([encode({b"%d" % index: b"" for index in range(MAX_KEYS + 100)})])

        self.assertEqual(MAX_KEYS, len(most))
        self.assertEqual(MAX_KEYS, len(flawed.box))
        self.assertIn("64 keys", flawed.reason)

    def test_endless(self) -> None:
        """
        A box that grows and grows is garbage.
        """
        pair = b"\x00\x01k\xff\xff" + b"v" * 65_535
        parser, sent = BoxParser(), 0
        with self.assertRaises(Garbage):
            while sent < 2 * MAX_BOX:
                parser.feed(pair)
                sent += len(pair)
                parser.take()

        self.assertLess(sent, MAX_BOX + 2 * len(pair))

    def test_value_too_long(self) -> None:
        """
        A value that does not fit is refused before anything is written, and named.
        """
        encode({b"answers": b"x" * 65_535})
        error = self.assertRaises(ValueTooLong, encode, {b"answers": b"x" * 65_536})

        self.assertIn("answers", str(error))
