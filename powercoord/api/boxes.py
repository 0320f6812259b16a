# SPDX-License-Identifier: MIT
"""
AMP boxes as bytes: what a peer may send, and how much of it (twisted.protocols.amp, "AMP Box").

A box is a list of keys and values, each behind its length in two bytes, and
ends with an empty key.  The parser holds one unfinished box and no more, asks
for boxes one at a time, and so can stop at any of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

MAX_KEY = 255
MAX_VALUE = 65_535
MAX_BOX = 262_144
MAX_KEYS = 64

Box = dict[bytes, bytes]


class Garbage(Exception):
    """
    The peer does not speak AMP, or without measure; there is no way back into its stream.
    """


class ValueTooLong(Exception):
    """
    A value does not fit into a box.
    """


@frozen
class Flawed:
    """
    A box that ended where it should and cannot be used; ``box`` is what was kept of it.
    """

    box: Box
    reason: str


class BoxParser:
    """
    Bytes in, boxes out.
    """

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0
        self._later: list[bytes] = []
        self._missing = 0
        self._key: bytes | None = None
        self._start()

    def _start(self) -> None:
        self._box: Box = {}
        self._size = 0
        self._flaw = ""

    @property
    def unfinished(self) -> bool:
        """
        Whether a box has begun and its end has not come.
        """
        return bool(self._box or self._later) or self._key is not None or self._at < len(self._bytes)

    def feed(self, data: bytes) -> None:
        """
        Take what the peer sent.

        Pieces are only put together when they complete a string: a box that
        drips in costs no more than one that comes at once.
        """
        if self._later or self._at < len(self._bytes):
            self._later.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join((self._bytes[self._at :], *self._later))
            self._later.clear()
        self._bytes, self._at = data, 0

    def take(self) -> Box | Flawed | None:
        """
        The next box, or None while its end has not come.

        :raises Garbage: the connection is of no more use.
        """
        if self._later:
            return None
        data, end = self._bytes, len(self._bytes)
        at, key, box, size = self._at, self._key, self._box, self._size
        while True:
            start = at + 2
            stop = start if start > end else start + (data[at] << 8 | data[at + 1])
            if key is None and stop - start > MAX_KEY:
                raise Garbage("it does not speak AMP")
            if stop > end:
                self._at, self._key, self._size, self._missing = at, key, size, stop - end
                return None
            at = stop
            if key is not None:
                size += stop - start + len(key) + 4
                self._keep(box, key, data[start:stop], size)
                key = None
            elif stop > start:
                key = data[start:stop]
            else:
                self._at, self._key = at, None
                return self._finished()

    def _keep(self, box: Box, key: bytes, value: bytes, size: int) -> None:
        if size > MAX_BOX:
            raise Garbage(f"a box of more than {MAX_BOX} bytes")
        if key in box:
            self._flaw = "a key stands twice in one box"
        elif len(box) == MAX_KEYS:
            self._flaw = f"more than {MAX_KEYS} keys in one box"
        else:
            box[key] = value

    def _finished(self) -> Box | Flawed:
        box, flaw = self._box, self._flaw
        self._start()
        return Flawed(box, flaw) if flaw else box


def encode(box: Mapping[bytes, bytes]) -> bytes:
    """
    A box as bytes.

    :raises ValueTooLong: naming the key whose value does not fit.
    """
    parts: list[bytes] = []
    for key, value in box.items():
        length = len(value)
        if length > MAX_VALUE:
            raise ValueTooLong(f"{key.decode()} has {length} bytes; a value has at most {MAX_VALUE}")
        parts += (len(key).to_bytes(2, "big"), key, length.to_bytes(2, "big"), value)
    parts.append(b"\0\0")
    return b"".join(parts)
