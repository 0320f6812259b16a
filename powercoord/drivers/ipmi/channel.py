# SPDX-License-Identifier: MIT
"""
Commands about channels and sessions, outside and inside of one.

IPMI 2.0 sections 22.13 (authentication capabilities), 22.15 (cipher suites), 22.18
(privilege level) and 22.19 (close).
"""

from typing import ClassVar

from attrs import frozen

from powercoord.drivers.ipmi.lan import NETFN_APP
from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need

#: "The channel that this message came in on."
THIS_CHANNEL = 0x0E

PRIVILEGE_CALLBACK = 1
PRIVILEGE_USER = 2
PRIVILEGE_OPERATOR = 3
PRIVILEGE_ADMIN = 4

_CIPHER_RECORD = 0xC0
#: How a record begins, and how long it is up to its algorithms.
_RECORD_HEADS = {_CIPHER_RECORD: 2, 0xC1: 5}


@frozen
class GetAuthCapabilities:
    """
    Ask what a channel offers at a privilege level.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x38

    privilege: int
    channel: int = THIS_CHANNEL
    extended: bool = True

    def encode(self) -> bytes:
        """
        The request's data. ``extended`` asks for the RMCP+ bits.
        """
        return bytes((self.channel | 0x80 * self.extended, self.privilege))

    @classmethod
    def decode(cls, data: bytes) -> "GetAuthCapabilities":
        """
        Read the request's data.
        """
        need(data, 2, "Get Channel Authentication Capabilities")
        return cls(data[1] & 0x0F, data[0] & 0x0F, bool(data[0] & 0x80))


@frozen
class AuthCapabilities:
    """
    What a channel offers.

    :param auth_types: bits 0 none, 1 MD2, 2 MD5, 4 straight password, 5 OEM.
    :param status: bits 0 anonymous login, 1 null users, 2 named users,
        3 no user-level authentication, 4 no per-message authentication, 5 K_g is set.
    :param versions: bits 0 IPMI 1.5, 1 IPMI 2.0; only where ``extended``.
    """

    channel: int
    auth_types: int
    status: int
    versions: int = 0
    extended: bool = True
    oem: bytes = b"\0\0\0\0"

    @property
    def rmcpplus(self) -> bool:
        """
        Whether IPMI 2.0 sessions can be made here.
        """
        return self.extended and bool(self.versions & 2)

    @property
    def per_message(self) -> bool:
        """
        Whether IPMI 1.5 packets inside a session carry authentication codes.
        """
        return not self.status & 0x10

    @property
    def needs_k_g(self) -> bool:
        """
        Whether the BMC's key is set to something else than zeros.
        """
        return bool(self.status & 0x20)

    def encode(self) -> bytes:
        """
        The response's data.
        """
        types = self.auth_types | 0x80 * self.extended
        return bytes((self.channel, types, self.status, self.versions)) + self.oem

    @classmethod
    def decode(cls, data: bytes) -> "AuthCapabilities":
        """
        Read the response's data.
        """
        need(data, 8, "Get Channel Authentication Capabilities response")
        types = data[1] & 0x3F
        return cls(data[0] & 0x0F, types, data[2] & 0x3F, data[3], data[1] >= 0x80, data[4:8])


@frozen
class GetCipherSuites:
    """
    Ask for one piece of 16 bytes of the list of cipher suite records.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x54

    index: int = 0
    channel: int = THIS_CHANNEL
    payload_type: int = 0

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return bytes((self.channel, self.payload_type, 0x80 | self.index))

    @classmethod
    def decode(cls, data: bytes) -> "GetCipherSuites":
        """
        Read the request's data.
        """
        need(data, 3, "Get Channel Cipher Suites")
        return cls(data[2] & 0x3F, data[0] & 0x0F, data[1] & 0x3F)


@frozen
class CipherSuites:
    """
    One piece of the records; less than 16 bytes means that it is the last.
    """

    PIECE: ClassVar[int] = 16

    channel: int
    records: bytes

    @property
    def last(self) -> bool:
        """
        Whether nothing follows.
        """
        return len(self.records) < self.PIECE

    def encode(self) -> bytes:
        """
        The response's data.
        """
        return bytes((self.channel,)) + self.records

    @classmethod
    def decode(cls, data: bytes) -> "CipherSuites":
        """
        Read the response's data.
        """
        need(data, 1, "Get Channel Cipher Suites response")
        return cls(data[0] & 0x0F, data[1 : 1 + cls.PIECE])


def suite_records(suites: dict[int, tuple[int, int, int]]) -> bytes:
    """
    The record list of a BMC: suite number to its three algorithms.
    """
    return b"".join(
        bytes((_CIPHER_RECORD, number, auth, 0x40 | integrity, 0x80 | confidentiality))
        for number, (auth, integrity, confidentiality) in suites.items()
    )


def suite_numbers(records: bytes) -> tuple[int, ...]:
    """
    The standard suites in a complete record list, in its order.
    """
    numbers, at = [], 0
    while at < len(records):
        start = records[at]
        size = _RECORD_HEADS.get(start, 0)
        if not size or at + size > len(records):
            raise MalformedDatagram(f"cipher suite record begins with {start:#04x}")
        if start == _CIPHER_RECORD:
            numbers.append(records[at + 1])
        at += size
        # Then its algorithms, as many as there are: none has both high bits set.
        while at < len(records) and records[at] & 0xC0 != 0xC0:
            at += 1
    return tuple(numbers)


@frozen
class SetPrivilege:
    """
    Set Session Privilege Level; 0 asks for the present one.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x3B

    privilege: int

    def encode(self) -> bytes:
        """
        The request's data, and the response's too: the level that is now in force.
        """
        return bytes((self.privilege,))

    @classmethod
    def decode(cls, data: bytes) -> "SetPrivilege":
        """
        Read a request's or a response's data.
        """
        need(data, 1, "Set Session Privilege Level")
        return cls(data[0] & 0x0F)


@frozen
class CloseSession:
    """
    End a session. The response has no data.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x3C

    session_id: int

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return self.session_id.to_bytes(4, "little")

    @classmethod
    def decode(cls, data: bytes) -> "CloseSession":
        """
        Read the request's data.
        """
        need(data, 4, "Close Session")
        return cls(int.from_bytes(data[:4], "little"))
