# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.ipmi.conversation`: loss, repetition, time and cancelling.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.ask import Pause, Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.chassis import Control
from powercoord.drivers.ipmi.errand import Errand
from powercoord.drivers.ipmi.rmcpplus import Packet
from powercoord.drivers.ipmi.settings import IpmiSettings
from powercoord.errors import OperationCancelled, PowerConnError, PowerError
from powercoord.model import BootDevice, Command, PowerState
from tests.hypothesis_notes import HypothesisNotes
from tests.ipmi_bmc import ScriptedBmc
from tests.ipmi_world import PEER, Outcome, World

#: What leaves for a change on a new session, in order.
STEPS = ("open", "rakp1", "rakp3", "privilege", "control")


def first_time(name: str) -> Callable[[str], bool]:
    """
    True for the first request of a name, and never again.
    """
    seen: list[str] = []

    def matches(other: str) -> bool:
        if other != name or seen:
            return False
        seen.append(other)
        return True

    return matches


def always(name: str) -> Callable[[str], bool]:
    return lambda other: other == name


class SilenceTests(SynchronousTestCase):
    """
    BMCs that do not answer.
    """

    def setUp(self) -> None:
        self.world = World()

    def test_timeout(self) -> None:
        """
        A dead BMC fails its own operation when its own timeout is over, and says how it was tried.
        """
        outcome = self.world.read()
        self.world.pass_time(4.98)
        self.assertFalse(outcome.over)
        self.world.pass_time(0.05)
        self.assertIsInstance(outcome.error, PowerConnError)
        self.assertEqual("BMC 192.0.2.1:623: no answer (6 requests sent)", str(outcome.error))
        self.assertFalse(outcome.error.sent)

    def test_deadline(self) -> None:
        """
        An operation's deadline ends it if it is before the timeout.
        """
        outcome = self.world.read(seconds=1.0)
        self.world.pass_time(1.02)
        self.assertIsInstance(outcome.error, PowerConnError)

    def test_quiet_afterwards(self) -> None:
        """
        After its end nothing is sent any more.
        """
        self.world.finish(self.world.read())
        count = len(self.world.sent)
        self.world.pass_time(20)
        self.assertEqual(count, len(self.world.sent))

    def test_waits_grow(self) -> None:
        """
        The waits between repetitions grow, up to a second.
        """
        self.world.finish(self.world.read())
        times = [at for at, _ in self.world.sent]
        waits = [round(later - earlier, 1) for earlier, later in pairwise(times)]
        self.assertEqual([0.4, 0.7, 1.0, 1.0, 1.0], waits[:5])

    def test_others_go_on(self) -> None:
        """
        A dead BMC delays no other one.
        """
        self.world.bmc("192.0.2.2")
        dead = self.world.read()
        living = self.world.read(self.world.target(address="192.0.2.2"))
        self.world.pass_time(0.2)
        self.assertEqual((False, PowerState.OFF), (dead.over, living.result))

    def test_refused_port(self) -> None:
        """
        A closed port fails at once, and says so.
        """
        outcome = self.world.read()
        self.world.fleet.unreachable(PEER, OSError(errno.ECONNREFUSED, ""))
        self.assertIn("connection refused", str(outcome.error))
        self.assertFalse(outcome.error.sent)
        self.assertEqual(1, self.world.driver.counters.refused)

    def test_refused_elsewhere(self) -> None:
        """
        A closed port of another BMC fails nobody else.
        """
        outcome = self.world.read()
        self.world.fleet.unreachable(("192.0.2.9", 623), OSError(errno.ECONNREFUSED, ""))
        self.world.fleet.unreachable(PEER, OSError(errno.EMSGSIZE, ""))
        self.assertFalse(outcome.over)

    def test_kernel_refuses(self) -> None:
        """
        What our own kernel does not take at all fails at once, with its reason.
        """
        self.world.error = OSError(errno.ENETUNREACH, "Network is unreachable")
        outcome = self.world.command(Command.ON)
        self.assertIn("Network is unreachable", str(outcome.error))
        self.assertFalse(outcome.error.sent)

    def test_kernel_is_full(self) -> None:
        """
        What our own kernel has no room for is sent a little later.
        """
        bmc = self.world.bmc()
        self.world.full = True
        outcome = self.world.command(Command.RESET)
        self.world.pass_time(0.5)
        self.world.full = False
        self.world.finish(outcome)
        self.assertEqual([Control.RESET], bmc.controls)
        self.assertEqual(0, self.world.driver.counters.retransmitted)
        self.assertGreater(self.world.driver.counters.unsent, 0)


