# SPDX-License-Identifier: MIT
"""
Known answers: what other people's client and BMC said to each other, read and written again.
"""

import hashlib
import hmac as stdlib_hmac
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi import (
    activation,
    channel,
    chassis,
    opensession,
    rakp,
    rmcp,
    rmcpplus,
    session15,
    suites,
)
from powercoord.drivers.ipmi.lan import LanRequest, LanResponse
from tests.ipmi_captures import MD5_STATUS, PASSWORD, SUITE_3_ON, SUITE_17_ON, USERNAME, datagrams

SUITE = suites.SUITES[3]


class Suite3Tests(SynchronousTestCase):
    """
    A session with suite 3, from a real ipmipower to a real ipmi_sim.
    """

    def setUp(self) -> None:
        self.sent = datagrams(SUITE_3_ON, ">")
        self.received = datagrams(SUITE_3_ON, "<")
        plus = [rmcpplus.Packet.decode(datagram) for datagram in self.sent[1:]]
        answers = [rmcpplus.Packet.decode(datagram) for datagram in self.received[1:]]
        self.open = opensession.OpenRequest.decode(plus[0].payload)
        self.opened = opensession.OpenResponse.decode(answers[0].payload)
        self.rakp1 = rakp.Rakp1.decode(plus[1].payload)
        self.rakp2 = rakp.Rakp2.decode(answers[1].payload)
        self.rakp3 = rakp.Rakp3.decode(plus[2].payload)
        self.rakp4 = rakp.Rakp4.decode(answers[2].payload)
        self.inside, self.answered = plus[3:], answers[3:]
        self.exchange = rakp.KeyExchange(
            suite=SUITE,
            console_id=self.open.console_id,
            managed_id=self.opened.managed_id,
            console_random=self.rakp1.console_random,
            managed_random=self.rakp2.managed_random,
            guid=self.rakp2.guid,
            role=self.rakp1.role,
            username=self.rakp1.username,
        )
        self.keys = suites.SessionKeys.derive(SUITE, self.exchange.session_key(PASSWORD))

    def test_setup(self) -> None:
        """
        The four messages before the session say what ipmipower was asked for.
        """
        wanted = opensession.Algorithms.of(SUITE)
        self.assertEqual((wanted, 0x154F9179), (self.open.algorithms, self.open.console_id))
        self.assertEqual((wanted, 0x154F9179), (self.opened.algorithms, self.opened.console_id))
        self.assertEqual((0, 0x82), (self.opened.status, self.opened.managed_id))
        self.assertEqual(USERNAME, self.rakp1.username)
        self.assertEqual("7f000101000000000000000000000020", self.rakp2.guid.hex())

    def test_codes(self) -> None:
        """
        All key exchange codes come out as both sides computed them.
        """
        self.assertEqual(self.rakp2.code, self.exchange.managed_code(PASSWORD))
        self.assertEqual(self.rakp3.code, self.exchange.console_code(PASSWORD))
        session_key = self.exchange.session_key(PASSWORD)
        self.assertEqual(self.rakp4.code, self.exchange.final_code(session_key))

    def test_requests(self) -> None:
        """
        The client's packets open to set privilege, chassis control "on" and close session.
        """
        requests = [LanRequest.decode(self.keys.open(packet)) for packet in self.inside]
        self.assertEqual(
            [
                channel.SetPrivilege(channel.PRIVILEGE_OPERATOR).encode(),
                chassis.ChassisControl(chassis.Control.ON).encode(),
                channel.CloseSession(self.opened.managed_id).encode(),
            ],
            [request.data for request in requests],
        )
        self.assertEqual(
            [(0x06, 0x3B), (0x00, 0x02), (0x06, 0x3C)],
            [(request.netfn, request.command) for request in requests],
        )

    def test_responses(self) -> None:
        """
        The BMC's packets open to three successes that belong to the requests.
        """
        for sent, got in zip(self.inside, self.answered, strict=True):
            request = LanRequest.decode(self.keys.open(sent))
            response = LanResponse.decode(self.keys.open(got))
            self.assertEqual(request.answer(data=response.data), response)

    def test_sealing(self) -> None:
        """
        Sealing what was opened, with the same vector, gives the same bytes.
        """
        for packet in self.inside + self.answered:
            message = self.keys.open(packet)
            again = self.keys.seal(
                packet.session_id, packet.sequence, message, packet.payload[: suites.BLOCK]
            )
            self.assertEqual(packet.datagram, again)

    def test_encoding(self) -> None:
        """
        Each message before the session is written as the others wrote it.
        """
        messages: tuple[Any, ...] = (self.open, self.rakp1, self.rakp3)
        kinds = (rmcpplus.PAYLOAD_OPEN_REQUEST, rmcpplus.PAYLOAD_RAKP1, rmcpplus.PAYLOAD_RAKP3)
        for kind, message, datagram in zip(kinds, messages, self.sent[1:4], strict=True):
            self.assertEqual(datagram, rmcpplus.outside(kind, message.encode()))
        answers: tuple[Any, ...] = (self.opened, self.rakp2, self.rakp4)
        for answer, datagram in zip(answers, self.received[1:4], strict=True):
            self.assertEqual(datagram[16:], answer.encode())

    def test_wrong_password(self) -> None:
        """
        Another password gives other codes.
        """
        self.assertNotEqual(self.rakp2.code, self.exchange.managed_code(b"Secret"))

    def test_changed_bit(self) -> None:
        """
        A packet with any one bit changed is not opened.
        """
        datagram = self.answered[0].datagram
        for at in range(4, len(datagram)):
            changed = datagram[:at] + bytes((datagram[at] ^ 0x10,)) + datagram[at + 1 :]
            with self.assertRaises(rmcp.MalformedDatagram):
                self.keys.open(rmcpplus.Packet.decode(changed))


