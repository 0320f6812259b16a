# SPDX-License-Identifier: MIT
"""
What HAProxy is told, and what those who ask may cost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from powercoord.api.agent import AgentCheck, AgentLimits, Asked
from powercoord.api.agent_words import LONGEST_REASON, Manner, answer, one_line
from powercoord.errors import ConfigError
from powercoord.interfaces import IDoor
from powercoord.stages import Drain, ILifecycle, Source, Stage

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@implementer(ILifecycle)
@define(eq=False)
class PaperLifecycle:
    """
    A service that has come as far as it is told, and notes what is done to it.
    """

    stage: Stage = Stage.SERVING
    drain: Drain | None = None
    stop_requested: bool = False
    pending: int = 0
    trouble: str | None = None
    calls: list[tuple[str, ...]] = field(factory=list)

    def start_drain(self, reason: str, by: str, source: Source) -> None:
        """
        Note it, and drain.
        """
        self.calls.append(("drain", reason, by, source.value))
        self.drain = Drain(since=SINCE, reason=reason, by=by, source=source)
        self.stage = Stage.DRAINING if self.pending else Stage.DRAINED

    def resume(self, by: str, source: Source) -> None:
        """
        Note it, and serve.
        """
        self.calls.append(("resume", by, source.value))
        self.drain, self.stage = None, Stage.SERVING

    def stop(self, by: str) -> None:
        """
        Note it, and stop.
        """
        self.calls.append(("stop", by))
        self.stop_requested = True

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """
        Nothing changes by itself.
        """
        return lambda: None


class WordsTests(SynchronousTestCase):
    """
    `answer`.
    """

    def assertSays(self, expected: str, stage: Stage, manner: Manner | None = None, **it: Any) -> None:
        """
        Fail unless this is what HAProxy is told at a stage.
        """
        lifecycle = PaperLifecycle(stage, **it)
        verifyObject(ILifecycle, lifecycle)

        self.assertEqual(expected, answer(lifecycle, manner or Manner()))

    def test_every_stage(self) -> None:
        """
        Every line says all three, admin word, health and weight: HAProxy keeps what is not repeated.
        """
        self.assertSays("down ready 100% #starting", Stage.STARTING)
        self.assertSays("up ready 100%", Stage.SERVING)
        for stage in (Stage.DRAINING, Stage.DRAINED, Stage.STOPPING):
            self.assertSays("drain up 100%", stage)

    def test_shared(self) -> None:
        """
        Where operators use HAProxy's command line, no administrative word fights theirs.
        """
        shared = Manner(shared=True, maintenance=lambda: True)
        self.assertSays("down 100% #starting", Stage.STARTING, shared)
        self.assertSays("up 100%", Stage.SERVING, shared)
        self.assertSays("down 100% #no space left", Stage.SERVING, shared, trouble="no space left")
        for stage in (Stage.DRAINING, Stage.DRAINED, Stage.STOPPING):
            self.assertSays("up 0%", stage, shared)

    def test_trouble(self) -> None:
        """
        One that could accept nothing is down, with the reason after a blank; while it drains that is no news.
        """
        self.assertSays("down ready 100% #disk full", Stage.SERVING, trouble="disk full")
        self.assertSays("drain up 100%", Stage.DRAINING, trouble="disk full")

    def test_maintenance(self) -> None:
        """
        An operator's maint is passed on while it drains, and not once somebody resumed.
        """
        maintained = Manner(maintenance=lambda: True)
        self.assertSays("maint up 100%", Stage.DRAINING, maintained)
        self.assertSays("maint up 100%", Stage.DRAINED, maintained)
        self.assertSays("up ready 100%", Stage.SERVING, maintained)

    def test_hold(self) -> None:
        """
        One that holds shows only a stop and maint: until then new connections come here and not to another.
        """
        hold = Manner(hold=True)
        for stage in (Stage.DRAINING, Stage.DRAINED):
            self.assertSays("up ready 100%", stage, hold)
            self.assertSays("up 100%", stage, Manner(hold=True, shared=True))
            self.assertSays("drain up 100%", stage, hold, stop_requested=True)
            self.assertSays("maint up 100%", stage, Manner(hold=True, maintenance=lambda: True))
        self.assertSays("drain up 100%", Stage.STOPPING, hold, stop_requested=True)
        self.assertSays("down ready 100% #starting", Stage.STARTING, hold)

    def test_reason(self) -> None:
        """
        A reason is one short printable line without commas, whatever it was made of.
        """
        self.assertEqual("disk full sda1 100", one_line("disk full,\n\tsda1\r\x00 ü 100\n"))
        self.assertEqual(LONGEST_REASON, len(one_line("x" * 200)))
        self.assertEqual("", one_line("\n"))


class Line(StringTransport):
    """
    A connection that can be closed by halves.
    """

    half_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        """
        Say no more.
        """
        self.half_closed = True

    def abortConnection(self) -> None:
        """
        Be gone.
        """
        self.aborted = True


class AgentCase(SynchronousTestCase):
    def make(self, *endpoints: str, **options: Any) -> None:
        """
        An agent check on a reactor of paper.
        """
        self.reactor = MemoryReactorClock()  # type: ignore[no-untyped-call]
        self.lifecycle = PaperLifecycle()
        self.agent = AgentCheck(
            self.reactor, endpoints or ("tcp:4445:interface=127.0.0.1",), self.lifecycle, **options
        )

    def open(self) -> None:
        """
        Let it listen.
        """
        self.successResultOf(Deferred.fromCoroutine(self.agent.open()))
        self.factory = self.reactor.tcpServers[-1][1]

    def ask(self) -> tuple[Line, Asked]:
        """
        Connect from this machine.
        """
        line, asked = Line(), self.build("127.0.0.1")
        assert asked is not None
        asked.makeConnection(line)
        return line, asked

    def build(self, host: str) -> Any:
        """
        What there is for somebody from an address.
        """
        kind = IPv6Address if ":" in host else IPv4Address
        return self.factory.buildProtocol(kind("TCP", host, 1))


class AskedTests(AgentCase):
    """
    `Asked`.
    """

    def test_answer(self) -> None:
        """
        Who connects is told at once, in one line that ends, without having said anything.
        """
        self.make()
        self.open()
        line, _ = self.ask()

        self.assertEqual(b"up ready 100%\n", line.value())
        self.lifecycle.start_drain("", "", Source.COMMAND)
        self.assertEqual(b"drain up 100%\n", self.ask()[0].value())

    def test_half_close(self) -> None:
        """
        Only our half is closed: a reset, because something of theirs is unread, may overtake the answer.
        """
        self.make()
        self.open()
        line, asked = self.ask()
        asked.dataReceived(b"pc s1\n")

        self.assertTrue(line.half_closed)
        self.assertFalse(line.disconnecting or line.aborted)

    def test_patience(self) -> None:
        """
        Who does not part is parted from after two seconds; who did leaves no timer.
        """
        self.make()
        self.open()
        slow, late = self.ask()
        _, quick = self.ask()
        quick.connectionLost()
        self.reactor.advance(1.9)
        self.assertFalse(slow.aborted)
        self.reactor.advance(0.2)

        self.assertTrue(slow.aborted)
        late.connectionLost()
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_flood(self) -> None:
        """
        What somebody says is forgotten, and after some KB it is not even read.
        """
        self.make()
        self.open()
        line, asked = self.ask()
        asked.dataReceived(b"x" * 4_096)
        self.assertEqual("producing", line.producerState)
        asked.dataReceived(b"x")

        self.assertEqual("paused", line.producerState)
        self.assertEqual(b"up ready 100%\n", line.value())

    def test_crowd(self) -> None:
        """
        Of more than 32 at once the oldest, which have been told, make room; nobody is refused.
        """
        self.make()
        self.open()
        crowd = [self.ask() for _ in range(40)]

        self.assertEqual([True] * 8 + [False] * 32, [line.aborted for line, _ in crowd])
        self.assertEqual({b"up ready 100%\n"}, {line.value() for line, _ in crowd})
        for _, asked in crowd:
            asked.connectionLost()
        self.assertEqual([], self.reactor.getDelayedCalls())


class AgentCheckTests(AgentCase):
    """
    `AgentCheck`.
    """

    def test_door(self) -> None:
        """
        It is a door that goes on answering when nobody new is let in at the others, until it is closed.
        """
        self.make(limits=AgentLimits(patience=1.0))
        verifyObject(IDoor, self.agent)
        self.open()
        self.successResultOf(Deferred.fromCoroutine(self.agent.stop_accepting()))
        line, _ = self.ask()
        self.assertEqual(b"up ready 100%\n", line.value())

        closed = Deferred.fromCoroutine(self.agent.close())
        self.assertFalse(line.aborted)
        self.reactor.advance(0.1)
        self.successResultOf(closed)
        self.assertTrue(line.aborted)
        self.assertEqual([], self.agent.ports)

    def test_strangers(self) -> None:
        """
        Besides this machine only those who are allowed may ask; a line a minute tells of the others.
        """
        self.make("tcp:4445", allow=["10.0.0.0/24", "fd00::5"])
        self.open()
        with capturedLogs() as logs:
            for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.9", "10.0.0.7", "fd00::5"):
                self.assertIsNotNone(self.build(host), host)
            self.assertIsNotNone(self.factory.buildProtocol(UNIXAddress("/x")))  # type: ignore[no-untyped-call]
            for host in ("10.0.1.7", "192.168.0.1", "fd00::6", "fe80::1%eth0"):
                self.assertIsNone(self.build(host), host)
            self.reactor.advance(61)
            self.assertIsNone(self.build("10.0.1.8"))

        warnings = [log for log in logs if log["log_level"].name == "warn"]
        self.assertEqual(
            [("10.0.1.7", ""), ("10.0.1.8", " (and 3 times more before)")],
            [(log["peer"], log["more"]) for log in warnings],
        )

    def test_configuration(self) -> None:
        """
        It is not open to the network unless it is said who may ask, and that has to be networks.
        """
        self.make("tcp:4445")
        failure = self.failureResultOf(Deferred.fromCoroutine(self.agent.open()), ConfigError)
        self.assertIn("tcp:4445: it is open to the network", str(failure.value))
        error = self.assertRaises(ConfigError, self.make, allow=["10.0.0.1/24"])
        self.assertIn("10.0.0.1/24", str(error))

    def test_all_or_none(self) -> None:
        """
        If it cannot listen somewhere it says where and why, and listens nowhere.
        """
        self.make("tcp:4445:interface=127.0.0.1", "nonsense:1")
        failure = self.failureResultOf(Deferred.fromCoroutine(self.agent.open()), ConfigError)

        self.assertIn("cannot listen for agent checks on nonsense:1", str(failure.value))
        self.assertEqual([], self.agent.ports)
