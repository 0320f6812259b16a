# SPDX-License-Identifier: MIT
"""
Tests for `link` and `fleet` of `powercoord.drivers.ipmi`: which sessions are kept, and for how long.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.chassis import Control
from powercoord.drivers.ipmi.fleet import Bounds
from powercoord.drivers.ipmi.logged_in import PATIENCE
from powercoord.errors import OperationCancelled, PowerConnError
from powercoord.model import Command, PowerState
from tests.ipmi_world import PEER, World


class KeptSessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()

    def test_reused(self) -> None:
        """
        Within its idle time a session is used again: a read is then one packet and one answer.
        """
        self.world.state()
        self.world.pass_time(15)
        before = len(self.world.sent)
        self.world.state()
        self.assertEqual(1, len(self.world.sent) - before)
        self.assertEqual(1, self.bmc.sessions)

    def test_idle(self) -> None:
        """
        A session that nobody used for its idle time is ended, once, and the next read opens another.
        """
        self.world.state()
        self.world.pass_time(25)
        self.assertEqual(1, self.bmc.log.count("close"))
        self.assertEqual(0, self.world.driver.counters.sessions)
        self.world.state()
        self.assertEqual(2, self.bmc.sessions)

    def test_use_keeps(self) -> None:
        """
        A session lives as long as it is used.
        """
        for _ in range(6):
            self.world.state()
            self.world.pass_time(15)
        self.assertEqual(1, self.bmc.sessions)

    def test_not_kept(self) -> None:
        """
        With an idle time of zero each operation has a session of its own, and ends it.
        """
        for _ in range(2):
            self.world.state(session_idle=0.0)
        self.assertEqual((2, 2), (self.bmc.log.count("open"), self.bmc.log.count("close")))

    def test_other_login(self) -> None:
        """
        A session is for one login: with another password the old one is ended and the new one tried.
        """
        self.world.state()
        outcome = self.world.finish(self.world.read(self.world.target(password="other")))
        self.assertIn("password", str(outcome.error))
        self.assertEqual(1, self.bmc.log.count("close"))

    def test_same_login(self) -> None:
        """
        An equal login is the same, wherever it comes from.
        """
        for _ in range(2):
            self.world.state()
        self.assertEqual(1, self.bmc.sessions)

    def test_old_when_needed(self) -> None:
        """
        A session past its idle time is not used, even where the timer that ends it is late.
        """
        self.world.state()
        bmc = self.world.fleet._links[PEER].bmc  # noqa: SLF001
        bmc.heard -= 21
        self.world.state()
        self.assertEqual((2, 1), (self.bmc.sessions, self.bmc.log.count("close")))

    def test_numbers_run_out(self) -> None:
        """
        A session whose packet numbers come to their end is replaced.
        """
        self.world.state()
        link = self.world.fleet._links[PEER]  # noqa: SLF001
        link.bmc.session._outbound = 0xFFFF_FF01  # type: ignore[union-attr]  # noqa: SLF001
        self.world.state()
        self.assertEqual(2, self.bmc.sessions)


class ForgottenSessionTests(SynchronousTestCase):
    """
    The BMC knows our session no more.
    """

    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()
        self.world.finish(self.world.command(Command.OFF))
        self.bmc.controls.clear()

    def test_read(self) -> None:
        """
        A read waits for a moment, opens another session and is answered.
        """
        self.bmc.forget()
        before = self.world.clock.seconds()
        self.assertIs(PowerState.OFF, self.world.state())
        self.assertLess(self.world.clock.seconds() - before, PATIENCE + 0.3)
        self.assertEqual(1, self.world.driver.counters.forgotten)

    def test_on(self) -> None:
        """
        So does an on.
        """
        self.bmc.forget()
        self.world.finish(self.world.command(Command.ON)).result  # noqa: B018
        self.assertEqual([Control.ON], self.bmc.controls)

    def test_reset(self) -> None:
        """
        A reset on a session of some age asks first whether it is still there, and then leaves once.
        """
        self.world.pass_time(5)
        self.bmc.forget()
        self.world.finish(self.world.command(Command.RESET)).result  # noqa: B018
        self.assertEqual([Control.RESET], self.bmc.controls)

    def test_reset_in_a_living_session(self) -> None:
        """
        If it is still there, the question costs one read and no session.
        """
        self.world.pass_time(5)
        self.bmc.log.clear()
        self.world.finish(self.world.command(Command.RESET)).result  # noqa: B018
        self.assertEqual(["status", "control"], self.bmc.log)

    def test_reset_just_after(self) -> None:
        """
        A session that answered just now is not asked.
        """
        self.bmc.log.clear()
        self.world.finish(self.world.command(Command.RESET)).result  # noqa: B018
        self.assertEqual(["control"], self.bmc.log)

    def test_soft_is_not_repeated(self) -> None:
        """
        Forgotten within that moment, a soft-off is lost, and the caller hears that nobody knows.
        """
        self.bmc.forget()
        outcome = self.world.finish(self.world.command(Command.SOFT))
        self.assertIsInstance(outcome.error, PowerConnError)
        self.assertTrue(outcome.error.sent)

    def test_after_silence(self) -> None:
        """
        After an operation without an answer no session is believed any more.
        """
        self.bmc.deaf = lambda _: True
        self.world.finish(self.world.read())
        self.bmc.deaf = lambda _: False
        self.bmc.log.clear()
        self.world.state()
        self.assertEqual(["open", "rakp1", "rakp3", "status"], self.bmc.log)


class QueueTests(SynchronousTestCase):
    """
    Several operations for one BMC.
    """

    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()

    def test_one_at_a_time(self) -> None:
        """
        They go one after the other, in their order, on one session.
        """
        outcomes = [self.world.command(command) for command in (Command.ON, Command.OFF, Command.ON)]
        for outcome in outcomes:
            self.world.finish(outcome)
        self.assertEqual([Control.ON, Control.OFF, Control.ON], self.bmc.controls)
        self.assertEqual(1, self.bmc.sessions)

    def test_deadline(self) -> None:
        """
        One whose deadline comes while it waits fails without having sent anything.
        """
        self.bmc.deaf = lambda _: True
        first = self.world.read()
        second = self.world.command(Command.ON, seconds=1.0)
        self.world.pass_time(1.1)
        self.assertFalse(first.over)
        self.assertIn("busy with another operation", str(second.error))
        self.assertFalse(second.error.sent)

    def test_cancelled(self) -> None:
        """
        One that is cancelled while it waits is over at once.
        """
        first, second = self.world.read(), self.world.read()
        self.world.operations[-1].cancel()
        self.assertIsInstance(second.error, OperationCancelled)
        self.assertIs(PowerState.OFF, self.world.finish(first).result)

    def test_after_a_torn_down_one(self) -> None:
        """
        One that waits behind a torn down operation goes on.
        """
        first, second = self.world.read(), self.world.read()
        first.call.cancel()
        self.assertIs(PowerState.OFF, self.world.finish(second).result)


class FleetTests(SynchronousTestCase):
    """
    Many BMCs.
    """

    def addresses(self, count: int) -> list[str]:
        """
        That many, from a range for documentation.
        """
        return [f"198.51.100.{number}" for number in range(1, count + 1)]

    def test_one_socket(self) -> None:
        """
        All BMCs of one address family share a socket, which is opened with the first operation.
        """
        world = World()
        self.assertEqual(0, world.sockets)
        for address in [*self.addresses(5), "2001:db8::1"]:
            world.bmc(address)
            world.state(address=address)
        self.assertEqual(2, world.sockets)

    def test_bounded(self) -> None:
        """
        There are never more sessions than allowed: the one used longest ago is ended.
        """
        world = World(bounds=Bounds(sessions=3))
        bmcs = [world.bmc(address) for address in self.addresses(5)]
        for address in self.addresses(5):
            world.state(address=address)
        self.assertEqual(3, world.driver.counters.sessions)
        self.assertEqual(2, world.driver.counters.evicted)
        self.assertEqual([1, 1, 0, 0, 0], [bmc.log.count("close") for bmc in bmcs])

    def test_least_recently_used(self) -> None:
        """
        A session that was used again is not the one to go.
        """
        world = World(bounds=Bounds(sessions=2))
        bmcs = [world.bmc(address) for address in self.addresses(3)]
        for at in (0, 1, 0, 2):
            world.state(address=self.addresses(3)[at])
        self.assertEqual([0, 1, 0], [bmc.log.count("close") for bmc in bmcs])

    def test_links_bounded(self) -> None:
        """
        BMCs that nobody asks for any more are forgotten.
        """
        world = World(bounds=Bounds(links=10))
        for number in range(200):
            world.read(world.target(address=f"198.51.100.{number}"), seconds=0.001)
            world.pass_time(0.05)
        self.assertLessEqual(len(world.fleet._links), 11)  # noqa: SLF001

    def test_sweep(self) -> None:
        """
        A sweep over more BMCs than fit in a burst reads all of them, burst by burst.
        """
        world = World(bounds=Bounds(burst=4))
        for address in self.addresses(30):
            world.bmc(address, on=True)
        outcomes = [world.read(world.target(address=address)) for address in self.addresses(30)]
        self.assertEqual(4, len(world.sent))
        for outcome in outcomes:
            self.assertIs(PowerState.ON, world.finish(outcome).result)

    def test_late_in_a_sweep(self) -> None:
        """
        One that is cancelled before its burst sends nothing.
        """
        world = World(bounds=Bounds(burst=1))
        bmc = world.bmc()
        world.read(world.target(address="192.0.2.2"))
        outcome = world.read()
        world.operations[-1].cancel()
        self.assertIsInstance(outcome.error, OperationCancelled)
        world.pass_time(1)
        self.assertEqual([], bmc.log)

    def test_strangers(self) -> None:
        """
        A datagram from an address that nobody asked is counted and ignored.
        """
        world = World()
        world.fleet.received(b"hello", ("203.0.113.5", 623))
        self.assertEqual((1, 1), (world.driver.counters.received, world.driver.counters.ignored))

    def test_nobody_asked(self) -> None:
        """
        So is one from a BMC that was asked nothing just now.
        """
        world = World()
        world.bmc()
        world.state()
        world.fleet.received(b"hello", PEER)
        self.assertEqual(1, world.driver.counters.ignored)


class CloseTests(SynchronousTestCase):
    """
    The driver ends.
    """

    def test_sessions(self) -> None:
        """
        Each session is ended with one packet, and the socket is given back.
        """
        world = World()
        bmcs = [world.bmc(f"198.51.100.{number}") for number in range(5)]
        for number in range(5):
            world.state(address=f"198.51.100.{number}")
        world.finish(world.close())
        self.assertEqual([1] * 5, [bmc.log.count("close") for bmc in bmcs])
        self.assertEqual((1, 0), (world.closed_sockets, world.driver.counters.sessions))

    def test_no_timers(self) -> None:
        """
        No timer is left behind.
        """
        world = World()
        world.bmc()
        world.state()
        world.read(world.target(address="192.0.2.2"))
        world.finish(world.close())
        world.pass_time(0.1)
        self.assertEqual([], world.clock.getDelayedCalls())

    def test_operations(self) -> None:
        """
        An operation under way fails at once.
        """
        world = World()
        outcome = world.command(Command.ON)
        world.close()
        self.assertIn("closed", str(outcome.error))

    def test_waiting(self) -> None:
        """
        So do all that wait, behind it or for their burst.
        """
        world = World(bounds=Bounds(burst=2))
        world.bmc()
        outcomes = [world.command(Command.ON) for _ in range(5)]
        world.close()
        for outcome in outcomes:
            self.assertIn("closed", str(outcome.error))
            self.assertFalse(outcome.error.sent)

    def test_many(self) -> None:
        """
        Many sessions are ended in bursts, within a few turns of the reactor.
        """
        world = World(bounds=Bounds(burst=3))
        for number in range(10):
            world.bmc(f"198.51.100.{number}")
            world.state(address=f"198.51.100.{number}")
        closing = world.close()
        self.assertFalse(closing.over)
        world.finish(closing, limit=0.2)
        self.assertEqual(0, world.driver.counters.sessions)

    def test_kernel_refuses(self) -> None:
        """
        A session that can not be ended politely is forgotten.
        """
        world = World()
        world.bmc()
        world.state()
        world.error = OSError(101, "Network is unreachable")
        world.finish(world.close())
        self.assertEqual(0, world.driver.counters.sessions)
