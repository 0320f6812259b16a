# SPDX-License-Identifier: MIT
"""
How an RMCP+ session is made: open session, and the four RAKP messages.

IPMI 2.0 sections 13.17 to 13.24 (messages), 13.31 (key exchange codes).
"Console" is who asks (the specification's "remote console", we), "managed" is the BMC.
"""

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

from attrs import evolve, field, frozen

from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need
from powercoord.drivers.ipmi.suites import Suite

#: "Look the user up by its name alone": the role's privilege bits are then only a limit.
NAME_ONLY = 0x10
MAX_USERNAME = 16

STATUS_OK = 0x00
STATUS_NO_RESOURCES = 0x01
STATUS_BAD_SESSION = 0x02
STATUS_BAD_INTEGRITY_VALUE = 0x0F

#: RMCP+ status codes, section 13.24, in words.
STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        0x00: "no errors",
        0x01: "insufficient resources to create a session (all session slots are taken)",
        0x02: "invalid session ID",
        0x03: "invalid payload type",
        0x04: "invalid authentication algorithm",
        0x05: "invalid integrity algorithm",
        0x06: "no matching authentication payload",
        0x07: "no matching integrity payload",
        0x08: "inactive session ID",
        0x09: "invalid role",
        0x0A: "unauthorized role or privilege level requested",
        0x0B: "insufficient resources to create a session at the requested role",
        0x0C: "invalid name length",
        0x0D: "unauthorized name",
        0x0E: "unauthorized GUID",
        0x0F: "invalid integrity check value",
        0x10: "invalid confidentiality algorithm",
        0x11: "no cipher suite match with proposed security algorithms",
        0x12: "illegal or unrecognized parameter",
    }
)

_OPEN_REQUEST = Struct("<BB2xI")
_OPEN_RESPONSE = Struct("<BBBxI")
_ALGORITHM = Struct("<BxxBBxxx")
_RAKP1 = Struct("<B3xI16sB2xB")
_RAKP_STATUS = Struct("<BBxxI")
_RAKP2 = Struct("<BBxxI16s16s")


def status_words(status: int) -> str:
    """
    A status as an operator reads it.
    """
    return f"{STATUS_WORDS.get(status, 'reserved status')} (RMCP+ status {status:#04x})"


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
        need(data, 8, "open session response")
        tag, status, privilege, console_id = _OPEN_RESPONSE.unpack_from(data)
        if status != STATUS_OK:
            return cls(tag, status, privilege & 0x0F, console_id)
        need(data, 36, "open session response")
        managed_id = int.from_bytes(data[8:12], "little")
        algorithms = Algorithms.decode(data[12:])
        return cls(tag, status, privilege & 0x0F, console_id, managed_id, algorithms)


@frozen
class Rakp1:
    """
    The console's random number and the user's name.
    """

    tag: int
    managed_id: int
    console_random: bytes
    role: int
    username: bytes

    def encode(self) -> bytes:
        """
        The payload.
        """
        head = _RAKP1.pack(self.tag, self.managed_id, self.console_random, self.role, len(self.username))
        return head + self.username

    @classmethod
    def decode(cls, data: bytes) -> "Rakp1":
        """
        Read a payload, as a BMC does.
        """
        need(data, _RAKP1.size, "RAKP message 1")
        tag, managed_id, console_random, role, length = _RAKP1.unpack_from(data)
        if length > MAX_USERNAME:
            raise MalformedDatagram(f"RAKP message 1: a name of {length} bytes")
        need(data, _RAKP1.size + length, "RAKP message 1")
        name = data[_RAKP1.size : _RAKP1.size + length]
        return cls(tag, managed_id, console_random, role & 0x1F, name)


