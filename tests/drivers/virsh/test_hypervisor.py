# SPDX-License-Identifier: MIT
"""
A hypervisor in libvirt's own protocol: reads that are shared, changes that are settled, a line that is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh import VirshDriver, VirshSettings
from powercoord.drivers.virsh.conversation import AT_ONCE, INTERVAL
from powercoord.drivers.virsh.guests import GuestState
from powercoord.drivers.virsh.line import IDLE, LONGEST_PAUSE, PAUSE
from powercoord.drivers.virsh.procedures import ErrorCode, Procedure
from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerRefusedError,
    PowerSettingError,
    PowerUnsupportedError,
)
from powercoord.interfaces import IPowerHints
from powercoord.model import Boot, BootDevice, Command, PowerState
from tests.drivers.virsh.paper_daemon import PaperDaemon, PaperError
from tests.ipmi_world import FakeOperation

T = TypeVar("T")
DEAD = PowerConnError("nobody there")
STATS = "CONNECT_GET_ALL_DOMAIN_STATS"


class HypervisorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.daemon = PaperDaemon(self.clock, latency=0.01)
        self.daemon.add(*(f"g{number}" for number in range(40)))
        self.driver = self.daemon.driver()

    def settings(self, domain: str = "g0") -> VirshSettings:
        return VirshSettings(domain=domain)

    def run_until(self, call: Coroutine[Any, Any, T] | Deferred[T], seconds: float = 60.0) -> Deferred[T]:
        """
        Let time pass until it has ended.
        """
        deferred = call if isinstance(call, Deferred) else Deferred.fromCoroutine(call)
        end = self.clock.seconds() + seconds
        while not deferred.called and self.clock.seconds() < end:
            self.clock.advance(0.005)
        return deferred

    def start(
        self, command: Command | None = None, domain: str = "g0", operation: FakeOperation | None = None
    ) -> Deferred[Any]:
        operation = operation or FakeOperation(self.clock.seconds() + 1000)
        target = self.driver.target(self.settings(domain))
        call = (
            self.driver.read(target, operation)
            if command is None
            else self.driver.command(target, command, operation)
        )
        return Deferred.fromCoroutine(call)

    def read(self, domain: str = "g0") -> PowerState:
        state: PowerState = self.successResultOf(self.run_until(self.start(None, domain)))
        return state

    def command(self, command: Command, domain: str = "g0") -> None:
        self.successResultOf(self.run_until(self.start(command, domain)))

    def error(self, kind: type[Exception], command: Command | None = None, domain: str = "g0") -> Any:
        return self.failureResultOf(self.run_until(self.start(command, domain)), kind).value

    def close(self) -> None:
        self.successResultOf(self.run_until(self.driver.close()))


class ReadTests(HypervisorCase):
    """
    Reads.
    """

    def test_one_call_for_all(self) -> None:
        """
        Reads that wait at once share one call, and one alone is one call.
        """
        self.read("g7")
        self.assertEqual(1, self.daemon.count()[STATS])
        reads = [self.start(None, f"g{number}") for number in range(40)]
        for read in reads:
            self.assertIs(PowerState.OFF, self.successResultOf(self.run_until(read)))

        self.assertEqual(2, self.daemon.count()[STATS])
        self.assertEqual(1, self.daemon.dials)

    def test_made_to_leave_while_told(self) -> None:
        """
        Who is told may cancel others of the same look; the rest is told, whether it went well or not.
        """
        for dead, ended in ((None, PowerState), (DEAD, Failure)):
            self.daemon.dead = dead
            first, second, third = [self.start(None, f"g{number}") for number in range(3)]
            first.addBoth(lambda result, second=second: (second.cancel(), result)[1])
            outcomes: list[Any] = []
            for each in (first, second, third):
                each.addBoth(outcomes.append)
            self.clock.pump([0.005] * 100)

            self.assertEqual(3, len(outcomes))
            self.assertIsInstance(outcomes.pop(0).value, CancelledError)
            for outcome in outcomes:
                self.assertIsInstance(outcome, ended)
            self.close()
            self.driver = self.daemon.driver()

    def test_never_older_than_the_question(self) -> None:
        """
        Who asks while a look is on its way gets the answer of the next one.
        """
        self.read()
        first = self.start()
        self.clock.advance(0.001)
        second = self.start()
        self.clock.advance(0.001)
        self.run_until(first)
        self.run_until(second)

        self.assertEqual(3, self.daemon.count()[STATS])

    def test_gathered_under_way(self) -> None:
        """
        With two looks on their way everybody else waits for the third, together.
        """
        self.read()
        reads = []
        for number in range(30):
            reads.append(self.start(None, f"g{number}"))
            self.clock.advance(0.0001)
        for read in reads:
            self.successResultOf(self.run_until(read))

        self.assertEqual(1 + 2 + 1, self.daemon.count()[STATS])

    def test_leaving(self) -> None:
        """
        Who leaves a shared look leaves it to the others; with the last it ends.
        """
        self.read()
        self.daemon.stuck.add(Procedure.CONNECT_GET_ALL_DOMAIN_STATS)
        operations = [FakeOperation(self.clock.seconds() + 100) for _ in range(2)]
        reads = [self.start(None, f"g{at}", operation) for at, operation in enumerate(operations)]
        self.clock.advance(0.1)
        operations[0].cancel()
        self.failureResultOf(reads[0], OperationCancelled)
        self.assertNoResult(reads[1])
        operations[1].cancel()
        self.failureResultOf(reads[1], OperationCancelled)

    def test_states(self) -> None:
        """
        Whatever has a process is on, what has none is off, and no state is no answer.
        """
        for state in GuestState:
            self.daemon.guests["g0"].state = state
            if state is GuestState.NOSTATE:
                self.assertIn("g0 is in no state, neither on nor off", str(self.error(PowerActionError)))
            else:
                off = state is GuestState.SHUTOFF
                self.assertIs(PowerState.OFF if off else PowerState.ON, self.read(), state)

    def test_gone_and_renamed(self) -> None:
        """
        A guest that is gone is told as such, and a name means whoever has it now.
        """
        self.assertIs(PowerState.OFF, self.read("g1"))
        guest = self.daemon.guests.pop("g1")
        error = self.error(PowerSettingError, None, "g1")
        self.assertIn("qemu+unix:///system has no guest g1", str(error))
        self.daemon.guests["g2"].name = "g1"
        self.daemon.guests["g2"].state = GuestState.RUNNING

        self.assertIs(PowerState.ON, self.read("g1"))
        self.assertNotEqual(guest.uuid, self.daemon.guests["g2"].uuid)

    def test_by_uuid(self) -> None:
        """
        A UUID is one however it is written.
        """
        uuid = self.daemon.guests["g3"].uuid
        self.daemon.guests["g3"].state = GuestState.RUNNING
        for text in (str(uuid), str(uuid).upper(), uuid.hex):
            self.assertIs(PowerState.ON, self.read(text))
        self.command(Command.OFF, str(uuid))

        self.assertEqual(["off"], self.daemon.guests["g3"].commands)

    def test_no_call_for_many(self) -> None:
        """
        A hypervisor without a call for the states of many is asked for each.
        """
        self.daemon.unsupported.add(Procedure.CONNECT_GET_ALL_DOMAIN_STATS)
        self.daemon.guests["g0"].state = GuestState.RUNNING
        self.assertIs(PowerState.ON, self.read("g0"))
        before = len(self.daemon.calls)
        self.assertIs(PowerState.OFF, self.read("g1"))

        self.assertEqual([Procedure.DOMAIN_GET_STATE], self.daemon.calls[before:])
        self.daemon.unsupported.clear()
        self.daemon.lines[0].close()
        self.clock.advance(0)
        self.read("g1")
        self.assertEqual(Procedure.CONNECT_GET_ALL_DOMAIN_STATS, self.daemon.calls[-1])


class ChangeTests(HypervisorCase):
    """
    Changes.
    """

    def test_refused_and_so_already(self) -> None:
        """
        What is refused because it is so already is a success, in whatever words it was refused.
        """
        self.command(Command.ON)
        self.command(Command.ON)
        self.daemon.refusal = PaperError(1, "internal error: Domain 'g0' is already running")
        self.command(Command.ON)
        self.command(Command.OFF)
        self.command(Command.OFF)
        self.command(Command.SOFT)

        self.assertEqual(["on", "on", "on", "off", "off", "soft"], self.daemon.guests["g0"].commands)

    def test_refused(self) -> None:
        """
        What is refused and not so is an error that tells what to do: again, otherwise, or never.
        """
        guest = self.daemon.guests["g0"]
        self.assertIn("only what is on can be reset", str(self.error(PowerRefusedError, Command.RESET)))
        for state in (GuestState.PAUSED, GuestState.PMSUSPENDED, GuestState.CRASHED):
            guest.state = state
            self.assertIn("cannot hear that it shall end", str(self.error(PowerRefusedError, Command.SOFT)))
        for code, kind in (
            (38, PowerActionError),
            (ErrorCode.OPERATION_INVALID, PowerActionError),
            (ErrorCode.OPERATION_UNSUPPORTED, PowerUnsupportedError),
            (ErrorCode.ACCESS_DENIED, PowerRefusedError),
        ):
            self.daemon.refusal = PaperError(code, "the reason")
            error = self.error(kind, Command.OFF)
            self.assertIn("qemu+unix:///system: off of g0: the reason", str(error))
            self.assertFalse(error.sent)
        self.daemon.refusal = PaperError(ErrorCode.NO_DOMAIN, "gone meanwhile")
        self.assertIn("gone meanwhile", str(self.error(PowerSettingError, Command.OFF)))

    def test_name_asked_each_time(self) -> None:
        """
        Before each change it is asked who has that name now.
        """
        self.command(Command.ON, "g1")
        self.daemon.guests["g1"].name, self.daemon.guests["g2"].name = "g2", "g1"
        self.command(Command.ON, "g1")

        self.assertEqual(["on"], self.daemon.guests["g2"].commands)
        self.assertEqual(["on"], self.daemon.guests["g1"].commands)

    def test_truth_about_sent(self) -> None:
        """
        A change without an answer says that it left; one that waited for its turn, that it did not.
        """
        self.read()
        self.daemon.stuck.update((Procedure.DOMAIN_DESTROY_FLAGS, Procedure.DOMAIN_CREATE_WITH_FLAGS))
        operations = [FakeOperation(self.clock.seconds() + 5) for _ in range(6)]
        calls = [self.start(Command.OFF, f"g{at}", operation) for at, operation in enumerate(operations)]
        self.clock.pump([0.1] * 60)
        sent = [self.failureResultOf(call, PowerConnError).value.sent for call in calls]

        self.assertEqual([bool(operation.announced) for operation in operations], sent)
        self.assertEqual(AT_ONCE - 1, sum(sent))

    def test_polite_cancel_waits(self) -> None:
        """
        What has left is not called back: a politely cancelled off ends with its answer.
        """
        self.daemon.guests["g0"].state = GuestState.RUNNING
        operation = FakeOperation(self.clock.seconds() + 100)
        call = self.start(Command.OFF, "g0", operation)
        while not operation.announced:
            self.clock.advance(0.001)
        operation.cancel()
        self.assertNoResult(call)

        self.successResultOf(self.run_until(call))

    def test_polite_cancel_sends_nothing(self) -> None:
        """
        A politely cancelled change that is refused ends with that, and nothing is read any more.
        """
        self.daemon.refusal = PaperError(38, "no space left")
        operation = FakeOperation(self.clock.seconds() + 100)
        call = self.start(Command.ON, "g0", operation)
        while not operation.announced:
            self.clock.advance(0.001)
        operation.cancel()
        self.failureResultOf(self.run_until(call), PowerActionError)

        self.assertEqual(Procedure.DOMAIN_CREATE_WITH_FLAGS, self.daemon.calls[-1])

    def test_boot_device(self) -> None:
        """
        No boot device is promised, and none is set.
        """
        target = self.driver.target(self.settings())
        call = self.driver.set_boot(target, Boot(BootDevice.PXE), FakeOperation(100))

        self.failureResultOf(Deferred.fromCoroutine(call), PowerUnsupportedError)
        self.assertEqual(frozenset(), self.driver.capabilities.boot_devices)


class LineTests(HypervisorCase):
    """
    The one connection.
    """

    def test_first_words(self) -> None:
        """
        A daemon is asked how to log in, for its guests, for pings and for events; the last two it may lack.
        """
        self.read()
        words = self.daemon.calls[:]
        self.assertEqual(
            [
                Procedure.AUTH_LIST,
                Procedure.CONNECT_OPEN,
                Procedure.CONNECT_SUPPORTS_FEATURE,
                Procedure.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
                Procedure.CONNECT_GET_ALL_DOMAIN_STATS,
            ],
            words,
        )
        self.daemon.unsupported.update(words[2:4])
        self.daemon.lines[0].close()
        self.clock.advance(0)
        self.read()

        self.assertEqual([*words, *words], self.daemon.calls)

    def test_no_such_hypervisor(self) -> None:
        """
        A daemon that does not have the hypervisor says so.
        """
        self.daemon.unsupported.add(Procedure.CONNECT_OPEN)

        self.assertIn("qemu:///system cannot be opened: this function", str(self.error(PowerConnError)))
        self.assertEqual([], self.daemon.lines)

    def test_shared_dial(self) -> None:
        """
        All who need the line while it is opened wait for the same; it is given up with the last of them.
        """
        self.daemon.dialling = Deferred()
        operations = [FakeOperation(self.clock.seconds() + 100) for _ in range(3)]
        calls = [self.start(Command.ON, f"g{at}", each) for at, each in enumerate(operations)]
        operations[0].cancel()
        self.failureResultOf(calls[0], OperationCancelled)
        self.assertEqual(1, self.daemon.dials)
        for at in (1, 2):
            operations[at].cancel()
            self.failureResultOf(calls[at], OperationCancelled)
        self.assertTrue(self.daemon.dialling.called)

    def test_made_to_leave_while_told(self) -> None:
        """
        Who is given the line, or told that there is none, may cancel others who wait; the rest is told.
        """
        for dead, left, ended in (
            (None, OperationCancelled, type(None)),
            (DEAD, CancelledError, PowerConnError),
        ):
            self.daemon.dialling = dialling = Deferred()
            operations = [FakeOperation(self.clock.seconds() + 100) for _ in range(3)]
            calls = [self.start(Command.ON, f"g{at}", each) for at, each in enumerate(operations)]
            operations[0].on_sending = operations[1].cancel
            calls[0].addErrback(lambda failure, second=calls[1]: (second.cancel(), failure)[1])
            dialling.callback(None) if dead is None else dialling.errback(dead)
            self.clock.pump([0.005] * 100)

            self.failureResultOf(calls[1], left)
            for call in (calls[0], calls[2]):
                result = self.failureResultOf(call).value if dead else self.successResultOf(call)
                self.assertIsInstance(result, ended)
            self.close()
            self.driver = self.daemon.driver()

    def test_back_off(self) -> None:
        """
        A host that does not answer is dialled after a pause that grows; one that is back, without.
        """
        self.daemon.dead = PowerConnError("nobody there")
        begun = self.clock.seconds()
        for _ in range(8):
            error = self.error(PowerConnError)
            self.assertFalse(error.sent)
        self.assertGreater(self.clock.seconds() - begun, PAUSE + 3 * LONGEST_PAUSE)
        self.assertEqual(8, self.daemon.dials)
        self.daemon.dead = None
        begun = self.clock.seconds()
        self.read()

        self.assertLess(self.clock.seconds() - begun, LONGEST_PAUSE + 1)
        self.daemon.lines[0].close()
        self.clock.advance(0)
        begun = self.clock.seconds()
        self.read()
        self.assertLess(self.clock.seconds() - begun, PAUSE)

    def test_no_pause_after_a_refused_login(self) -> None:
        """
        A refused login is told at once and not remembered here: whoever asks again wants to know again.
        """
        self.daemon.auth = [2]
        begun = self.clock.seconds()
        self.assertIn("polkit does not let us manage guests", str(self.error(PowerAuthError)))
        self.daemon.auth = [1]
        self.assertIn("wants SASL", str(self.error(PowerAuthError)))
        self.daemon.auth = [0]
        self.read()

        self.assertLess(self.clock.seconds() - begun, 0.3)
        self.assertEqual(1, len(self.daemon.lines))

    def test_hints(self) -> None:
        """
        Watching opens nothing; events hint at their guest, a lost line and a new one at all.
        """
        hints: list[str] = []

        def hinted(name: str) -> Callable[[], None]:
            return lambda: hints.append(name)

        assert IPowerHints.providedBy(self.driver)
        stops = [
            self.driver.watch(self.driver.target(self.settings(name)), hinted(name)) for name in ("g0", "g1")
        ]
        self.clock.advance(1)
        self.assertEqual(0, self.daemon.dials)
        self.read()
        self.daemon.tell(self.daemon.guests["g1"])
        self.assertEqual(["g1"], hints)
        self.daemon.lines[0].close()
        self.clock.advance(0)
        self.assertEqual(["g1"], hints)
        self.clock.advance(PAUSE)
        self.assertEqual(["g1", "g0", "g1"], hints)
        self.read()
        self.assertEqual(["g1", "g0", "g1", "g0", "g1"], hints)
        for stop in stops:
            stop()
            stop()
        self.daemon.tell(self.daemon.guests["g1"])
        self.assertEqual(5, len(hints))

    def test_idle(self) -> None:
        """
        A line that nobody uses is closed in order, unless somebody watches.
        """
        stop = self.driver.watch(self.driver.target(self.settings()), lambda: None)
        self.read()
        self.clock.pump([1.0] * int(2 * IDLE))
        self.assertEqual(1, len(self.daemon.lines))
        stop()
        self.clock.pump([1.0] * int(2 * IDLE))
        self.assertEqual([], self.daemon.lines)
        self.assertEqual(1, self.daemon.count()["CONNECT_CLOSE"])
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_many(self) -> None:
        """
        Hypervisors that nobody uses are forgotten when there are very many, others never.
        """
        hints: list[None] = []
        self.driver = VirshDriver(self.clock, lambda place, _: self.daemon.hypervisor(place), many=5)
        kept = self.driver.target(VirshSettings(domain="g0", socket="/run/kept"))
        self.driver.watch(kept, lambda: hints.append(None))
        for socket in ("/run/kept", *(f"/run/{number}" for number in range(9))):
            target = self.driver.target(VirshSettings(domain="g0", socket=socket))
            read = self.driver.read(target, FakeOperation(self.clock.seconds() + 9))
            self.successResultOf(self.run_until(read))
            self.assertLessEqual(len(self.daemon.lines), 6)
        self.clock.advance(1)
        self.daemon.tell(self.daemon.guests["g0"])

        self.assertEqual([None], hints)
        self.assertLess(len(self.daemon.lines), 6)

    def test_close(self) -> None:
        """
        Closing says good-bye, and does not wait long for one who does not answer; then nothing is spoken.
        """
        for mute in (False, True):
            self.setUp()
            self.read()
            self.daemon.mute = mute
            begun = self.clock.seconds()
            self.close()
            self.assertLess(self.clock.seconds() - begun, 3.0)
            self.assertEqual([], self.daemon.lines)
            self.assertIn("the coordinator stops", str(self.error(PowerConnError)))
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_close_while_connecting(self) -> None:
        """
        Closing ends what is just connecting, and those who wait for it hear it.
        """
        self.daemon.latency = 5.0
        call = self.start()
        self.clock.advance(1)
        self.close()

        self.assertIn("given up", str(self.failureResultOf(call, PowerConnError).value))
        self.assertEqual([], self.daemon.lines)

    def test_dead_line(self) -> None:
        """
        A daemon that falls silent is found out between operations, too, and the next one gets through.
        """
        self.driver.watch(self.driver.target(self.settings()), lambda: None)
        self.read()
        self.daemon.mute = True
        self.clock.pump([INTERVAL] * 6)
        self.assertEqual([], self.daemon.lines)
        self.daemon.mute = False
        self.read()

        self.assertEqual(2, self.daemon.dials)

    def test_nonsense(self) -> None:
        """
        An answer that makes no sense costs the line, and the caller is told.
        """
        self.read()
        line = self.daemon.lines[0]
        self.daemon.stuck.add(Procedure.CONNECT_GET_ALL_DOMAIN_STATS)
        call = self.start()
        self.clock.advance(0.1)
        packet = line.sent[-1]
        line.deliver(bytes.fromhex("00000020200080860000000100000158 00000001".replace(" ", "")))
        line.deliver(packet.serial.to_bytes(4, "big") + bytes(4) + b"\xff\xff\xff\xff")

        self.assertIn("this is not libvirt's protocol", str(self.failureResultOf(call, PowerConnError).value))
        self.assertFalse(line.open)