class LossTests(SynchronousTestCase):
    """
    Networks that lose some of it.
    """

    def setUp(self) -> None:
        self.world = World()
        self.bmc = self.world.bmc()

    def test_lost_answers(self) -> None:
        """
        Any one lost answer of a login, a read, an on or an off is made up for by a repetition.
        """
        for name in ("open", "rakp1", "rakp3", "privilege", "status", "control"):
            for command in (Command.ON, Command.OFF):
                world = World()
                bmc = world.bmc(lost=first_time(name))
                self.assertIsNone(world.finish(world.command(command)).result)
                self.assertIs(bmc.on, command is Command.ON)
                world.finish(world.read()).result  # noqa: B018
                self.assertEqual(1, world.driver.counters.retransmitted, name)

    def test_lost_requests(self) -> None:
        """
        The same for requests that never arrive.
        """
        for name in ("open", "rakp1", "rakp3", "privilege", "control"):
            world = World()
            bmc = world.bmc(deaf=first_time(name))
            world.finish(world.command(Command.ON)).result  # noqa: B018
            self.assertTrue(bmc.on)

    def test_setup_is_repeated_as_it_was(self) -> None:
        """
        A message of session set-up is repeated byte by byte.
        """
        for name in ("open", "rakp1", "rakp3"):
            world = World()
            bmc = world.bmc(lost=first_time(name))
            world.state()
            where = bmc.log.index(name)
            self.assertEqual(bmc.datagrams[where], bmc.datagrams[where + 1])

    def test_repetition_in_a_session(self) -> None:
        """
        A repeated request in a session is a new packet of the same request number.
        """
        self.bmc.lost = first_time("status")
        self.world.state()
        first, second = (Packet.decode(datagram) for datagram in self.bmc.datagrams[-2:])
        self.assertEqual(first.sequence + 1, second.sequence)
        self.assertEqual(["status", "status"], self.bmc.log[-2:])

    def test_pace(self) -> None:
        """
        A BMC that answers fast is asked again soon, one that answers slowly is left alone.
        """
        for latency, least, most in ((0.01, 0.2, 0.23), (0.3, 0.3, 1.02)):
            world = World(latency=latency)
            bmc = world.bmc()
            target = world.target()
            for _ in range(10):
                world.finish(world.read(target)).result  # noqa: B018
            bmc.lost = first_time("status")
            world.finish(world.read(target)).result  # noqa: B018
            before, after = (at for at, _ in world.sent[-2:])
            self.assertTrue(least <= after - before <= most, f"{latency}: {after - before}")

    def test_slow_bmc(self) -> None:
        """
        A BMC that takes longer than the first wait is understood all the same, with few repetitions.
        """
        world = World(latency=0.6)
        world.bmc(on=True)
        self.assertIs(PowerState.ON, world.state())
        self.assertLess(world.driver.counters.retransmitted, 6)

    def test_answer_to_the_first(self) -> None:
        """
        A late answer to the first of two equal requests is as good as one to the second.
        """
        world = World(latency=0.45)
        world.bmc(on=True)
        self.assertIs(PowerState.ON, world.state())

    def test_once(self) -> None:
        """
        Soft and reset leave once. Without an answer the caller hears that it may have arrived.
        """
        for command in (Command.SOFT, Command.RESET):
            world = World()
            bmc = world.bmc(lost=always("control"))
            outcome = world.finish(world.command(command))
            self.assertIsInstance(outcome.error, PowerConnError)
            self.assertTrue(outcome.error.sent)
            self.assertEqual(1, len(bmc.controls))

    def test_repeated_on(self) -> None:
        """
        On and off are repeated, and say that they may have arrived when nothing answers.
        """
        self.bmc.lost = always("control")
        outcome = self.world.finish(self.world.command(Command.ON))
        self.assertTrue(outcome.error.sent)
        self.assertGreater(len(self.bmc.controls), 3)

    def test_never_left(self) -> None:
        """
        A change that did not get as far as its own packet was not sent.
        """
        self.bmc.lost = always("rakp3")
        outcome = self.world.finish(self.world.command(Command.ON))
        self.assertFalse(outcome.error.sent)

    def test_rakp_random_drawn_anew(self) -> None:
        """
        Firmware that answers a repeated RAKP 1 with a new random number costs a new login and no wrong error.
        """
        world = World(latency=0.4)
        bmc = world.bmc(new_random_each_time=True)
        self.assertIs(PowerState.OFF, world.finish(world.read()).result)
        self.assertGreater(bmc.log.count("open"), 1)


