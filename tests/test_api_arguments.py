# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.arguments` and `powercoord.api.codec`.
"""

from __future__ import annotations

import json
import zlib

from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.arguments import MAX_INFLATED, CompressedJson, Json, Seconds, dump
from powercoord.api.codec import compiled
from powercoord.api.commands import MalformedArguments, PowerOn, SetBootOrder
from powercoord.errors import BadRequest, NoSuchNode, PowercoordError, PowerSettingError


class ArgumentTests(SynchronousTestCase):
    def test_compressed_json(self) -> None:
        """
        A structure travels as MAAS has it: JSON in ASCII under zlib.
        """
        wire = CompressedJson().toString({"power_pass": "pässword", "n": [1, None]})

        self.assertEqual({"power_pass": "pässword", "n": [1, None]}, json.loads(zlib.decompress(wire)))
        self.assertEqual({"power_pass": "pässword", "n": [1, None]}, CompressedJson().fromString(wire))

    def test_bomb(self) -> None:
        """
        A few bytes that would inflate to many are refused.
        """
        bomb = zlib.compress(b'"' + b"x" * (MAX_INFLATED + 1) + b'"')
        self.assertLess(len(bomb), 5_000)

        self.assertRaises(ValueError, CompressedJson().fromString, bomb)

    def test_json(self) -> None:
        """
        JSON that was written already is sent as it is.
        """
        self.assertEqual(b"[1]", Json().toString(b"[1]"))
        self.assertEqual('["ä"]'.encode(), Json().toString(["ä"]))

    def test_surrogates(self) -> None:
        """
        Half a character, which JSON can hold and UTF-8 can not, does not break an answer.
        """
        self.assertEqual(b'["?"]', dump(json.loads(r'["\ud800"]')))

    def test_seconds(self) -> None:
        """
        A time is a finite number that is not negative.
        """
        self.assertEqual(2.5, Seconds().fromString(b"2.5"))
        self.assertEqual(b"2.5", Seconds().toString(2.5))
        for wrong in (b"", b"soon", b"nan", b"inf", b"-1", b"1e999"):
            self.assertRaises(ValueError, Seconds().fromString, wrong)


class CompiledTests(SynchronousTestCase):
    box = {b"system_id": b"n1", b"hostname": b"h", b"power_type": b"", b"context": zlib.compress(b"{}")}

    def test_agrees_with_twisted(self) -> None:
        """
        A box is read as Twisted's own Command reads it.
        """
        box = self.box | {b"deadline": b"3", b"sequence": b"7"}

        self.assertEqual(PowerOn.parseArguments(amp.AmpBox(box), None), compiled(PowerOn).arguments.read(box))

    def test_list_of_boxes(self) -> None:
        """
        A list of boxes inside a value is read too.
        """
        order = [{"id": 1, "name": "eth0", "mac_address": "52:54:00:00:00:01"}]
        schema = compiled(SetBootOrder).arguments
        values = {"system_id": "n", "hostname": "", "power_type": "", "context": {}, "order": order}
        box = schema.write(values, {})

        self.assertEqual("52:54:00:00:00:01", schema.read(box)["order"][0]["mac_address"])

    def test_missing(self) -> None:
        """
        A missing argument is named.
        """
        box = {name: value for name, value in self.box.items() if name != b"context"}
        error = self.assertRaises(MalformedArguments, compiled(PowerOn).arguments.read, box)

        self.assertIn("'context' is missing", str(error))

    def test_unreadable(self) -> None:
        """
        An argument that can not be read is named, and its value, which may be secret, is not told.
        """
        for name, wrong in (
            (b"context", b"hunter2"),
            (b"context", zlib.compress(b'{"power_pass": "hunter2"')),
            (b"context", zlib.compress(b"[" * 100_000)),
            (b"system_id", b"hunter2\xff"),
            (b"sequence", b"hunter2"),
            (b"sequence", b"9" * 60_000),
            (b"deadline", b"hunter2"),
        ):
            error = self.assertRaises(
                MalformedArguments, compiled(PowerOn).arguments.read, self.box | {name: wrong}
            )
            self.assertIn(name.decode(), str(error))
            self.assertNotIn("hunter2", str(error))

    def test_codes(self) -> None:
        """
        An error has the code of its nearest declared class, and one that is not declared has none.
        """

        class Special(NoSuchNode):
            pass

        schema = compiled(PowerOn)

        self.assertEqual(b"NoSuchNode", schema.code(Special))
        self.assertEqual(b"BadRequest", schema.code(BadRequest))
        self.assertEqual(b"PowerSettingError", schema.code(PowerSettingError))
        self.assertEqual(b"NotImplementedError", schema.code(NotImplementedError))
        self.assertIsNone(schema.code(PowercoordError))
        self.assertIsNone(schema.code(ZeroDivisionError))
