# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.virsh.shell`, its lanes and its events, with a virsh on paper.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh.guests import Guest, GuestState, NoSuchGuest, WrongState
from powercoord.drivers.virsh.place import Hypervisor, Transport
from powercoord.drivers.virsh.settings import VirshSettings
from powercoord.drivers.virsh.shell import ACTORS, READERS, shell_hypervisor
from powercoord.drivers.virsh.shell_child import Program, Shell, ShellEnded
from powercoord.drivers.virsh.shell_lane import IDLE
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerToolError,
    PowerUnsupportedError,
)
from powercoord.model import Command
from tests.drivers.virsh.paper_virsh import PaperReactor, PaperVirsh

A, B, C = (str(UUID(int=number)) for number in (1, 2, 3))
UNSUPPORTED = "error: this function is not supported by the connection driver: virConnectGetAllDomainStats"


class ShellCase(SynchronousTestCase):
    """
    A hypervisor with two guests that are off, `a` and `b`.
    """

    settings: dict[str, Any] = {"through_virsh": True}

    def setUp(self) -> None:
        self.reactor = PaperReactor()
        self.host = self.reactor.host
        self.host.add("a", A)
        self.host.add("b", B)
        folder = Path(tempfile.mkdtemp())
        self.program = folder / "virsh"
        self.program.write_text("#!/bin/sh\n")
        self.program.chmod(stat.S_IRWXU)
        place = VirshSettings(domain="x", **self.settings).place()
        self.hypervisor = shell_hypervisor(self.reactor, place, {"PATH": str(folder)})
        self.left: list[str] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        begun = Deferred.fromCoroutine(work)
        self.reactor.turn()
        return begun

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(self.start(work))

    def error(self, work: Coroutine[Any, Any, Any]) -> PowerError:
        error = self.failureResultOf(self.start(work), PowerError).value
        assert isinstance(error, PowerError)
        return error

    def states(self, *names: str) -> dict[str, GuestState]:
        seen = self.result(self.hypervisor.states(names))
        return {name: each.state for name, each in seen.items()}

    def act(self, command: Command, uuid: str = A) -> Coroutine[Any, Any, None]:
        return self.hypervisor.act(Guest("a", UUID(uuid)), command, lambda: self.left.append(command.value))


class StateTests(ShellCase):
    def test_one_question(self) -> None:
        """
        All guests that are asked for are in one question, by UUID, and only the first needs a listing.
        """
        first = self.states("a", B, "nobody")
        self.host.done.clear()
        self.host.states[B] = GuestState.PAUSED
        second = self.states(B, "a", "b")

        self.assertEqual({"a": GuestState.SHUTOFF, B: GuestState.SHUTOFF}, first)
        paused = GuestState.PAUSED
        self.assertEqual({"a": GuestState.SHUTOFF, B: paused, "b": paused}, second)
        self.assertEqual([f"domstats --state {A} {B}"], self.host.done)

    def test_renamed(self) -> None:
        """
        A name that is another guest's by now is that guest's, also if two have changed their names.
        """
        self.states("a", "b")
        self.host.names = {A: "b", B: "a"}
        self.host.states[B] = GuestState.RUNNING

        self.assertEqual({"a": GuestState.RUNNING, "b": GuestState.SHUTOFF}, self.states("a", "b"))

    def test_gone(self) -> None:
        """
        A guest that is gone is missing, and does not spoil the others.
        """
        self.states("a", "b")
        del self.host.names[A]

        self.assertEqual({"b": GuestState.SHUTOFF}, self.states("a", "b"))

    def test_always_changing(self) -> None:
        """
        Guests that change while they are asked for, twice, are not guessed at.
        """
        self.states("a")
        self.host.broken["domstats"] = [f"error: failed to get domain '{A}'"]

        self.assertIsInstance(self.error(self.hypervisor.states(["a"])), PowerActionError)

    def test_by_table(self) -> None:
        """
        A hypervisor that has no such question is asked for its table, and that is remembered.
        """
        self.host.broken["domstats"] = [UNSUPPORTED]
        self.host.states[B] = GuestState.PAUSED
        first = self.states("a", "b", "nobody")
        self.host.done.clear()

        self.assertEqual({"a": GuestState.SHUTOFF, "b": GuestState.PAUSED}, first)
        self.assertEqual(first, self.states("a", "b", "nobody"))
        self.assertEqual(["list --all --uuid --name", "list --all"], self.host.done)

    def test_find(self) -> None:
        """
        A guest is found by its name and by its UUID, and one that is not there is told.
        """
        self.assertEqual(Guest("a", UUID(A)), self.result(self.hypervisor.find("a")))
        self.assertEqual(Guest("b", UUID(B)), self.result(self.hypervisor.find(B)))
        self.assertIsInstance(self.error(self.hypervisor.find("c")), NoSuchGuest)


