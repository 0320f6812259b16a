# SPDX-License-Identifier: MIT
"""
The IPMI 1.5 session wrapper, also used for messages outside any session.

IPMI 2.0 section 13.6 (table 13-8, the column for 1.5) and 22.17.1 (authentication codes).
"""

from hashlib import md5
from struct import Struct

from attrs import frozen

from powercoord.drivers.ipmi.rmcp import IPMI_HEADER, MAX_DATAGRAM, MalformedDatagram, need

AUTH_NONE = 0x00
AUTH_MD2 = 0x01
AUTH_MD5 = 0x02
AUTH_STRAIGHT = 0x04
AUTH_OEM = 0x05
AUTH_RMCPPLUS = 0x06

CODE_LENGTH = 16
PASSWORD_LENGTH = 16

_HEAD = Struct("<4sBII")
_LEGACY_PAD_LENGTHS = frozenset((56, 84, 112, 128, 156))


@frozen
class Session15:
    """
    One IPMI 1.5 packet. ``code`` has 16 bytes, or none with authentication type "none".
    """

    auth_type: int
    sequence: int
    session_id: int
    payload: bytes
    code: bytes = b""

    def encode(self) -> bytes:
        """
        The whole datagram.
        """
        head = _HEAD.pack(IPMI_HEADER, self.auth_type, self.sequence, self.session_id)
        datagram = b"%b%b%c%b" % (head, self.code, len(self.payload), self.payload)
        # Old Ethernet chips lose datagrams of these lengths (section 13.6, "legacy pad").
        if len(datagram) - 4 in _LEGACY_PAD_LENGTHS:
            datagram += b"\0"
        return datagram

    @classmethod
    def decode(cls, datagram: bytes) -> "Session15":
        """
        Read a datagram that is not RMCP+. The code is not verified here.
        """
        need(datagram, 14, "IPMI 1.5 packet")
        header, auth_type, sequence, session_id = _HEAD.unpack_from(datagram)
        if header != IPMI_HEADER or len(datagram) > MAX_DATAGRAM:
            raise MalformedDatagram(f"RMCP header {header.hex()} is not IPMI's")
        if auth_type == AUTH_RMCPPLUS:
            raise MalformedDatagram("an RMCP+ packet where IPMI 1.5 is expected")
        at = 13 if auth_type == AUTH_NONE else 13 + CODE_LENGTH
        need(datagram, at + 1, "IPMI 1.5 packet")
        end = at + 1 + datagram[at]
        need(datagram, end, "IPMI 1.5 payload")
        if len(datagram) > end + 1:
            raise MalformedDatagram(f"IPMI 1.5 packet: {len(datagram) - end} bytes too many")
        return cls(auth_type, sequence, session_id, datagram[at + 1 : end], datagram[13:at])


def padded(password: bytes) -> bytes:
    """
    The password as 16 bytes; IPMI 1.5 knows no more of it.
    """
    return password[:PASSWORD_LENGTH].ljust(PASSWORD_LENGTH, b"\0")


def auth_code(auth_type: int, password: bytes, session_id: int, sequence: int, payload: bytes) -> bytes:
    """
    The 16 bytes that prove knowledge of the password, or none.
    """
    if auth_type == AUTH_NONE:
        return b""
    secret = padded(password)
    if auth_type == AUTH_STRAIGHT:
        return secret
    if auth_type != AUTH_MD5:
        raise ValueError(f"authentication type {auth_type} is not supported")
    ids = session_id.to_bytes(4, "little"), sequence.to_bytes(4, "little")
    digest = md5(secret + ids[0] + payload + ids[1] + secret, usedforsecurity=False)
    return digest.digest()


def signed(auth_type: int, password: bytes, session_id: int, sequence: int, payload: bytes) -> Session15:
    """
    A packet with the code that its receiver will look for.
    """
    code = auth_code(auth_type, password, session_id, sequence, payload)
    return Session15(auth_type, sequence, session_id, payload, code)


def outside(payload: bytes) -> bytes:
    """
    The datagram for a message that needs no session.
    """
    return Session15(AUTH_NONE, 0, 0, payload).encode()
