# SPDX-License-Identifier: MIT
"""
The packets of libvirt's protocol, and where one ends in a stream.

Source: libvirt, "RPC protocol" (docs/kbase/internals/rpc.html, "General protocol") and
src/rpc/virnetprotocol.x: a length that counts itself, then program, version, procedure,
type, serial and status, four bytes each, then the body in XDR.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from attrs import define, field, frozen

from powercoord.drivers.virsh.xdr import Malformed

#: Program numbers: of the hypervisor, and of the "are you there".
REMOTE = 0x20008086
KEEPALIVE = 0x6B656570

_HEADER = Struct(">IIIiiIi")

#: libvirt's own limit is 32 MiB; a thousand guests with their states are 100 KiB.
MOST = 4 * 1024 * 1024


class Kind(IntEnum):
    """
    What a packet is (virNetMessageType).
    """

    CALL = 0
    REPLY = 1
    MESSAGE = 2


class Status(IntEnum):
    """
    Whether a body is an answer or an error (virNetMessageStatus).
    """

    OK = 0
    ERROR = 1


@frozen
class Packet:
    """
    One packet.
    """

    program: int
    procedure: int
    kind: int
    serial: int
    status: int
    body: bytes = field(default=b"", repr=False)
    version: int = 1

    def encode(self) -> bytes:
        """
        With its length in front.
        """
        return (
            _HEADER.pack(
                _HEADER.size + len(self.body),
                self.program,
                self.version,
                self.procedure,
                self.kind,
                self.serial,
                self.status,
            )
            + self.body
        )


@define(eq=False)
class Packets:
    """
    Cuts a stream into packets; holds less than one of the largest.

    :param most: bytes that a packet may have.
    """

    most: int = MOST
    _rest: bytearray = field(factory=bytearray, init=False)

    def feed(self, data: bytes) -> Iterator[Packet]:
        """
        The packets that are whole with these bytes.

        :raises Malformed: nobody who speaks this protocol sends that.
        """
        self._rest += data
        while (packet := self._next()) is not None:
            yield packet

    def _next(self) -> Packet | None:
        if len(self._rest) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._rest)
        if length < _HEADER.size:
            raise Malformed(f"a packet of {length} bytes is shorter than its header")
        if length > self.most:
            raise Malformed(f"a packet of {length} bytes, {self.most} is the most")
        if len(self._rest) < length:
            return None
        _, program, version, procedure, kind, serial, status = _HEADER.unpack_from(self._rest)
        body = bytes(self._rest[_HEADER.size : length])
        del self._rest[:length]
        return Packet(program, procedure, kind, serial, status, body, version)


_LENGTH = Struct(">I")
