# SPDX-License-Identifier: MIT
"""
How an IPMI 1.5 session begins: a challenge, and its activation.

IPMI 2.0 sections 22.16 and 22.17.
"""

from struct import Struct
from typing import ClassVar

from attrs import field, frozen

from powercoord.drivers.ipmi.lan import NETFN_APP
from powercoord.drivers.ipmi.rmcp import need

_CHALLENGE = Struct("<B16s")
_ACTIVATE = Struct("<BB16sI")
_ACTIVATED = Struct("<BIIB")


@frozen
class GetSessionChallenge:
    """
    IPMI 1.5: ask for a challenge for a user.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x39

    auth_type: int
    username: bytes

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return _CHALLENGE.pack(self.auth_type, self.username)

    @classmethod
    def decode(cls, data: bytes) -> "GetSessionChallenge":
        """
        Read the request's data.
        """
        need(data, _CHALLENGE.size, "Get Session Challenge")
        auth_type, username = _CHALLENGE.unpack_from(data)
        return cls(auth_type & 0x0F, username.rstrip(b"\0"))


@frozen
class SessionChallenge:
    """
    IPMI 1.5: the challenge, and a session id to use until activation.
    """

    session_id: int
    challenge: bytes = field(repr=False)

    def encode(self) -> bytes:
        """
        The response's data.
        """
        return self.session_id.to_bytes(4, "little") + self.challenge

    @classmethod
    def decode(cls, data: bytes) -> "SessionChallenge":
        """
        Read the response's data.
        """
        need(data, 20, "Get Session Challenge response")
        return cls(int.from_bytes(data[:4], "little"), data[4:20])


@frozen
class ActivateSession:
    """
    IPMI 1.5: begin the session.

    :param sequence: the number that the BMC's packets shall begin with.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x3A

    auth_type: int
    privilege: int
    challenge: bytes = field(repr=False)
    sequence: int

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return _ACTIVATE.pack(self.auth_type, self.privilege, self.challenge, self.sequence)

    @classmethod
    def decode(cls, data: bytes) -> "ActivateSession":
        """
        Read the request's data.
        """
        need(data, _ACTIVATE.size, "Activate Session")
        auth_type, privilege, challenge, sequence = _ACTIVATE.unpack_from(data)
        return cls(auth_type & 0x0F, privilege & 0x0F, challenge, sequence)


@frozen
class SessionActivated:
    """
    IPMI 1.5: the session's id and how its packets are authenticated from now on.

    :param sequence: the number that the console's packets shall begin with.
    """

    auth_type: int
    session_id: int
    sequence: int
    privilege: int

    def encode(self) -> bytes:
        """
        The response's data.
        """
        return _ACTIVATED.pack(self.auth_type, self.session_id, self.sequence, self.privilege)

    @classmethod
    def decode(cls, data: bytes) -> "SessionActivated":
        """
        Read the response's data.
        """
        need(data, _ACTIVATED.size, "Activate Session response")
        auth_type, session_id, sequence, privilege = _ACTIVATED.unpack_from(data)
        return cls(auth_type & 0x0F, session_id, sequence, privilege & 0x0F)