class PropertyTests(HypothesisNotes, SynchronousTestCase):
    """
    Any loss.
    """

    @given(st.sampled_from([Command.SOFT, Command.RESET]), st.data())
    def test_never_twice(self, command: Command, data: st.DataObject) -> None:
        """
        Whatever is lost, on a new session or a kept one, a soft or a reset arrives at most once.
        """
        world = World()
        bmc = world.bmc()
        if data.draw(st.booleans(), "kept"):
            world.state()
            world.pass_time(data.draw(st.sampled_from([0.0, 0.5, 3.0]), "age"))
            if data.draw(st.booleans(), "forgotten"):
                bmc.forget()
        fate = st.sampled_from(["ok", "ok", "ok", "lost", "deaf"])
        fates = iter(data.draw(st.lists(fate, max_size=30), "fates"))
        now = {"fate": "ok"}

        def deaf(_: str) -> bool:
            now["fate"] = next(fates, "ok")
            return now["fate"] == "deaf"

        bmc.deaf, bmc.lost = deaf, lambda _: now["fate"] == "lost"
        outcome = world.finish(world.command(command))
        self.assertLessEqual(len(bmc.controls), 1)
        try:
            outcome.result  # noqa: B018
        except PowerError as error:
            self.assertTrue(error.sent or not bmc.controls)
        else:
            self.assertEqual(1, len(bmc.controls))


