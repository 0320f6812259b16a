# SPDX-License-Identifier: MIT
"""
An open session: how messages go into packets and come out of them.

IPMI 2.0 section 6.12 (sequence numbers). A packet is accepted only if its
code is right and its number is higher than any before: a repeated or recorded
packet is never a second answer.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Protocol

from attrs import define, field

from powercoord.drivers.ipmi import session15
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.quirks import Quirks
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.drivers.ipmi.rmcpplus import AUTHENTICATED, ENCRYPTED, PAYLOAD_IPMI, TYPE_BITS, read_head
from powercoord.drivers.ipmi.suites import BLOCK, SessionKeys

_SEALED = PAYLOAD_IPMI | ENCRYPTED | AUTHENTICATED
_LAST_NUMBER = 0xFFFF_FF00


class Session(Protocol):
    """
    A session with one BMC, of either version.

    :ivar privilege: the level in force now.
    :ivar request: the number of the last request in it, six bits.
    """

    privilege: int
    request: int

    def wrap(self, message: bytes) -> bytes:
        """
        The next packet: each has a number of its own, repeated requests too.
        """

    def unwrap(self, datagram: bytes) -> bytes | None:
        """
        The message in a packet of this session; None if it is not of this session.

        :raises MalformedDatagram: it claims to be, and is not.
        """

    def close_id(self) -> int:
        """
        What Close Session calls it.
        """

    def worn_out(self) -> bool:
        """
        Whether its numbers come to their end.
        """


@define(eq=False, kw_only=True)
class Session20:
    """
    RMCP+: encrypted and signed.
    """

    managed_id: int
    console_id: int
    keys: SessionKeys
    entropy: Entropy
    privilege: int
    request: int = 0
    _outbound: int = field(default=0, init=False)
    _inbound: int = field(default=0, init=False)

    def wrap(self, message: bytes) -> bytes:
        """
        See `Session`.
        """
        self._outbound += 1
        return self.keys.seal(self.managed_id, self._outbound, message, self.entropy(BLOCK))

    def unwrap(self, datagram: bytes) -> bytes | None:
        """
        See `Session`.
        """
        flags, session_id, sequence, length = read_head(datagram)
        if session_id != self.console_id or flags & TYPE_BITS:
            return None
        if flags != _SEALED:
            raise MalformedDatagram("a packet that is not signed and encrypted, in a session")
        message = self.keys.open_sealed(datagram, length)
        if sequence <= self._inbound:
            raise MalformedDatagram(f"packet {sequence} after {self._inbound}: a repetition")
        self._inbound = sequence
        return message

    def close_id(self) -> int:
        """
        See `Session`.
        """
        return self.managed_id

    def worn_out(self) -> bool:
        """
        See `Session`.
        """
        return self._outbound > _LAST_NUMBER or self._inbound > _LAST_NUMBER


@define(eq=False, kw_only=True)
class Session15:
    """
    IPMI 1.5: signed with MD5, or not at all where both sides agreed on that.

    :param outbound: the number of the next packet to the BMC.
    :param inbound: the highest number that came from the BMC.
    """

    session_id: int
    auth_type: int
    password: bytes = field(repr=False)
    quirks: Quirks
    outbound: int
    privilege: int
    inbound: int
    request: int = 0

    def wrap(self, message: bytes) -> bytes:
        """
        See `Session`.
        """
        sequence = self.outbound
        # Zero is for packets outside sessions.
        self.outbound = (self.outbound + 1) & 0xFFFF_FFFF or 1
        return session15.signed(self.auth_type, self.password, self.session_id, sequence, message).encode()

    def unwrap(self, datagram: bytes) -> bytes | None:
        """
        See `Session`.
        """
        packet = session15.Session15.decode(datagram)
        if packet.session_id != self.session_id and (packet.session_id or not self.quirks.zero_session):
            return None
        self._prove(packet)
        sequence = packet.sequence
        if self.quirks.swapped_sequence:
            sequence = int.from_bytes(sequence.to_bytes(4, "big"), "little")
        if sequence <= self.inbound:
            raise MalformedDatagram(f"packet {sequence} after {self.inbound}: a repetition")
        self.inbound = sequence
        return packet.payload

    def _prove(self, packet: session15.Session15) -> None:
        surplus = packet.auth_type != self.auth_type
        expected = session15.AUTH_MD5 if surplus and self.quirks.unexpected_codes else self.auth_type
        if packet.auth_type != expected:
            raise MalformedDatagram(f"authentication type {packet.auth_type} in an IPMI 1.5 session")
        code = session15.auth_code(
            packet.auth_type, self.password, packet.session_id, packet.sequence, packet.payload
        )
        if self.quirks.check_codes and not compare_digest(code, packet.code):
            raise MalformedDatagram("an IPMI 1.5 packet with a wrong authentication code")

    def close_id(self) -> int:
        """
        See `Session`.
        """
        return self.session_id

    def worn_out(self) -> bool:
        """
        See `Session`.
        """
        return self.inbound > _LAST_NUMBER
