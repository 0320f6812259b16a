# SPDX-License-Identifier: MIT
"""
Cipher suites as data, the keys of a session, and sealing and opening with them.

IPMI 2.0 section 13.28 (algorithms), 13.29 (AES-CBC-128), 13.31 and 13.32 (key
generation), table 22-20 (suites); suite 17 by the IPMI 2.0 errata 7 (SHA-256).
"""

from collections.abc import Mapping
from hmac import compare_digest
from types import MappingProxyType

from attrs import define, field, frozen
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from powercoord.drivers.ipmi.rmcp import IPMI_HEADER, MalformedDatagram
from powercoord.drivers.ipmi.rmcpplus import (
    AUTHENTICATED,
    ENCRYPTED,
    HEAD,
    NEXT_HEADER,
    PAYLOAD_IPMI,
    Packet,
)
from powercoord.drivers.ipmi.session15 import AUTH_RMCPPLUS

BLOCK = 16

#: Twenty bytes for every suite, also where the hash has 32: all implementations agree.
_KEY_CONSTANTS = (b"\x01" * 20, b"\x02" * 20)


@frozen
class Suite:
    """
    One combination of algorithms that both sides agree on.

    :param icv_length: how much of the hash RAKP message 4 carries.
    :param code_length: how much of the hash each packet of the session carries.
    """

    id: int
    authentication: int
    integrity: int
    confidentiality: int
    hash: HashAlgorithm = field(repr=False, eq=False)
    icv_length: int
    code_length: int

    @property
    def digest_length(self) -> int:
        """
        How long the key exchange codes in RAKP messages 2 and 3 are.
        """
        return self.hash.digest_size

    def hmac(self, key: bytes, message: bytes) -> bytes:
        """
        The keyed hash, in full length.
        """
        mac = HMAC(key, self.hash)
        mac.update(message)
        return mac.finalize()


#: Only suites that authenticate, sign and encrypt. Suite 0 is not here, and never will be.
SUITES: Mapping[int, Suite] = MappingProxyType(
    {
        3: Suite(3, 1, 1, 1, SHA1(), 12, 12),
        8: Suite(8, 2, 2, 1, MD5(), 16, 16),
        17: Suite(17, 3, 4, 1, SHA256(), 16, 16),
    }
)


@define
class SessionKeys:
    """
    What one session seals with. Holds keyed contexts, because making one costs
    several times what using it does.
    """

    suite: Suite
    _signer: HMAC = field(repr=False)
    _encryptor: CipherContext = field(repr=False)
    _decryptor: CipherContext = field(repr=False)
    _code_length: int

    @classmethod
    def derive(cls, suite: Suite, session_key: bytes) -> "SessionKeys":
        """
        The keys that follow from the session integrity key (SIK).
        """
        k1, k2 = (suite.hmac(session_key, constant) for constant in _KEY_CONSTANTS)
        aes = Cipher(AES(k2[:BLOCK]), ECB())  # noqa: S305 - chaining is ours, see _chained
        return cls(suite, HMAC(k1, suite.hash), aes.encryptor(), aes.decryptor(), suite.code_length)

    def seal(self, session_id: int, sequence: int, payload: bytes, vector: bytes) -> bytes:
        """
        The datagram that carries an IPMI message inside the session.

        :param vector: 16 unpredictable bytes, never used before.
        """
        fill = -(len(payload) + 1) % BLOCK
        body = vector + self._chained(vector, payload + _PADDING[fill])
        kind = PAYLOAD_IPMI | ENCRYPTED | AUTHENTICATED
        head = HEAD.pack(IPMI_HEADER, AUTH_RMCPPLUS, kind, session_id, sequence, len(body))
        # 12 bytes and whole blocks in front: two bytes of pad make it a multiple of four.
        datagram = head + body + _TRAILER
        mac = self._signer.copy()
        mac.update(datagram[4:])
        return datagram + mac.finalize()[: self._code_length]

    def open(self, packet: Packet) -> bytes:
        """
        The IPMI message in a packet that was really sent by the other side.

        :raises MalformedDatagram: it was not, or is damaged.
        """
        if not (packet.encrypted and packet.authenticated) or packet.oem:
            raise MalformedDatagram("a packet that is not signed and encrypted, in a session")
        return self.open_sealed(packet.datagram, len(packet.payload))

    def open_sealed(self, datagram: bytes, length: int) -> bytes:
        """
        The same for a datagram whose head is known to say "sealed", with a payload of this length.
        """
        size = self._code_length
        end, end_of_payload = len(datagram) - size, HEAD.size + length
        # Before the code there are the pad, its length and the next header.
        if end < end_of_payload + 2 or end - end_of_payload - 2 != datagram[end - 2]:
            raise MalformedDatagram("a trailer of the wrong length for the session's suite")
        mac = self._signer.copy()
        mac.update(datagram[4:end])
        if not compare_digest(mac.finalize()[:size], datagram[end:]):
            raise MalformedDatagram("a packet with a wrong authentication code")
        return self._decrypt(datagram[HEAD.size : end_of_payload])

    def _chained(self, vector: bytes, plain: bytes) -> bytes:
        """
        CBC over a reused ECB context: a tenth of what a cipher object per packet costs.
        """
        encrypt, number = self._encryptor.update, int.from_bytes
        if len(plain) == BLOCK:
            return encrypt((number(vector) ^ number(plain)).to_bytes(BLOCK))
        blocks = []
        for at in range(0, len(plain), BLOCK):
            vector = encrypt((number(vector) ^ number(plain[at : at + BLOCK])).to_bytes(BLOCK))
            blocks.append(vector)
        return b"".join(blocks)

    def _decrypt(self, body: bytes) -> bytes:
        size = len(body) - BLOCK
        if size < BLOCK or size % BLOCK:
            raise MalformedDatagram(f"{len(body)} bytes are no AES-CBC payload")
        mixed = self._decryptor.update(body[BLOCK:])
        plain = (int.from_bytes(mixed) ^ int.from_bytes(body[:-BLOCK])).to_bytes(size)
        fill = plain[-1]
        end = size - 1 - fill
        # Some firmware pads with other bytes than 1, 2, 3 …: only the length is used.
        if end < 0 or fill >= BLOCK:
            raise MalformedDatagram(f"{fill} bytes of padding in an AES-CBC payload")
        return plain[:end]


#: Padding by its length: 1, 2, 3 …, and the length itself (section 13.29).
_PADDING = tuple(bytes(range(1, fill + 1)) + bytes((fill,)) for fill in range(BLOCK))
_TRAILER = bytes((0xFF, 0xFF, 2, NEXT_HEADER))
