# SPDX-License-Identifier: MIT
"""
How both sides of an RMCP+ session prove who they are: the four RAKP messages.

IPMI 2.0 sections 13.20 to 13.23 (messages), 13.31 (key exchange codes).
"Console" is who asks (the specification's "remote console", we), "managed" is the BMC.
"""

from struct import Struct

from attrs import evolve, field, frozen

from powercoord.drivers.ipmi.completion import STATUS_OK
from powercoord.drivers.ipmi.opensession import head
from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need
from powercoord.drivers.ipmi.suites import Suite

#: "Look the user up by its name alone": the role's privilege bits are then only a limit.
NAME_ONLY = 0x10
MAX_USERNAME = 16

_RAKP1 = Struct("<B3xI16sB2xB")
_RAKP_STATUS = Struct("<BBxxI")
_RAKP2 = Struct("<BBxxI16s16s")


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
        tag, status, console_id = _RAKP_STATUS.unpack_from(head(data, "RAKP message 2"))
        if status != STATUS_OK:
            return cls(tag, status, console_id)
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
        tag, status, managed_id = _RAKP_STATUS.unpack_from(head(data, "RAKP message 3"))
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
        tag, status, console_id = _RAKP_STATUS.unpack_from(head(data, "RAKP message 4"))
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