class Suite17Tests(SynchronousTestCase):
    """
    Suite 17 against another derivation: the specification's formulas on hashlib.
    """

    def setUp(self) -> None:
        self.exchange = rakp.KeyExchange(
            suite=suites.SUITES[17],
            console_id=0x01020304,
            managed_id=0xA1A2A3A4,
            console_random=bytes(range(16)),
            managed_random=bytes(range(16, 32)),
            guid=bytes(range(32, 48)),
            role=0x14,
            username=b"root",
        )

    def hmac(self, key: bytes, message: str) -> bytes:
        """
        HMAC-SHA256 by the standard library over hexadecimal digits.
        """
        return stdlib_hmac.digest(key, bytes.fromhex(message), hashlib.sha256)

    def test_codes(self) -> None:
        """
        RAKP 2, 3 and 4 carry 32, 32 and 16 bytes of HMAC-SHA256 over the specified fields.
        """
        random = ["".join(f"{byte:02x}" for byte in range(16 * n, 16 * n + 16)) for n in range(3)]
        user = "1404726f6f74"
        self.assertEqual(
            self.hmac(b"calvin", f"04030201a4a3a2a1{random[0]}{random[1]}{random[2]}{user}"),
            self.exchange.managed_code(b"calvin"),
        )
        self.assertEqual(
            self.hmac(b"calvin", f"{random[1]}04030201{user}"),
            self.exchange.console_code(b"calvin"),
        )
        session_key = self.hmac(b"k-g", f"{random[0]}{random[1]}{user}")
        self.assertEqual(session_key, self.exchange.session_key(b"k-g"))
        final = self.hmac(session_key, f"{random[0]}a4a3a2a1{random[2]}")
        self.assertEqual(final[:16], self.exchange.final_code(session_key))

    def test_packet_code(self) -> None:
        """
        A packet ends in 16 bytes of HMAC-SHA256 keyed with K1 over all from the session header on.
        """
        session_key = bytes(range(32))
        keys = suites.SessionKeys.derive(suites.SUITES[17], session_key)
        datagram = keys.seal(7, 9, b"message", bytes(16))
        k1 = self.hmac(session_key, "01" * 20)
        self.assertEqual(self.hmac(k1, datagram[4:-16].hex())[:16], datagram[-16:])


