# SPDX-License-Identifier: MIT
"""
How an RMCP+ session begins: the two sides agree on algorithms and exchange their ids.

IPMI 2.0 sections 13.17 to 13.19. "Console" is who asks (the specification's "remote
console", we), "managed" is the BMC.
"""

from struct import Struct

from attrs import frozen

from powercoord.drivers.ipmi.completion import STATUS_OK
from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need
from powercoord.drivers.ipmi.suites import Suite

STATUS_LENGTH = 8

_OPEN_REQUEST = Struct("<BB2xI")
_OPEN_RESPONSE = Struct("<BBBxI")
_ALGORITHM = Struct("<BxxBBxxx")


def head(data: bytes, what: str) -> bytes:
    """
    The part with the status. With an error, some firmware sends nothing behind it.
    """
    need(data, 2, what)
    if data[1] == STATUS_OK:
        need(data, STATUS_LENGTH, what)
    return data[:STATUS_LENGTH].ljust(STATUS_LENGTH, b"\0")


@frozen
class Algorithms:
    """
    The three algorithms that a suite stands for, as open session carries them.
    """

    authentication: int
    integrity: int
    confidentiality: int

    @classmethod
    def of(cls, suite: Suite) -> "Algorithms":
        """
        The algorithms of a suite.
        """
        return cls(suite.authentication, suite.integrity, suite.confidentiality)

    def encode(self) -> bytes:
        """
        Three payloads of eight bytes.
        """
        chosen = (self.authentication, self.integrity, self.confidentiality)
        return b"".join(_ALGORITHM.pack(kind, 8, value) for kind, value in enumerate(chosen))

    @classmethod
    def decode(cls, data: bytes) -> "Algorithms":
        """
        Read the three payloads. A length of zero is a wildcard, here the same as "none".
        """
        need(data, 24, "open session algorithms")
        chosen = []
        for kind in range(3):
            found, length, value = _ALGORITHM.unpack_from(data, 8 * kind)
            if found != kind or length not in (0, 8):
                raise MalformedDatagram(f"open session: algorithm payload {found} for {kind}")
            chosen.append(value & 0x3F)
        return cls(*chosen)


@frozen
class OpenRequest:
    """
    "Let us have a session with these algorithms." ``privilege`` 0 asks for the highest.
    """

    tag: int
    privilege: int
    console_id: int
    algorithms: Algorithms

    def encode(self) -> bytes:
        """
        The payload.
        """
        head = _OPEN_REQUEST.pack(self.tag, self.privilege, self.console_id)
        return head + self.algorithms.encode()

    @classmethod
    def decode(cls, data: bytes) -> "OpenRequest":
        """
        Read a payload, as a BMC does.
        """
        need(data, 32, "open session request")
        tag, privilege, console_id = _OPEN_REQUEST.unpack_from(data)
        return cls(tag, privilege & 0x0F, console_id, Algorithms.decode(data[8:]))


@frozen
class OpenResponse:
    """
    The BMC's answer. With a status other than 0 there is nothing behind ``console_id``.
    """

    tag: int
    status: int
    privilege: int
    console_id: int
    managed_id: int = 0
    algorithms: Algorithms | None = None

    def encode(self) -> bytes:
        """
        The payload.
        """
        head = _OPEN_RESPONSE.pack(self.tag, self.status, self.privilege, self.console_id)
        if self.algorithms is None:
            return head
        return head + self.managed_id.to_bytes(4, "little") + self.algorithms.encode()

    @classmethod
    def decode(cls, data: bytes) -> "OpenResponse":
        """
        Read a payload, as a console does.
        """
        tag, status, privilege, console_id = _OPEN_RESPONSE.unpack_from(head(data, "open session response"))
        if status != STATUS_OK:
            return cls(tag, status, privilege & 0x0F, console_id)
        need(data, 36, "open session response")
        managed_id = int.from_bytes(data[8:12], "little")
        algorithms = Algorithms.decode(data[12:])
        return cls(tag, status, privilege & 0x0F, console_id, managed_id, algorithms)
