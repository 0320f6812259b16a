# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.ipmi.session`, and fuzzing of the driver in each state of a session.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi import session15, suites
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.lan import LanRequest, LanResponse
from powercoord.drivers.ipmi.quirks import combine
from powercoord.drivers.ipmi.rmcp import MalformedDatagram
from powercoord.drivers.ipmi.rmcpplus import Packet
from powercoord.drivers.ipmi.session import Session15, Session20
from powercoord.errors import PowercoordError
from powercoord.model import Command, PowerState
from tests.hypothesis_notes import HypothesisNotes
from tests.ipmi_world import PEER, World


class Session20Tests(SynchronousTestCase):
    def setUp(self) -> None:
        keys = suites.SessionKeys.derive(suites.SUITES[17], b"key")
        self.session = Session20(managed_id=7, console_id=9, keys=keys, entropy=Entropy(bytes), privilege=2)
        self.keys = keys

    def test_numbers(self) -> None:
        """
        Each packet has the next number, from one.
        """
        numbers = [Packet.decode(self.session.wrap(b"x")).sequence for _ in range(3)]
        self.assertEqual([1, 2, 3], numbers)

    def test_repetition(self) -> None:
        """
        A packet that came before is refused, however good its code is, and so is an older one.
        """
        first, second = (self.keys.seal(9, number, b"message", bytes(16)) for number in (5, 4))
        self.assertEqual(b"message", self.session.unwrap(first))
        for again in (first, second):
            with self.assertRaises(MalformedDatagram):
                self.session.unwrap(again)

    def test_other_session(self) -> None:
        """
        A packet of another session is not ours, and is not looked at.
        """
        self.assertIsNone(self.session.unwrap(self.keys.seal(8, 1, b"message", bytes(16))))

    def test_in_the_clear(self) -> None:
        """
        A packet of the session that is not sealed is refused.
        """
        for encrypted in (True, False):
            datagram = Packet(0, b"message", 9, 1, encrypted).encode()
            with self.assertRaises(MalformedDatagram):
                self.session.unwrap(datagram)


class Session15Tests(SynchronousTestCase):
    def session(self, *flags: str, auth_type: int = session15.AUTH_MD5) -> Session15:
        """
        A session whose BMC begins at number 100.
        """
        return Session15(
            session_id=5,
            auth_type=auth_type,
            password=b"pw",
            quirks=combine(flags),
            outbound=0xFFFF_FFFF,
            inbound=98,
            privilege=2,
        )

    def packet(self, sequence: int = 100, auth_type: int = session15.AUTH_MD5) -> bytes:
        """
        What its BMC sends.
        """
        return session15.signed(auth_type, b"pw", 5, sequence, b"message").encode()

    def test_numbers(self) -> None:
        """
        Numbers go on after the last there is, past zero, which means "no session".
        """
        session = self.session()
        numbers = [session15.Session15.decode(session.wrap(b"x")).sequence for _ in range(2)]
        self.assertEqual([0xFFFF_FFFF, 1], numbers)

    def test_repetition(self) -> None:
        """
        A packet that came before is refused.
        """
        session = self.session()
        self.assertEqual(b"message", session.unwrap(self.packet()))
        with self.assertRaises(MalformedDatagram):
            session.unwrap(self.packet())

    def test_swapped(self) -> None:
        """
        With endianseq, numbers count the other way round.
        """
        session = self.session("endianseq")
        swapped = [int.from_bytes(number.to_bytes(4, "big"), "little") for number in (100, 101)]
        for number in swapped:
            self.assertEqual(b"message", session.unwrap(self.packet(number)))
        with self.assertRaises(MalformedDatagram):
            session.unwrap(self.packet(swapped[0]))

    def test_unexpected_code(self) -> None:
        """
        A code where none was agreed on is refused; with unexpectedauth it is checked and believed.
        """
        with self.assertRaises(MalformedDatagram):
            self.session(auth_type=0).unwrap(self.packet())
        self.assertEqual(b"message", self.session("unexpectedauth", auth_type=0).unwrap(self.packet()))
        wrong = self.packet()[:13] + bytes(16) + self.packet()[29:]
        with self.assertRaises(MalformedDatagram):
            self.session("unexpectedauth", auth_type=0).unwrap(wrong)

    def test_missing_code(self) -> None:
        """
        No code where one was agreed on is refused.
        """
        with self.assertRaises(MalformedDatagram):
            self.session().unwrap(self.packet(auth_type=0))


