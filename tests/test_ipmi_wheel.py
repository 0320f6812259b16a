# SPDX-License-Identifier: MIT
"""
Tests for what conversations stand on: `wheel`, `pace`, `entropy` and `resolve` of the IPMI driver.
"""

from __future__ import annotations

from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.pace import CEILING, FIRST, FLOOR, Pace
from powercoord.drivers.ipmi.wheel import NEVER, Wheel
from powercoord.errors import OperationCancelled, PowerConnError
from powercoord.model import PowerState
from tests.hypothesis_notes import HypothesisNotes
from tests.ipmi_world import World


@define(eq=False)
class Bell:
    """
    An alarm that notes when it rang.
    """

    clock: Clock
    rang: list[float]
    due: float = NEVER
    slot: float = NEVER

    def ring(self) -> None:
        self.rang.append(self.clock.seconds())


class WheelTests(HypothesisNotes, SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock)
        self.bell = Bell(self.clock, [])

    def advance(self, seconds: float) -> None:
        """
        In steps as small as the wheel's.
        """
        for _ in range(round(seconds * 1000)):
            self.clock.advance(0.001)

    def test_rings(self) -> None:
        """
        An alarm rings once, at its time or a hundredth of a second later.
        """
        self.wheel.set(self.bell, 0.5)
        self.advance(2)
        (rang,) = self.bell.rang
        self.assertTrue(0.5 <= rang <= 0.512, rang)

    def test_moved(self) -> None:
        """
        An alarm that is set again rings at the new time only, be it later or earlier.
        """
        for first, second in ((0.2, 0.7), (0.7, 0.2)):
            self.setUp()
            self.wheel.set(self.bell, first)
            self.wheel.set(self.bell, second)
            self.advance(2)
            (rang,) = self.bell.rang
            self.assertTrue(second <= rang <= second + 0.012, rang)

    def test_silenced(self) -> None:
        """
        An alarm that is not due any more does not ring.
        """
        self.wheel.set(self.bell, 0.5)
        self.wheel.remove(self.bell)
        self.advance(1)
        self.assertEqual([], self.bell.rang)

    def test_sleeps(self) -> None:
        """
        With nothing to do the wheel keeps no timer, and one at most otherwise.
        """
        for at in (0.9, 0.3, 0.5):
            self.wheel.set(Bell(self.clock, []), at)
            self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.advance(1.1)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_close(self) -> None:
        """
        A closed wheel rings no more.
        """
        self.wheel.set(self.bell, 0.5)
        self.wheel.close()
        self.advance(1)
        self.assertEqual(([], []), (self.bell.rang, self.clock.getDelayedCalls()))

    @given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2), st.floats(0, 0.2)), max_size=20))
    def test_any_order(self, moves: list[tuple[int, float, float]]) -> None:
        """
        However alarms are set and set again, each rings for its last time, and never too early.
        """
        clock = Clock()
        wheel = Wheel(clock)
        bells = [Bell(clock, []) for _ in range(4)]
        last: dict[int, float] = {}
        for which, after, then in moves:
            last[which] = clock.seconds() + after
            bells[which].rang.clear()
            wheel.set(bells[which], last[which])
            clock.advance(then)
        clock.advance(1)
        clock.pump([0.01] * 250)
        for which, at in last.items():
            self.assertEqual(1, len(bells[which].rang))
            self.assertGreaterEqual(bells[which].rang[0], at)
        self.assertEqual([], clock.getDelayedCalls())