class Suite17CaptureTests(SynchronousTestCase):
    """
    A session with suite 17, from a real ipmitool to our simulator.
    """

    def test_console(self) -> None:
        """
        ipmitool's proof of the password is what we compute, and its packets open to what it was asked for.
        """
        plus = [rmcpplus.Packet.decode(datagram) for datagram in datagrams(SUITE_17_ON, ">")]
        answers = [rmcpplus.Packet.decode(datagram) for datagram in datagrams(SUITE_17_ON, "<")]
        opened = opensession.OpenResponse.decode(answers[0].payload)
        rakp1, rakp2 = rakp.Rakp1.decode(plus[1].payload), rakp.Rakp2.decode(answers[1].payload)
        exchange = rakp.KeyExchange(
            suite=suites.SUITES[17],
            console_id=opened.console_id,
            managed_id=opened.managed_id,
            console_random=rakp1.console_random,
            managed_random=rakp2.managed_random,
            guid=rakp2.guid,
            role=rakp1.role,
            username=rakp1.username,
        )
        code = exchange.console_code(PASSWORD)
        self.assertEqual(rakp.Rakp3.decode(plus[2].payload).code, code)
        keys = suites.SessionKeys.derive(suites.SUITES[17], exchange.session_key(PASSWORD))
        requests = [LanRequest.decode(keys.open(packet)) for packet in plus[3:]]
        self.assertEqual(
            [(0x06, 0x3B, b"\x03"), (0x00, 0x02, b"\x01"), (0x06, 0x3C)],
            [
                *((each.netfn, each.command, each.data) for each in requests[:2]),
                (requests[2].netfn, requests[2].command),
            ],
        )


class Ipmi15Tests(SynchronousTestCase):
    """
    An IPMI 1.5 session with MD5, from a real ipmitool to a real ipmi_sim.
    """

    def packets(self, direction: str) -> list[session15.Session15]:
        """
        All but the ping or pong.
        """
        return [session15.Session15.decode(datagram) for datagram in datagrams(MD5_STATUS, direction)[1:]]

    def test_ping(self) -> None:
        """
        The presence ping and its answer are read and written.
        """
        ping, pong = (datagrams(MD5_STATUS, direction)[0] for direction in "><")
        self.assertEqual(ping, rmcp.Ping.decode(ping).encode())
        self.assertEqual(pong, rmcp.Pong.decode(pong).encode())
        self.assertTrue(rmcp.Pong.decode(pong).speaks_ipmi)

    def test_setup(self) -> None:
        """
        Challenge and activation say what both sides agreed on.
        """
        sent, got = self.packets(">"), self.packets("<")
        challenge = activation.GetSessionChallenge.decode(LanRequest.decode(sent[1].payload).data)
        self.assertEqual(activation.GetSessionChallenge(session15.AUTH_MD5, USERNAME), challenge)
        given = activation.SessionChallenge.decode(LanResponse.decode(got[1].payload).data)
        activate = activation.ActivateSession.decode(LanRequest.decode(sent[2].payload).data)
        self.assertEqual((given.challenge, given.session_id), (activate.challenge, sent[2].session_id))
        activated = activation.SessionActivated.decode(LanResponse.decode(got[2].payload).data)
        self.assertEqual(sent[3].sequence, activated.sequence)
        self.assertEqual(got[2].sequence, activate.sequence)

    def test_codes(self) -> None:
        """
        Every authenticated packet of both sides has the code that we compute.
        """
        checked = 0
        for packet in self.packets(">") + self.packets("<"):
            if packet.auth_type == session15.AUTH_MD5:
                again = session15.signed(
                    packet.auth_type, PASSWORD, packet.session_id, packet.sequence, packet.payload
                )
                self.assertEqual(packet, again)
                checked += 1
        self.assertEqual(10, checked)

    def test_again(self) -> None:
        """
        Each packet and each message in it is written as it was read.
        """
        for datagram in datagrams(MD5_STATUS, ">")[1:]:
            packet = session15.Session15.decode(datagram)
            self.assertEqual(datagram, packet.encode())
            self.assertEqual(packet.payload, LanRequest.decode(packet.payload).encode())
        for datagram in datagrams(MD5_STATUS, "<")[1:]:
            packet = session15.Session15.decode(datagram)
            self.assertEqual(datagram, packet.encode())
            self.assertEqual(packet.payload, LanResponse.decode(packet.payload).encode())

    def test_status(self) -> None:
        """
        The BMC says that the power is on.
        """
        status = LanResponse.decode(self.packets("<")[-2].payload)
        self.assertTrue(chassis.ChassisStatus.decode(status.data).on)