class PoliteCancelTests(SynchronousTestCase):
    """
    An operation that is asked to stop.
    """

    def setUp(self) -> None:
        self.world = World()

    def stop_at(self, step: str, command: Command = Command.ON) -> tuple[ScriptedBmc, Outcome]:
        """
        Ask a change to stop just after the request of a step left; its answer is lost.
        """
        bmc = self.world.bmc(lost=always(step))
        outcome = self.world.command(command)
        while step not in bmc.log:
            self.world.clock.advance(0.01)
        self.world.operations[-1].cancel()
        return bmc, outcome

    def test_before_it_left(self) -> None:
        """
        Before the change itself left it is over at once, at any step, and nothing more is sent.
        """
        for step in STEPS[:-1]:
            self.world = World()
            _, outcome = self.stop_at(step)
            self.assertIsInstance(outcome.error, OperationCancelled, step)
            self.assertFalse(outcome.error.sent)
            count = len(self.world.sent)
            self.world.pass_time(10)
            self.assertEqual(count, len(self.world.sent))

    def test_after_it_left(self) -> None:
        """
        After the change left nothing is repeated, and it ends with its timeout.
        """
        bmc, outcome = self.stop_at("control")
        self.assertFalse(outcome.over)
        self.world.finish(outcome)
        self.assertTrue(outcome.error.sent)
        self.assertEqual(1, len(bmc.controls))

    def test_answered_after_all(self) -> None:
        """
        A change whose answer comes after the cancel is done, and says so.
        """
        self.world.latency = 0.2
        bmc = self.world.bmc()
        outcome = self.world.command(Command.OFF)
        while "control" not in bmc.log:
            self.world.clock.advance(0.01)
        self.world.operations[-1].cancel()
        self.assertFalse(outcome.over)
        self.assertIsNone(self.world.finish(outcome).result)

    def test_read(self) -> None:
        """
        A read is over at once.
        """
        bmc = self.world.bmc()
        outcome = self.world.read()
        while "status" not in bmc.log:
            self.world.clock.advance(0.01)
        self.world.operations[-1].cancel()
        self.assertIsInstance(outcome.error, OperationCancelled)

    def test_already_cancelled(self) -> None:
        """
        An operation that was cancelled before it began sends nothing.
        """
        self.world.bmc()
        operation = self.world.operation()
        operation.cancel()
        call = self.world.driver.read(self.world.target(), operation)
        outcome = Outcome.of(Deferred.fromCoroutine(call))
        self.assertIsInstance(outcome.error, OperationCancelled)
        self.assertEqual([], self.world.sent)

    def test_while_announcing(self) -> None:
        """
        Who hears that a change leaves now can still stop it.
        """
        bmc = self.world.bmc()
        outcome = self.world.command(Command.ON)
        operation = self.world.operations[-1]
        operation.on_sending = operation.cancel
        self.assertIsInstance(self.world.finish(outcome).error, OperationCancelled)
        self.world.pass_time(5)
        self.assertEqual((False, []), (outcome.error.sent, bmc.controls))

    def test_between_two_changes(self) -> None:
        """
        Setting a boot device stops between its requests, and says that one of them arrived.
        """
        bmc = self.world.bmc()
        self.world.latency = 0.1
        outcome = self.world.set_boot(BootDevice.PXE)
        while "set-boot" not in bmc.log:
            self.world.clock.advance(0.01)
        self.world.operations[-1].cancel()
        self.world.finish(outcome)
        self.assertIsInstance(outcome.error, OperationCancelled)
        self.assertTrue(outcome.error.sent)
        self.assertEqual(1, bmc.log.count("set-boot"))

    def test_session_stays(self) -> None:
        """
        The session of a cancelled operation is used by the next one, and its late answer is nobody's.
        """
        self.world.latency = 0.1
        bmc = self.world.bmc()
        self.world.state()
        outcome = self.world.read()
        self.world.operations[-1].cancel()
        self.assertTrue(outcome.over)
        bmc.on = True
        self.assertIs(PowerState.ON, self.world.state())
        self.assertEqual(1, bmc.log.count("open"))


class HardCancelTests(SynchronousTestCase):
    def test_any_step(self) -> None:
        """
        A torn down operation sends nothing more, at any step, and takes the session with it.
        """
        for step in STEPS:
            world = World()
            bmc = world.bmc()
            outcome = world.command(Command.ON)
            while step not in bmc.log:
                world.clock.advance(0.01)
            count = len(world.sent)
            outcome.call.cancel()
            self.assertIsInstance(outcome.error, CancelledError)
            world.pass_time(30)
            self.assertEqual(count, len(world.sent), step)
            self.assertEqual(0, world.driver.counters.sessions)
            self.assertIn(world.state(), (PowerState.ON, PowerState.OFF))

    def test_while_waiting(self) -> None:
        """
        One that waits behind another operation on its BMC is simply gone.
        """
        world = World()
        bmc = world.bmc()
        first, second = world.read(), world.read()
        second.call.cancel()
        self.assertIsInstance(second.error, CancelledError)
        self.assertIs(PowerState.OFF, world.finish(first).result)
        self.assertEqual(1, bmc.log.count("status"))


class FaultTests(SynchronousTestCase):
    def test_faulty_script(self) -> None:
        """
        A fault in a script fails its own operation with that fault.
        """
        world = World()
        world.bmc()

        def faulty(_bmc: Bmc, _login: Login) -> Script[None]:
            yield Pause(0.1)
            raise ZeroDivisionError

        login = Login.of(IpmiSettings(address="192.0.2.1"))
        errand = Errand(login, faulty, 2000.0, world.operation())
        outcome = world.finish(Outcome.of(world.fleet.perform(PEER, errand)))
        self.assertIsInstance(outcome.error, ZeroDivisionError)
        self.assertIs(PowerState.OFF, world.state())
