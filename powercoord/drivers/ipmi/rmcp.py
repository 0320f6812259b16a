# SPDX-License-Identifier: MIT
"""
RMCP: the four bytes in front of everything, and the ASF presence ping.

IPMI 2.0 section 13.1.3 (RMCP header) and 13.2 (ping and pong); ASF 2.0 section 3.2.
"""

from struct import Struct

from attrs import frozen

#: Longer datagrams are never ours: the largest message here has some hundred bytes.
MAX_DATAGRAM = 1024

VERSION = 0x06
CLASS_ASF = 0x06
CLASS_IPMI = 0x07
NO_ACK = 0xFF
ACK_BIT = 0x80

#: The header of each IPMI message: version, reserved, "no acknowledgement wanted", class.
IPMI_HEADER = bytes((VERSION, 0, NO_ACK, CLASS_IPMI))

ASF_IANA = 4542
PING = 0x80
PONG = 0x40

_ASF = Struct(">IBBBB")
_PONG = Struct(">II2B6x")


class MalformedDatagram(ValueError):
    """
    These bytes are not what they claim to be.
    """


def need(data: bytes, length: int, what: str) -> None:
    """
    Refuse what is shorter than its fields.
    """
    if len(data) < length:
        raise MalformedDatagram(f"{what}: {len(data)} bytes, need at least {length}")


@frozen
class Rmcp:
    """
    One RMCP message. ``body`` is what follows the header.
    """

    kind: int
    body: bytes
    sequence: int = NO_ACK
    ack: bool = False

    def encode(self) -> bytes:
        """
        These bytes go on the wire.
        """
        kind = self.kind | ACK_BIT if self.ack else self.kind
        return bytes((VERSION, 0, self.sequence, kind)) + self.body

    @classmethod
    def decode(cls, datagram: bytes) -> "Rmcp":
        """
        Read any RMCP message.
        """
        need(datagram, 4, "RMCP header")
        if len(datagram) > MAX_DATAGRAM:
            raise MalformedDatagram(f"RMCP: {len(datagram)} bytes, at most {MAX_DATAGRAM}")
        if datagram[0] != VERSION:
            raise MalformedDatagram(f"RMCP version {datagram[0]:#04x}, not 0x06")
        kind = datagram[3]
        return cls(kind & 0x1F, datagram[4:], datagram[2], bool(kind & ACK_BIT))


@frozen
class Ping:
    """
    "Is there anybody?" Needs no session and no password.
    """

    tag: int

    def encode(self) -> bytes:
        """
        The whole datagram.
        """
        return Rmcp(CLASS_ASF, _ASF.pack(ASF_IANA, PING, self.tag, 0, 0)).encode()

    @classmethod
    def decode(cls, datagram: bytes) -> "Ping":
        """
        Read a presence ping from a whole datagram.
        """
        kind, tag, _ = _asf(datagram)
        if kind != PING:
            raise MalformedDatagram(f"ASF type {kind:#04x} is no ping")
        return cls(tag)


@frozen
class Pong:
    """
    The answer to a ping; ``entities`` has bit 7 set where IPMI is spoken.
    """

    tag: int
    entities: int = 0x81
    interactions: int = 0
    iana: int = ASF_IANA
    oem: int = 0

    @property
    def speaks_ipmi(self) -> bool:
        """
        Whether IPMI is offered at this address.
        """
        return bool(self.entities & 0x80)

    def encode(self) -> bytes:
        """
        The whole datagram.
        """
        data = _PONG.pack(self.iana, self.oem, self.entities, self.interactions)
        return Rmcp(CLASS_ASF, _ASF.pack(ASF_IANA, PONG, self.tag, 0, len(data)) + data).encode()

    @classmethod
    def decode(cls, datagram: bytes) -> "Pong":
        """
        Read a presence pong from a whole datagram.
        """
        kind, tag, data = _asf(datagram)
        if kind != PONG:
            raise MalformedDatagram(f"ASF type {kind:#04x} is no pong")
        need(data, _PONG.size, "ASF pong")
        iana, oem, entities, interactions = _PONG.unpack_from(data)
        return cls(tag, entities, interactions, iana, oem)


def _asf(datagram: bytes) -> tuple[int, int, bytes]:
    rmcp = Rmcp.decode(datagram)
    if rmcp.kind != CLASS_ASF or rmcp.ack:
        raise MalformedDatagram(f"RMCP class {rmcp.kind:#04x} is not ASF")
    need(rmcp.body, _ASF.size, "ASF message")
    iana, kind, tag, _, length = _ASF.unpack_from(rmcp.body)
    if iana != ASF_IANA:
        raise MalformedDatagram(f"ASF enterprise number {iana}, not {ASF_IANA}")
    need(rmcp.body, _ASF.size + length, "ASF data")
    return kind, tag, rmcp.body[_ASF.size : _ASF.size + length]