class ActTests(ShellCase):
    def test_commands(self) -> None:
        """
        Each command has virsh's word, and is announced before it leaves.
        """
        for command in (Command.ON, Command.RESET, Command.SOFT, Command.ON, Command.OFF):
            self.result(self.act(command))

        words = [line.split()[0] for line in self.host.done]
        self.assertEqual(["start", "reset", "shutdown", "start", "destroy"], words)
        self.assertEqual(["on", "reset", "soft", "on", "off"], self.left)

    def test_answers(self) -> None:
        """
        What virsh says is said in our words.
        """
        for uuid, command, kind in ((A, Command.OFF, WrongState), (C, Command.ON, NoSuchGuest)):
            self.assertIs(kind, type(self.error(self.act(command, uuid))))
        self.host.broken["start"] = ["error: Failed to start domain 'a'", "error: no disk"]
        error = self.error(self.act(Command.ON))

        self.assertEqual((PowerActionError, False), (type(error), error.sent))
        self.assertIn("Failed to start domain 'a'; no disk", str(error))

    def test_reconnected(self) -> None:
        """
        A command that was carried out after the connection had been lost has succeeded.
        """
        self.host.preface = (
            "error: Disconnected from x due to end of file\nerror: Reconnected to the hypervisor\n"
        )
        self.result(self.act(Command.ON))

        self.assertEqual(GuestState.RUNNING, self.host.states[A])

    def test_unreachable(self) -> None:
        """
        Nothing leaves for a hypervisor that cannot be reached, and whoever waits for it hears that too.
        """
        self.host.unreachable = "error: failed to connect to the hypervisor\nerror: Connection refused\n"
        attempts = [Deferred.fromCoroutine(self.act(Command.ON)) for _ in range(ACTORS + 3)]
        self.reactor.turn()

        for attempt in attempts:
            error = self.failureResultOf(attempt, PowerConnError).value
            self.assertFalse(error.sent)
            self.assertIn("Connection refused", str(error))
        self.assertEqual(([], ACTORS), (self.left, len(self.reactor.children)))

    def test_password(self) -> None:
        """
        A virsh that asks for a password is ended at once and nothing of ours is told to it.
        """
        self.reactor.prepare = lambda child: child.ask_password()
        error = self.error(self.act(Command.ON))

        self.assertIs(PowerAuthError, type(error))
        self.assertIn("auth.conf", str(error))
        self.assertEqual((["KILL"], []), (self.reactor.children[0].signals, self.host.done))

    def test_dies(self) -> None:
        """
        When a shell dies under a change, it may have been done; under a read, not. The next shell works.
        """
        self.host.silent = {"start", "domstats"}
        change, read = self.start(self.act(Command.ON)), self.start(self.hypervisor.states(["a"]))
        for child in self.reactor.running:
            child.die("error: killed\n")
        self.host.silent.clear()
        self.reactor.turn()

        self.assertTrue(self.failureResultOf(change, PowerConnError).value.sent)
        self.assertFalse(self.failureResultOf(read, PowerConnError).value.sent)
        self.assertEqual({"a": GuestState.SHUTOFF}, self.states("a"))

    def test_unbounded(self) -> None:
        """
        A virsh that never stops talking is ended.
        """
        self.host.silent = {"start"}
        change = self.start(self.act(Command.ON))
        (child,) = self.reactor.running
        for _ in range(70):
            child.say("x" * 65_536)
        self.reactor.turn()

        self.assertIn("more than any answer", str(self.failureResultOf(change, PowerConnError).value))
        self.assertEqual(["KILL"], child.signals[:1])