#: How far a change on a BMC has come when the noise begins.
STAGES = ("", "open", "rakp1", "rakp3", "privilege", "control", "over")


class FuzzTests(HypothesisNotes, SynchronousTestCase):
    """
    Datagrams that nobody asked for, from anywhere, at any time.
    """

    def noise(self, world: World, data: st.DataObject) -> list[bytes]:
        """
        Random bytes, and all that was ever sent, cut and changed.
        """
        known = [*(datagram for _, datagram in world.sent), *world.answered] or [b"\x06\x00\xff\x07"]
        noise = []
        for _ in range(data.draw(st.integers(1, 8), "how many")):
            datagram = data.draw(st.one_of(st.binary(max_size=80), st.sampled_from(known)))
            if datagram and data.draw(st.booleans()):
                at = data.draw(st.integers(0, len(datagram) - 1), "at")
                changed = data.draw(st.binary(min_size=1, max_size=3), "changed")
                datagram = datagram[:at] + changed + datagram[at + 1 :]
            noise.append(datagram)
        return noise

    def begin(self, world: World, stage: str, **settings: object):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """
        A change that has come as far as a stage.
        """
        bmc = world.bmcs[PEER]
        outcome = world.command(Command.ON, world.target(**settings))
        while stage and not outcome.over and stage not in bmc.log:
            world.clock.advance(0.01)
        return outcome

    @given(st.sampled_from(STAGES), st.data())
    def test_from_strangers(self, stage: str, data: st.DataObject) -> None:
        """
        Noise from other addresses changes nothing at all.
        """
        world = World()
        bmc = world.bmc()
        outcome = self.begin(world, stage)
        for datagram in self.noise(world, data):
            world.fleet.received(datagram, ("192.0.2.1", 624))
            world.fleet.received(datagram, ("203.0.113.1", 623))
        self.assertIsNone(world.finish(outcome).result)
        self.assertTrue(bmc.on)
        self.assertEqual([], self.flushLoggedErrors())

    @given(st.sampled_from(STAGES), st.booleans(), st.data())
    def test_from_the_bmc(self, stage: str, old: bool, data: st.DataObject) -> None:
        """
        Noise from the BMC's own address may cost the operation, but only with an error that is known,
        never a fault, and never a wrong answer.
        """
        world = World()
        bmc = world.bmc(speaks_rmcpplus=not old)
        outcome = self.begin(world, stage, allow_ipmi15=old)
        for datagram in self.noise(world, data):
            world.fleet.received(datagram, PEER)
        world.finish(outcome)
        try:
            outcome.result  # noqa: B018
        except PowercoordError:
            pass
        else:
            self.assertTrue(bmc.on)
        bmc.on = False
        self.assertIs(PowerState.OFF, world.state(allow_ipmi15=old))
        self.assertEqual([], self.flushLoggedErrors())

    @given(st.data())
    def test_other_sessions(self, data: st.DataObject) -> None:
        """
        What another BMC says, from its own address or from ours, is never our result.
        """
        world = World()
        world.bmc(on=True)
        other = world.bmc("192.0.2.2", on=False)
        world.state()
        world.state(address="192.0.2.2")
        outcome = world.read()
        sequence = data.draw(st.integers(0, 63), "sequence")
        message = LanRequest(0, 1, b"", sequence).answer(0, b"\x40\x00\x00").encode()
        for peer in (PEER, ("192.0.2.2", 623)):
            world.fleet.received(other.seal(message), peer)
            world.fleet.received(LanResponse(1, 1, 0, b"\x40\x00\x00", sequence).encode(), peer)
        self.assertIs(PowerState.ON, world.finish(outcome).result)
