# SPDX-License-Identifier: MIT
"""
XDR, as far as libvirt's protocol needs it: integers, strings, opaque bytes, lists.

Source: RFC 4506, sections 4.1 to 4.20.  What is read comes from a stranger: no length
is believed before it is compared with what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TypeVar

from attrs import define

T = TypeVar("T")

_INT = Struct(">i")
_UNSIGNED = Struct(">I")
_HYPER = Struct(">q")
_UNIT = 4


class Malformed(Exception):
    """
    These bytes are not what they should be.
    """


def integer(value: int) -> bytes:
    """
    A signed integer (4.1).
    """
    return _INT.pack(value)


def unsigned(value: int) -> bytes:
    """
    An unsigned integer (4.2).
    """
    return _UNSIGNED.pack(value)


def string(value: str) -> bytes:
    """
    A string (4.11), filled up to a multiple of four bytes.
    """
    data = value.encode()
    return _UNSIGNED.pack(len(data)) + fixed(data)


def fixed(value: bytes) -> bytes:
    """
    Bytes whose number both sides know (4.9).
    """
    return value + bytes(-len(value) % _UNIT)


def optional(value: bytes | None) -> bytes:
    """
    Something that may be missing (4.19).
    """
    return _UNSIGNED.pack(0) if value is None else _UNSIGNED.pack(1) + value


def array(members: list[bytes]) -> bytes:
    """
    A list whose number of members is told (4.13).
    """
    return _UNSIGNED.pack(len(members)) + b"".join(members)


@define(eq=False)
class Reader:
    """
    Takes values off the front of some bytes.

    All methods raise `Malformed` where the bytes end before the value does.
    """

    _data: bytes
    _at: int = 0

    def integer(self) -> int:
        """
        A signed integer (4.1).
        """
        value: int = _INT.unpack(self._take(_INT.size))[0]
        return value

    def unsigned(self) -> int:
        """
        An unsigned integer (4.2).
        """
        value: int = _UNSIGNED.unpack(self._take(_UNSIGNED.size))[0]
        return value

    def hyper(self) -> int:
        """
        A long integer (4.5); who reads it as a number knows its sign.
        """
        value: int = _HYPER.unpack(self._take(_HYPER.size))[0]
        return value

    def fixed(self, size: int) -> bytes:
        """
        Bytes whose number both sides know (4.9).
        """
        data = self._take(size)
        if any(self._take(-size % _UNIT)):
            raise Malformed("bytes that only fill up are not zero")
        return data

    def string(self) -> str:
        """
        A string (4.11).  What is no UTF-8 is shown, and refused nowhere: a guest may be called that.
        """
        return self.fixed(self.unsigned()).decode(errors="backslashreplace")

    def optional(self, read: Callable[[], T]) -> T | None:
        """
        Something that may be missing (4.19).
        """
        there = self.unsigned()
        if there > 1:
            raise Malformed(f"{there} where 0 or 1 tells whether something follows")
        return read() if there else None

    def array(self, read: Callable[[], T], most: int) -> list[T]:
        """
        A list of at most so many members (4.13).
        """
        count = self.unsigned()
        if count > most:
            raise Malformed(f"a list of {count} where there are at most {most}")
        return [read() for _ in range(count)]

    def end(self) -> None:
        """
        :raises Malformed: there is more.
        """
        if self._at != len(self._data):
            raise Malformed(f"{len(self._data) - self._at} bytes too many")

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise Malformed(f"ends after {len(self._data)} bytes, {end} are needed")
        data = self._data[self._at : end]
        self._at = end
        return data