class ChildTests(SynchronousTestCase):
    """
    One shell alone.
    """

    def setUp(self) -> None:
        self.reactor = PaperReactor()
        self.shell = Shell(self.reactor, lambda: "m")

    def test_one_at_a_time(self) -> None:
        """
        A shell that is busy is given nothing more.
        """
        self.reactor.host.silent = {"echo"}
        Program("virsh", "test:///default", {}).spawn(self.reactor, self.shell)
        asked = self.shell.ask()

        with self.assertRaises(RuntimeError):
            self.shell.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)

    def test_dead(self) -> None:
        """
        A shell that has ended answers nobody, and can be ended again.
        """
        Program("virsh", "test:///default", {}).spawn(self.reactor, self.shell)
        self.reactor.children[0].running = False
        self.shell.kill()
        self.reactor.children[0].running = True
        self.reactor.children[0].die()
        self.shell.kill()
        self.shell.quit()

        self.failureResultOf(self.shell.ask(), ShellEnded)
        self.successResultOf(self.shell.ended)
        self.assertEqual([], self.reactor.getDelayedCalls())


class CancelTests(ShellCase):
    def test_busy(self) -> None:
        """
        A hard cancel kills the one shell that works for it, there and then.
        """
        self.host.silent = {"start"}
        change = self.start(self.act(Command.ON))
        other = self.start(self.act(Command.RESET, B))
        (child, _) = self.reactor.running
        change.cancel()
        killed = list(child.signals)
        self.reactor.turn()

        self.failureResultOf(change, CancelledError)
        self.assertEqual((["KILL"], False), (killed, child.running))
        self.failureResultOf(other, WrongState)

    def test_connecting(self) -> None:
        """
        One that is cancelled while its shell connects has sent nothing, and never will.
        """
        self.host.silent = {"echo"}
        change = self.start(self.act(Command.ON))
        change.cancel()
        self.reactor.turn()

        self.failureResultOf(change, CancelledError)
        self.assertEqual(([], [], []), (self.left, self.host.done, self.reactor.running))

    def test_waiting(self) -> None:
        """
        One that waits for a shell leaves the queue and disturbs nobody.
        """
        self.host.silent = {"start"}
        busy = [self.start(self.act(Command.ON)) for _ in range(ACTORS)]
        waiting = [self.start(self.act(Command.RESET)) for _ in range(2)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        running = len(self.reactor.running)
        busy[0].cancel()
        self.reactor.turn()

        self.failureResultOf(busy[0], CancelledError)
        self.failureResultOf(waiting[1], WrongState)
        self.assertEqual((ACTORS, 1), (running, sum(line.startswith("reset") for line in self.host.done)))
        for each in busy[1:]:
            self.assertNoResult(each)
            each.cancel()
            self.failureResultOf(each, CancelledError)


class PoolTests(ShellCase):
    def test_kept(self) -> None:
        """
        Shells are kept for the next, one for each that works at the same time, and reads have their own.
        """
        for _ in range(5):
            self.states("a")
            self.result(self.hypervisor.find("a"))
        few = len(self.reactor.children)
        reads = [Deferred.fromCoroutine(self.hypervisor.states(["a"])) for _ in range(10)]
        self.reactor.turn()

        self.assertEqual((2, READERS + 1), (few, len(self.reactor.children)))
        for read in reads:
            self.successResultOf(read)

    def test_died_idle(self) -> None:
        """
        A shell that has died since it was last asked is not asked again.
        """
        self.result(self.hypervisor.find("a"))
        self.reactor.children[0].die("error: out of memory\n")
        self.result(self.act(Command.ON))

        self.assertEqual((2, 1), (len(self.reactor.children), len(self.reactor.running)))

    def test_idle(self) -> None:
        """
        A shell that has had nothing to do ends by itself, and only one that does not is killed.
        """
        self.states("a")
        self.result(self.hypervisor.find("a"))
        self.reactor.children[0].stubborn = True
        self.reactor.advance(IDLE - 1)
        before = len(self.reactor.running)
        self.reactor.advance(1)
        self.reactor.turn()
        self.reactor.advance(5)
        self.reactor.turn()

        self.assertEqual((2, []), (before, self.reactor.running))
        self.assertEqual([["KILL"], []], [child.signals for child in self.reactor.children])
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_close_together(self) -> None:
        """
        Who hears that it is closed may let others leave who wait, and the rest hear of it all the same.
        """
        self.states("a")
        self.host.silent = {"start"}
        changes = [self.start(self.act(Command.ON)) for _ in range(ACTORS + 3)]
        first, second, third = changes[ACTORS:]
        first.addErrback(lambda failure: (second.cancel(), failure)[1])
        closing = Deferred.fromCoroutine(self.hypervisor.close())
        self.reactor.turn()

        self.successResultOf(closing)
        self.failureResultOf(second, CancelledError)
        for change in (*changes[:ACTORS], first, third):
            self.failureResultOf(change, PowerConnError)

    def test_close(self) -> None:
        """
        Closing ends all, waits until they are reaped, and nothing works afterwards.
        """
        self.states("a")
        self.host.silent = {"start"}
        changes = [self.start(self.act(Command.ON)) for _ in range(ACTORS + 2)]
        closing = Deferred.fromCoroutine(self.hypervisor.close())
        self.assertNoResult(closing)
        self.reactor.turn()

        self.successResultOf(closing)
        errors = [self.failureResultOf(change, PowerConnError).value for change in changes]
        self.assertEqual([True] * ACTORS + [False] * 2, [error.sent for error in errors])
        self.assertEqual(([], []), (self.reactor.running, self.reactor.getDelayedCalls()))
        self.assertFalse(self.error(self.act(Command.ON)).sent)

    def test_no_room(self) -> None:
        """
        A machine that can start no more processes is told as such, and the next attempt is a new one.
        """
        self.reactor.failing = True
        error = self.error(self.act(Command.ON))
        self.reactor.failing = False
        self.result(self.act(Command.ON))

        self.assertIs(PowerConnError, type(error))
        self.assertIn("no room", str(error))

    def test_no_program(self) -> None:
        """
        Where there is no virsh its package is named.
        """
        self.program.unlink()
        error = self.error(self.hypervisor.states(["a"]))

        self.assertIs(PowerToolError, type(error))
        self.assertIn("install libvirt-clients", str(error))

    def test_nothing_to_see(self) -> None:
        """
        A child's command line has the hypervisor and nothing else, and its language is English.
        """
        self.states("a")
        (child,) = self.reactor.children

        self.assertEqual(["virsh", "-q", "-c", "qemu+unix:///system"], child.words)
        self.assertEqual(("C", "/dev/null"), (child.environment["LC_ALL"], child.environment["INPUTRC"]))


class LocalTests(ShellCase):
    settings = {
        "hypervisor": Hypervisor.TEST,
        "transport": Transport.LOCAL,
        "instance": "default",
    }

    def test_one_shell(self) -> None:
        """
        A hypervisor that is inside of a virsh has one for all.
        """
        work = [self.act(Command.ON), self.act(Command.ON, B), self.hypervisor.states(["a"])]
        begun = [Deferred.fromCoroutine(each) for each in work]
        self.reactor.turn()

        self.assertEqual(3, len([self.successResultOf(each) for each in begun]))
        self.assertEqual(1, len(self.reactor.children))

    def test_unsupported(self) -> None:
        """
        What a hypervisor cannot do at all is told as such.
        """
        self.host.broken["reset"] = [UNSUPPORTED]

        self.assertIsInstance(self.error(self.act(Command.RESET)), PowerUnsupportedError)


class EventTests(ShellCase):
    def setUp(self) -> None:
        super().setUp()
        self.hints: list[frozenset[str]] = []
        self.leave = self.hypervisor.watch(self.hints.append)

    def listeners(self) -> list[PaperVirsh]:
        return [child for child in self.reactor.running if "event" in child.words]

    def test_opens_nothing(self) -> None:
        """
        Nothing listens before the hypervisor has answered, and then one does for all.
        """
        self.reactor.turn()
        before = len(self.reactor.children)
        self.hypervisor.watch(self.hints.append)
        self.states("a")
        self.states("a")

        self.assertEqual((0, 1), (before, len(self.listeners())))

    def test_told(self) -> None:
        """
        An event hints at its guest by name and UUID, however its line comes; what is no event does not.
        """
        self.states("a")
        (child,) = self.listeners()
        for piece in ("event 'lifecycle' for domain 'a': Stop", "ped Destroyed\nevents rec", "eived: 1\n"):
            child.say(piece)
        child.say("event 'lifecycle' for domain 'it's: b': Started Booted\n" * 2)

        new = frozenset(("it's: b",))
        self.assertEqual([frozenset(("a", A)), new, new], self.hints)

    def test_lost(self) -> None:
        """
        When it ends anything may have changed; it listens again when somebody was answered, and not at once.
        """
        self.states("a")
        self.listeners()[0].die("error: Disconnected\n")
        self.states("a")
        at_once = len(self.listeners())
        self.reactor.advance(5)
        self.states("a")

        self.assertEqual((0, 1), (at_once, len(self.listeners())))
        self.assertEqual([frozenset()], self.hints)

    def test_never(self) -> None:
        """
        A hypervisor that has no events is asked for them less and less.
        """
        begun = []
        for second in range(3000):
            self.reactor.advance(1)
            self.states("a")
            for child in self.listeners():
                begun.append(second)
                child.die("error: event registration is not supported\n")

        gaps = [later - earlier for earlier, later in pairwise(begun)]
        self.assertEqual(sorted(gaps), gaps)
        self.assertEqual((5, 600), (gaps[0], gaps[-1]))

    def test_left(self) -> None:
        """
        When nobody watches any more nothing listens.
        """
        self.states("a")
        self.leave()
        self.leave()
        self.reactor.turn()

        self.assertEqual([], self.listeners())

    def test_no_room(self) -> None:
        """
        A listener that cannot be started is tried again later, and harms nobody.
        """
        self.states("nobody")
        self.leave()
        self.reactor.turn()
        self.hypervisor.watch(self.hints.append)
        self.reactor.failing = True
        self.reactor.advance(5)
        self.states("a")
        self.reactor.failing = False
        self.states("a")
        meanwhile = len(self.listeners())
        self.reactor.advance(20)
        self.states("a")

        self.assertEqual((0, 1), (meanwhile, len(self.listeners())))

    def test_left_while_resting(self) -> None:
        """
        Who leaves while it is not listened to leaves no timer behind.
        """
        self.states("a")
        (child,) = self.listeners()
        child.complain("error: Disconnected\n")
        child.running = False
        self.leave()
        child.running = True
        child.die()
        self.hypervisor.watch(self.hints.append)()
        closing = Deferred.fromCoroutine(self.hypervisor.close())
        self.reactor.turn()

        self.successResultOf(closing)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_closed(self) -> None:
        """
        Closing ends it and waits for that.
        """
        self.states("a")
        closing = Deferred.fromCoroutine(self.hypervisor.close())
        self.assertNoResult(closing)
        self.reactor.turn()

        self.successResultOf(closing)
        self.assertEqual(([], []), (self.reactor.running, self.reactor.getDelayedCalls()))
