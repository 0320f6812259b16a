# SPDX-License-Identifier: MIT
"""
Types of AMP arguments that Twisted does not have, and Twisted's where a peer could abuse them.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from twisted.protocols import amp

MAX_INFLATED = 1_048_576


class CompressedJson(amp.Argument):
    """
    Any structure as JSON in ASCII, compressed by zlib: MAAS's form of one.

    What a few bytes may inflate to is bounded.
    """

    def fromString(self, wire: bytes) -> Any:
        """
        Read a structure.
        """
        inflater = zlib.decompressobj()
        text = inflater.decompress(wire, MAX_INFLATED)
        if not inflater.eof:
            raise ValueError("cut short, or too large")
        return json.loads(text.decode())

    def toString(self, value: Any) -> bytes:
        """
        Write a structure.
        """
        return zlib.compress(json.dumps(value).encode("ascii"))


class Json(amp.Argument):
    """
    Any structure as JSON in UTF-8; bytes are taken as JSON that was written already.
    """

    def fromString(self, wire: bytes) -> Any:
        """
        Read a structure.
        """
        return json.loads(wire.decode())

    def toString(self, value: Any) -> bytes:
        """
        Write a structure.
        """
        if isinstance(value, bytes):
            return value
        return dump(value)


class Seconds(amp.Argument):
    """
    A finite number of seconds, not negative, in decimal notation.
    """

    def fromString(self, wire: bytes) -> float:
        """
        Read a number.
        """
        seconds = float(wire)
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError("not a time")
        return seconds

    def toString(self, value: float) -> bytes:
        """
        Write a number.
        """
        return repr(float(value)).encode("ascii")


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def dump(structure: Any) -> bytes:
    """
    A structure as compact JSON; a lone surrogate becomes a question mark.
    """
    return _encoder.encode(structure).encode("utf-8", "replace")
