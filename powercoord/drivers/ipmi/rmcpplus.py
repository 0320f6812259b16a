# SPDX-License-Identifier: MIT
"""
The RMCP+ session wrapper of IPMI 2.0.

IPMI 2.0 section 13.6 (table 13-8, the column for RMCP+), 13.27.3 (payload types) and
13.28.4 (integrity). What is inside an encrypted or signed packet is read
with the session's keys: `powercoord.drivers.ipmi.suites.SessionKeys`.
"""

from struct import Struct

from attrs import field, frozen

from powercoord.drivers.ipmi.rmcp import IPMI_HEADER, MAX_DATAGRAM, MalformedDatagram
from powercoord.drivers.ipmi.session15 import AUTH_RMCPPLUS

PAYLOAD_IPMI = 0x00
PAYLOAD_SOL = 0x01
PAYLOAD_OEM = 0x02
PAYLOAD_OPEN_REQUEST = 0x10
PAYLOAD_OPEN_RESPONSE = 0x11
PAYLOAD_RAKP1 = 0x12
PAYLOAD_RAKP2 = 0x13
PAYLOAD_RAKP3 = 0x14
PAYLOAD_RAKP4 = 0x15

ENCRYPTED = 0x80
AUTHENTICATED = 0x40
TYPE_BITS = 0x3F

NEXT_HEADER = 0x07

HEAD = Struct("<4sBBIIH")
_OEM_LENGTH = 6
_START = IPMI_HEADER + bytes((AUTH_RMCPPLUS,))


def read_head(datagram: bytes) -> tuple[int, int, int, int]:
    """
    The payload type with its flags, the session's id, the packet's number, and how long the payload is.
    """
    if not HEAD.size <= len(datagram) <= MAX_DATAGRAM:
        raise MalformedDatagram(f"RMCP+ packet: {len(datagram)} bytes")
    header, auth_type, flags, session_id, sequence, length = HEAD.unpack_from(datagram)
    if header != IPMI_HEADER or auth_type != AUTH_RMCPPLUS:
        raise MalformedDatagram(f"header {datagram[:5].hex()} is not that of RMCP+")
    return flags, session_id, sequence, length


@frozen
class Packet:
    """
    One RMCP+ packet as it travels: with ``encrypted``, ``payload`` is still cipher text.

    ``trailer`` is what follows the payload when ``authenticated``: pad, its
    length, the next header and the authentication code. How long the code is
    only the session knows. ``oem`` has 6 bytes for payload type OEM, else none.
    """

    kind: int
    payload: bytes
    session_id: int = 0
    sequence: int = 0
    encrypted: bool = False
    authenticated: bool = False
    trailer: bytes = b""
    oem: bytes = b""
    datagram: bytes = field(default=b"", repr=False, eq=False)

    def encode(self) -> bytes:
        """
        The whole datagram.
        """
        flags = self.kind | ENCRYPTED * self.encrypted | AUTHENTICATED * self.authenticated
        head = _START + bytes((flags,)) + self.oem
        ids = self.session_id.to_bytes(4, "little") + self.sequence.to_bytes(4, "little")
        length = len(self.payload).to_bytes(2, "little")
        return b"".join((head, ids, length, self.payload, self.trailer))

    @classmethod
    def decode(cls, datagram: bytes) -> "Packet":
        """
        Read the wrapper. Nothing is verified nor decrypted here.
        """
        flags, session_id, sequence, length = read_head(datagram)
        if flags & TYPE_BITS == PAYLOAD_OEM:
            return cls._decode_oem(datagram)
        size, end = len(datagram), HEAD.size + length
        if flags & AUTHENTICATED:
            if end + 2 > size:
                raise MalformedDatagram("RMCP+ packet: the trailer is cut off")
        elif end != size:
            raise MalformedDatagram(f"RMCP+ packet: {size} bytes, its header says {end}")
        return cls(
            flags & TYPE_BITS,
            datagram[HEAD.size : end],
            session_id,
            sequence,
            flags >= ENCRYPTED,
            bool(flags & AUTHENTICATED),
            datagram[end:],
            b"",
            datagram,
        )

    @classmethod
    def _decode_oem(cls, datagram: bytes) -> "Packet":
        if len(datagram) < HEAD.size + _OEM_LENGTH:
            raise MalformedDatagram("RMCP+ packet: the OEM header is cut off")
        flags = datagram[5] & ~TYPE_BITS | PAYLOAD_SOL
        plain = cls.decode(datagram[:5] + bytes((flags,)) + datagram[12:])
        return cls(
            PAYLOAD_OEM,
            plain.payload,
            plain.session_id,
            plain.sequence,
            plain.encrypted,
            plain.authenticated,
            plain.trailer,
            datagram[6:12],
            datagram,
        )


def is_rmcpplus(datagram: bytes) -> bool:
    """
    Whether this is for `Packet.decode` rather than for `Session15.decode`.
    """
    return datagram[:5] == _START


def outside(kind: int, payload: bytes) -> bytes:
    """
    The datagram for a message before there is a session: open session and RAKP.
    """
    return HEAD.pack(IPMI_HEADER, AUTH_RMCPPLUS, kind, 0, 0, len(payload)) + payload