class PaceTests(SynchronousTestCase):
    def test_first(self) -> None:
        """
        A BMC that never answered is given a third of a second.
        """
        self.assertEqual(FIRST, Pace().wait)

    def test_fast(self) -> None:
        """
        However fast a BMC answers, the wait has a floor.
        """
        pace = Pace()
        for _ in range(20):
            pace.answered(0.001)
        self.assertEqual(FLOOR, pace.wait)

    def test_slow(self) -> None:
        """
        However slowly, a ceiling.
        """
        pace = Pace()
        pace.answered(30)
        self.assertEqual(CEILING, pace.wait)

    def test_steady(self) -> None:
        """
        A steady BMC is waited for a little longer than it takes.
        """
        pace = Pace()
        for _ in range(50):
            pace.answered(0.2)
        self.assertTrue(0.2 <= pace.wait < 0.25, pace.wait)

    def test_lost(self) -> None:
        """
        A repetition doubles the wait.
        """
        pace = Pace()
        pace.lost()
        self.assertEqual(2 * FIRST, pace.wait)


class EntropyTests(SynchronousTestCase):
    def test_each_byte_once(self) -> None:
        """
        No byte that the source gave is handed out twice, whatever the sizes asked for.
        """
        position = [0]

        def source(count: int) -> bytes:
            position[0] += 1
            return position[0].to_bytes(2, "big") * (count // 2)

        entropy = Entropy(source)
        drawn = b"".join(entropy(16) for _ in range(256))
        self.assertEqual(b"\x00\x01" * 2048, drawn)
        self.assertEqual(b"\x00\x02", entropy(2))

    def test_number(self) -> None:
        """
        A number is never zero, which means "no session" on the wire.
        """
        self.assertEqual(1, Entropy(bytes).number())


class ResolveTests(SynchronousTestCase):
    """
    BMCs that are named rather than numbered.
    """

    def setUp(self) -> None:
        self.world = World()
        self.world.bmc(on=True)
        self.target = self.world.target(address="bmc1.example")

    def answer(self, *addresses: IPv4Address | IPv6Address) -> None:
        """
        The name service's answer.
        """
        self.world.clock.advance(0)
        self.world.names.answer(*addresses)

    def test_found(self) -> None:
        """
        A name is looked up, and IPv4 is preferred.
        """
        outcome = self.world.read(self.target)
        self.answer(IPv6Address("UDP", "2001:db8::1", 0), IPv4Address("UDP", "192.0.2.1", 0))
        self.assertIs(PowerState.ON, self.world.finish(outcome).result)

    def test_remembered(self) -> None:
        """
        The answer is remembered for a minute; many operations at once are one question.
        """
        outcomes = [self.world.read(self.target) for _ in range(3)]
        self.answer(IPv4Address("UDP", "192.0.2.1", 0))
        for outcome in outcomes:
            self.world.finish(outcome).result  # noqa: B018
        self.world.finish(self.world.read(self.target)).result  # noqa: B018
        self.assertEqual([], self.world.names.asked)
        self.world.pass_time(61)
        self.world.read(self.target)
        self.world.clock.advance(0)
        self.assertEqual(1, len(self.world.names.asked))

    def test_unknown(self) -> None:
        """
        An unknown name fails with the name, and is looked up again the next time.
        """
        outcome = self.world.read(self.target)
        self.answer()
        self.assertIsInstance(outcome.error, PowerConnError)
        self.assertIn("'bmc1.example' is not known", str(outcome.error))
        self.world.read(self.target)
        self.world.clock.advance(0)
        self.assertEqual(1, len(self.world.names.asked))

    def test_silent(self) -> None:
        """
        A name service that does not answer takes no longer than the operation's timeout.
        """
        outcome = self.world.read(self.target)
        self.world.pass_time(5.1)
        self.assertIn("no answer from the name service", str(outcome.error))

    def test_cancelled(self) -> None:
        """
        An operation that waits for a name is cancelled at once.
        """
        outcome = self.world.read(self.target)
        self.world.operations[-1].cancel()
        self.assertIsInstance(outcome.error, OperationCancelled)

    def test_ipv6(self) -> None:
        """
        A name with an IPv6 address only is reached by that.
        """
        self.world.bmc("2001:db8::1", on=True)
        outcome = self.world.read(self.target)
        self.answer(IPv6Address("UDP", "2001:db8::1", 0))
        self.assertIs(PowerState.ON, self.world.finish(outcome).result)
