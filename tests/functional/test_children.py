# SPDX-License-Identifier: MIT
"""
Children of drivers, as the kernel has them: what they are told, and that none outlives its operation.
"""

from __future__ import annotations

import os
from pathlib import Path
from shutil import which
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from powercoord.drivers.children import Children, Ended, Program, surroundings
from powercoord.drivers.children.places import Places, Rank
from powercoord.errors import OperationCancelled, PowerActionError, PowerConnError, PowerToolError
from tests.ipmi_world import FakeOperation

reactor: Any = global_reactor
SETSID = which("setsid")
LEADER = (SETSID,) if SETSID else ()


def alive(mark: str) -> list[str]:
    """
    The processes whose environment has this word: a child's own children, too.
    """
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                environment = (folder / "environ").read_bytes().decode(errors="replace")
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in environment:
                found.append(words)
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# What a busy machine may take longer, in seconds: nothing next to the minute of a child that is not ended.
STALL = 3.0


class ChildrenTests(TestCase):
    timeout = 30

    async def setUp(self) -> None:
        self.children = Children(reactor, LEADER)
        await self.run_unmarked()  # the first child of all has the reactor open a pipe for itself
        self.mark = f"mark-{self.id().rpartition('.')[2]}-{os.getpid()}"
        self.descriptors = descriptors()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.hold_nothing_left()))

    async def run_unmarked(self) -> None:
        self.mark = "unmarked"
        await self.run_script("true")

    async def hold_nothing_left(self) -> None:
        """
        Neither process nor open file is left, after a moment for the kernel.
        """
        await self.children.close()
        for _ in range(100):
            left = alive(self.mark)
            if not left and descriptors() <= self.descriptors:
                return
            await deferLater(reactor, 0.02)
        self.fail(f"left behind: {left}, {descriptors() - self.descriptors} descriptors")

    def start(
        self,
        script: str,
        *,
        seconds: float = 10.0,
        rank: Rank = Rank.READ,
        stdin: bytes = b"",
        **more: str,
    ) -> tuple[Deferred[Ended], FakeOperation]:
        operation = FakeOperation(reactor.seconds() + seconds)
        program = Program(
            argv=("/bin/sh", "-c", script),
            environment=surroundings(os.environ, MARK=self.mark, **more),
            stdin=stdin,
        )
        call = self.children.run(program, operation, operation.deadline, rank)
        return Deferred.fromCoroutine(call), operation

    async def run_script(self, script: str, **how: Any) -> Ended:
        return await self.start(script, **how)[0]

    async def fails(self, call: Deferred[Ended], kind: type[BaseException]) -> Any:
        try:
            ended = await call
        except kind as error:
            return error
        raise AssertionError(f"it ended: {ended}")

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)

    def nothing_yet(self) -> Path:
        """
        The path of a file that may come to be.
        """
        return Path(self.mktemp()).absolute()

    async def until_alive(self) -> None:
        while not alive(self.mark):
            await self.pause(0.005)

    async def test_said(self) -> None:
        """
        A child reads what it is told, and what it says on both its outputs is kept with its status.
        """
        ended = await self.run_script("cat; echo oops >&2; exit 3", stdin=b"a=b\n")
        self.assertEqual((3, b"a=b\n", b"oops\n", None), (ended.code, ended.stdout, ended.stderr, ended.halt))
        self.assertEqual("exit status 3", ended.words())

    async def test_environment(self) -> None:
        """
        A child gets a path, a home and a language, what it is given, and nothing else of ours.
        """
        os.environ["POWERCOORD_TEST_SECRET"] = "xyzzy"
        self.addCleanup(os.environ.pop, "POWERCOORD_TEST_SECRET")
        ended = await self.run_script("exec env", IPMI_PASSWORD="plugh")
        names = {line.partition(b"=")[0].decode() for line in ended.stdout.splitlines()}
        self.assertLessEqual({"PATH", "LC_ALL", "IPMI_PASSWORD"}, names)
        self.assertLessEqual(
            names - {"IPMI_PASSWORD", "MARK", "PWD", "_", "SHLVL"}, {"PATH", "HOME", "TZ", "LC_ALL"}
        )

    async def test_no_files_of_ours(self) -> None:
        """
        A child has its three pipes and no other file that we have open.
        """
        ours = os.open("/proc/self/status", os.O_RDONLY)
        self.addCleanup(os.close, ours)
        os.set_inheritable(ours, True)
        ended = await self.run_script("ls -l /proc/$$/fd")
        self.assertIn(b"pipe:", ended.stdout)
        self.assertNotIn(b"status", ended.stdout)

    async def test_signal(self) -> None:
        """
        A child that a signal ends is told apart from one that ends itself.
        """
        ended = await self.run_script("kill -9 $$")
        self.assertEqual((None, 9, "ended by SIGKILL"), (ended.code, ended.signal, ended.words()))

    async def test_bounded(self) -> None:
        """
        Of a child that talks without end the beginning is kept, and the rest counted.
        """
        ended = await self.run_script("head -c 3000000 /dev/zero")
        self.assertEqual((65536, 3000000 - 65536), (len(ended.stdout), ended.dropped))

    async def test_deadline(self) -> None:
        """
        A child that does not end in time is ended, with its own children, also one that ignores the request.
        """
        deaf = "trap '' TERM; (trap '' TERM; sleep 60) & while :; do sleep 60; done"
        detached = "(trap '' TERM; exec >&- 2>&- <&-; while :; do sleep 60; done) & wait"
        for script in ("sleep 60; exit", deaf, detached):
            before = reactor.seconds()
            call, _ = self.start(script, seconds=1.0, rank=Rank.OFF)
            error = await self.fails(call, PowerConnError)
            self.assertTrue(error.sent)
            self.assertLess(reactor.seconds() - before, 1.0 + STALL)

    async def test_read_never_sent(self) -> None:
        """
        A read that runs out of its time says that nothing was sent, and announced nothing.
        """
        call, operation = self.start("sleep 60", seconds=0.5)
        error = await self.fails(call, PowerConnError)
        self.assertEqual((False, 0), (error.sent, operation.announced))

    async def test_held_pipes(self) -> None:
        """
        Whoever holds the pipes of a child that has ended keeps nobody waiting, and is ended with its group.
        """
        before = reactor.seconds()
        ended = await self.run_script("echo done; sleep 60 & exit 0")
        self.assertEqual((0, b"done\n", True), (ended.code, ended.stdout, ended.held))
        self.assertLess(reactor.seconds() - before, 2 + STALL)

    async def test_closed_pipes(self) -> None:
        """
        A child that closes its pipes is still waited for.
        """
        ended = await self.run_script("exec >&- 2>&- <&-; sleep 0.3; exit 4")
        self.assertEqual(4, ended.code)

    async def test_deaf(self) -> None:
        """
        A child that does not read what it is told harms nobody.
        """
        ended = await self.run_script("exec <&-; exit 5", stdin=b"x" * 1_000_000)
        self.assertEqual(5, ended.code)

    async def test_polite_cancel_of_a_read(self) -> None:
        """
        A read that is no longer wanted is ended at once, and reaped when that is told.
        """
        call, operation = self.start("sleep 60")
        await self.until_alive()
        before = reactor.seconds()
        operation.cancel()
        await self.fails(call, OperationCancelled)
        self.assertEqual(0, self.children.alive)
        self.assertLess(reactor.seconds() - before, 0.8 + STALL)

    async def test_polite_cancel_of_a_change(self) -> None:
        """
        A change is left its time, because its answer is the only witness of what it did.
        """
        go_on = self.nothing_yet()
        script = 'until [ -e "$GO_ON" ]; do sleep 0.05; done; echo done'
        call, operation = self.start(script, rank=Rank.CHANGE, GO_ON=str(go_on))
        await self.until_alive()
        operation.cancel()
        self.assertNoResult(call)
        reactor.callLater(0, go_on.touch)
        self.assertEqual(b"done\n", (await call).stdout)

    async def test_hard_cancel(self) -> None:
        """
        A hard cancel ends the operation there and then, and the child with its children right after.
        """
        call, _ = self.start("trap '' TERM; sleep 60 & sleep 60", rank=Rank.CHANGE)
        await self.until_alive()
        call.cancel()
        self.assertIsInstance(self.failureResultOf(call).value, CancelledError)

    async def test_close(self) -> None:
        """
        Closing ends all children, refuses new ones, and waits until they are reaped.
        """
        calls = [self.start("trap '' TERM; sleep 60")[0] for _ in range(3)]
        await self.until_alive()
        await self.children.close()
        self.assertEqual(0, self.children.alive)
        for call in calls:
            await self.fails(call, OperationCancelled)
        await self.fails(self.start("true")[0], PowerConnError)

    async def test_places(self) -> None:
        """
        So many children are there at once; of those that wait, offs come first and reads last.
        """
        self.children = Children(reactor, LEADER, Places(1))
        order: list[str] = []
        first, _ = self.start("sleep 0.1")
        calls = [first]
        for rank in (Rank.READ, Rank.CHANGE, Rank.OFF):
            call, _ = self.start("true", rank=rank)
            calls.append(call.addCallback(lambda _, name=rank.name: order.append(name)))
        self.assertEqual(1, self.children.alive)
        for call in calls:
            await call
        self.assertEqual(["OFF", "CHANGE", "READ"], order)

    async def test_no_place(self) -> None:
        """
        Who gets no place in its time was not started, which is no fault of the device's.
        """
        self.children = Children(reactor, LEADER, Places(1))
        first, operation = self.start("sleep 60")
        error = await self.fails(self.start("true", seconds=1.5, rank=Rank.OFF)[0], PowerActionError)
        self.assertEqual((False, True), (error.sent, error.retryable))
        waiting, waiter = self.start("true")
        waiter.cancel()
        await self.fails(waiting, OperationCancelled)
        operation.cancel()
        await self.fails(first, OperationCancelled)

    async def test_no_program(self) -> None:
        """
        A program that is not there is an error that names it.
        """
        children = Children(reactor)
        operation = FakeOperation(reactor.seconds() + 5)
        program = Program(argv=("/nonexistent/agent",))
        call = Deferred.fromCoroutine(children.run(program, operation, operation.deadline, Rank.READ))
        error = await self.fails(call, PowerToolError)
        self.assertIn("/nonexistent/agent", str(error))
