# SPDX-License-Identifier: MIT
"""
The IPMI message inside a LAN session: a command and its answer.

IPMI 2.0 section 13.8 (tables 13-9 and 13-10): addresses, network function,
sequence number and two checksums around the data.
"""

from attrs import frozen

from powercoord.drivers.ipmi.rmcp import MalformedDatagram

#: The BMC's slave address, and the software id that a remote console uses.
BMC = 0x20
CONSOLE = 0x81

NETFN_CHASSIS = 0x00
NETFN_APP = 0x06

SHORTEST_REQUEST = 7
SHORTEST_RESPONSE = 8


def checksum(data: bytes) -> int:
    """
    The byte that makes the sum of ``data`` and itself zero.
    """
    return -sum(data) & 0xFF


@frozen
class LanRequest:
    """
    One command for a BMC.
    """

    netfn: int
    command: int
    data: bytes = b""
    sequence: int = 0
    rs_addr: int = BMC
    rs_lun: int = 0
    rq_addr: int = CONSOLE
    rq_lun: int = 0

    def encode(self) -> bytes:
        """
        The message as it goes into a session's payload.
        """
        head = bytes((self.rs_addr, self.netfn << 2 | self.rs_lun))
        body = bytes((self.rq_addr, self.sequence << 2 | self.rq_lun, self.command)) + self.data
        return b"%b%c%b%c" % (head, -sum(head) & 0xFF, body, -sum(body) & 0xFF)

    @classmethod
    def decode(cls, message: bytes, check: bool = True) -> "LanRequest":
        """
        Read a command, as a BMC does.

        :param check: whether wrong checksums are an error.
        """
        verify(message, SHORTEST_REQUEST, check)
        if message[1] & 4:
            raise MalformedDatagram("a response where a request is expected")
        return cls(
            message[1] >> 2,
            message[5],
            message[6:-1],
            message[4] >> 2,
            message[0],
            message[1] & 3,
            message[3],
            message[4] & 3,
        )

    def answer(self, code: int = 0, data: bytes = b"") -> "LanResponse":
        """
        A response that belongs to this request.
        """
        return LanResponse(
            self.netfn | 1,
            self.command,
            code,
            data,
            self.sequence,
            self.rq_addr,
            self.rq_lun,
            self.rs_addr,
            self.rs_lun,
        )


@frozen
class LanResponse:
    """
    A BMC's answer: the completion code and what came with it.

    ``netfn`` is odd: the request's plus one.
    """

    netfn: int
    command: int
    code: int = 0
    data: bytes = b""
    sequence: int = 0
    rq_addr: int = CONSOLE
    rq_lun: int = 0
    rs_addr: int = BMC
    rs_lun: int = 0

    def encode(self) -> bytes:
        """
        The message as it goes into a session's payload.
        """
        head = bytes((self.rq_addr, self.netfn << 2 | self.rq_lun))
        body = bytes((self.rs_addr, self.sequence << 2 | self.rs_lun, self.command, self.code))
        body += self.data
        return b"%b%c%b%c" % (head, -sum(head) & 0xFF, body, -sum(body) & 0xFF)

    @classmethod
    def decode(cls, message: bytes, check: bool = True) -> "LanResponse":
        """
        Read an answer, as a console does.

        :param check: whether wrong checksums are an error (quirk ``nochecksumcheck``).
        """
        verify(message, SHORTEST_RESPONSE, check)
        if not message[1] & 4:
            raise MalformedDatagram("a request where a response is expected")
        return cls(
            message[1] >> 2,
            message[5],
            message[6],
            message[7:-1],
            message[4] >> 2,
            message[0],
            message[1] & 3,
            message[3],
            message[4] & 3,
        )


def verify(message: bytes, shortest: int, check: bool) -> None:
    """
    Refuse a message that is too short or, with ``check``, has a wrong checksum.
    """
    if len(message) < shortest:
        raise MalformedDatagram(f"IPMI message: {len(message)} bytes, need at least {shortest}")
    # The first three bytes sum to zero, and so do all the others.
    if check and (sum(message[:3]) & 0xFF or sum(message[3:]) & 0xFF):
        raise MalformedDatagram("IPMI message: wrong checksum")