@frozen
class Rakp2:
    """
    The BMC's random number, its GUID, and its proof that it knows the password.
    """

    tag: int
    status: int
    console_id: int
    managed_random: bytes = b""
    guid: bytes = b""
    code: bytes = b""

    def encode(self) -> bytes:
        """
        The payload.
        """
        head = _RAKP_STATUS.pack(self.tag, self.status, self.console_id)
        return head + self.managed_random + self.guid + self.code

    @classmethod
    def decode(cls, data: bytes) -> "Rakp2":
        """
        Read a payload, as a console does.
        """
        need(data, _RAKP_STATUS.size, "RAKP message 2")
        if data[1] != STATUS_OK:
            return cls(*_RAKP_STATUS.unpack_from(data))
        need(data, _RAKP2.size, "RAKP message 2")
        tag, status, console_id, managed_random, guid = _RAKP2.unpack_from(data)
        return cls(tag, status, console_id, managed_random, guid, data[_RAKP2.size :])


@frozen
class Rakp3:
    """
    The console's proof that it knows the password; or why it gives up.
    """

    tag: int
    status: int
    managed_id: int
    code: bytes = b""

    def encode(self) -> bytes:
        """
        The payload.
        """
        return _RAKP_STATUS.pack(self.tag, self.status, self.managed_id) + self.code

    @classmethod
    def decode(cls, data: bytes) -> "Rakp3":
        """
        Read a payload, as a BMC does.
        """
        need(data, _RAKP_STATUS.size, "RAKP message 3")
        tag, status, managed_id = _RAKP_STATUS.unpack_from(data)
        return cls(tag, status, managed_id, data[_RAKP_STATUS.size :])


@frozen
class Rakp4:
    """
    The BMC's proof that it has the session's key. The session is now active.
    """

    tag: int
    status: int
    console_id: int
    code: bytes = b""

    def encode(self) -> bytes:
        """
        The payload.
        """
        return _RAKP_STATUS.pack(self.tag, self.status, self.console_id) + self.code

    @classmethod
    def decode(cls, data: bytes) -> "Rakp4":
        """
        Read a payload, as a console does.
        """
        need(data, _RAKP_STATUS.size, "RAKP message 4")
        tag, status, console_id = _RAKP_STATUS.unpack_from(data)
        return cls(tag, status, console_id, data[_RAKP_STATUS.size :])


@frozen(kw_only=True)
class KeyExchange:
    """
    All that the codes of one handshake are computed from. Both sides compute alike.

    :param role: privilege level and `NAME_ONLY` bit, as RAKP message 1 has it.
    """

    suite: Suite
    console_id: int
    managed_id: int
    console_random: bytes = field(repr=False)
    managed_random: bytes = field(repr=False)
    guid: bytes
    role: int
    username: bytes

    def managed_code(self, user_key: bytes) -> bytes:
        """
        What RAKP message 2 proves the BMC's knowledge of the password with.
        """
        ids = _le(self.console_id) + _le(self.managed_id)
        randoms = self.console_random + self.managed_random
        return self.suite.hmac(user_key, ids + randoms + self.guid + self._user())

    def console_code(self, user_key: bytes) -> bytes:
        """
        What RAKP message 3 proves the console's knowledge of the password with.
        """
        message = self.managed_random + _le(self.console_id) + self._user()
        return self.suite.hmac(user_key, message)

    def session_key(self, key: bytes) -> bytes:
        """
        The session integrity key (SIK).

        :param key: K_g where the BMC has one, else the user's key again.
        """
        message = self.console_random + self.managed_random + self._user()
        return self.suite.hmac(key, message)

    def final_code(self, session_key: bytes) -> bytes:
        """
        What RAKP message 4 carries.
        """
        message = self.console_random + _le(self.managed_id) + self.guid
        return self.suite.hmac(session_key, message)[: self.suite.icv_length]

    def with_role(self, role: int) -> "KeyExchange":
        """
        The same exchange as firmware computes it that hashes another role than was sent.
        """
        return evolve(self, role=role)

    def _user(self) -> bytes:
        return bytes((self.role, len(self.username))) + self.username


def _le(number: int) -> bytes:
    return number.to_bytes(4, "little")
