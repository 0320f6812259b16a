# SPDX-License-Identifier: MIT
"""
A real ``twistd`` under systemd: what it says, and what becomes of the tools that it runs.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from powercoord.client import Accepted, Client
from powercoord.model import Verb
from tests.functional.systemd_peer import why_not
from tests.functional.systemd_world import StandIn, Surroundings, Systemd, remove, short_folder

NAMES = ("n1", "n2", "n3")
ACTIVATED = "systemd:domain=UNIX:name=amp"


class SystemdCase(TestCase):
    """
    Asks a coordinator for something.
    """

    timeout = 120
    around: Surroundings
    client: Client

    def connect(self) -> None:
        """
        Be somebody who asks.
        """
        self.client = self.around.client(reactor)
        self.client.start()
        self.addCleanup(self.client.close)

    async def begin(self, verb: Verb, names: Sequence[str] = NAMES) -> None:
        """
        Ask, and wait until a child runs for each.
        """
        answers = await self.client.submit([self.client.request(name, verb) for name in names])
        self.assertEqual([], [answer for answer in answers if not isinstance(answer, Accepted)])
        while len(self.around.begun()) < len(names):
            await deferLater(reactor, 0.05)

    async def pause(self, seconds: float) -> None:
        """
        Let time pass.
        """
        await deferLater(reactor, seconds)


class StandInTests(SystemdCase):
    """
    By what is said, to a stand-in for systemd.
    """

    def make(self, seconds: str = "2", endpoint: str = "", **options: object) -> StandIn:
        """
        A service that is not started.
        """
        self.around = Surroundings(short_folder(), seconds, endpoint)
        self.addCleanup(remove, self.around.folder)
        self.around.prepare()
        stand_in = StandIn(reactor, self.around, **options)  # type: ignore[arg-type]
        self.addCleanup(stand_in.close)
        return stand_in

    async def test_ready(self) -> None:
        """
        READY comes once, when the journal is there and a caller is let in, with the main process.
        """
        service = self.make()
        ready = service.notes.next("READY=1")
        service.launch()
        await ready
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(self.around.folder / "amp.sock"))
        self.assertNotEqual([], list((self.around.folder / "state").iterdir()))
        await self.pause(0.5)
        self.assertEqual(["READY=1", f"MAINPID={service.child.pid}"], service.notes.words())
        self.assertEqual("starting", service.notes.heard[0][1].removeprefix("STATUS="))

    async def test_children_finish(self) -> None:
        """
        At a stop the children of three actions come to their end, and the service ends well.
        """
        service = self.make()
        await service.start()
        self.connect()
        await self.begin(Verb.ON)
        self.assertEqual("success", await service.stop())
        self.assertEqual(["on"] * 3, self.around.states())

    async def test_children_hear_nothing(self) -> None:
        """
        What systemd meant for the coordinator is not in the environment of the tools that it runs.
        """
        service = self.make(seconds="0.1", watchdog="30000000")
        await service.start()
        self.connect()
        await self.begin(Verb.ON, ["n1"])
        seen = (self.around.folder / "n1.begun").read_text()
        self.assertIn("PATH=", seen)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_"):
            self.assertNotIn(name, seen)
        # The child must not outlive the folder that it writes to.
        await service.stop()

    async def test_stopping_first(self) -> None:
        """
        STOPPING is the first word after SIGTERM, long before the end.
        """
        service = self.make()
        await service.start()
        self.connect()
        await self.begin(Verb.ON)
        service.notes.heard.clear()
        self.assertEqual("success", await service.stop())
        self.assertEqual("STOPPING=1", service.notes.words()[0])
        self.assertGreater(reactor.seconds() - service.notes.times("STOPPING=1")[0], 1.0)
        self.assertIn("3 actions left", "".join(line for _, line in service.notes.heard))

    async def test_extends_with_progress(self) -> None:
        """
        Time is asked for when a step of an action is done, and not while a child just runs.
        """
        service = self.make(seconds="5")
        (self.around.folder / "n1").write_text("on")
        await service.start()
        self.connect()
        await self.begin(Verb.CYCLE, ["n1"])
        stopped = Deferred.fromCoroutine(service.stop())
        while self.around.states()[0] != "off":
            self.assertEqual([], service.notes.times("EXTEND_TIMEOUT_USEC="))
            await self.pause(0.1)
        await service.notes.next("EXTEND_TIMEOUT_USEC=")
        self.assertEqual("success", await stopped)
        self.assertEqual("on", self.around.states()[0])

    async def test_watchdog(self) -> None:
        """
        Signs of life come at half the limit, all the time.
        """
        service = self.make(watchdog="400000")
        await service.start()
        await self.pause(2)
        times = service.notes.times("WATCHDOG=1")
        gaps = [after - before for before, after in pairwise(times)]
        self.assertGreater(len(gaps), 8)
        self.assertLess(max(gaps), 0.4)

    async def test_reload(self) -> None:
        """
        At SIGHUP the reload is told with the time of its beginning, and then its end.
        """
        service = self.make()
        await service.start()
        service.notes.heard.clear()
        ready = service.notes.next("READY=1")
        service.child.signalProcess("HUP")
        await ready
        reloading, began, after = service.notes.words()[:3]
        self.assertEqual(("RELOADING=1", "READY=1"), (reloading, after))
        microseconds = int(began.removeprefix("MONOTONIC_USEC="))
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self.assertLess(abs(now - microseconds), 10_000_000)

    async def test_refused_socket(self) -> None:
        """
        An endpoint that systemd did not hand over ends the start with 78, and what to look at.
        """
        service = self.make(endpoint=ACTIVATED)
        service.launch()
        self.assertEqual("exit 78", await service.wait())
        self.assertIn(b"is the socket unit started", service.process.output)

    async def test_handed_over(self) -> None:
        """
        A socket that was handed over serves callers, who wait in it between two runs; it stays as it was.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        service = self.make(endpoint=ACTIVATED, listening=listening)
        path = self.around.folder / "amp.sock"
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen(64)
        await service.start()
        self.connect()
        await self.client.info()
        self.assertEqual("success", await service.stop())
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for caller in waiting:
            self.addCleanup(caller.close)
            caller.connect(str(path))
        again = StandIn(reactor, self.around, listening)
        self.addCleanup(again.close)
        await again.start()
        await self.client.info()
        self.assertEqual(0o660, stat.S_IMODE(path.stat().st_mode))


class RealSystemdTests(SystemdCase):
    """
    By what a real systemd does with the units that are shipped.
    """

    skip = why_not()

    async def make(self, *overrides: str, seconds: str = "2", endpoint: str = "") -> Systemd:
        """
        A systemd with the service, not started.
        """
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            self._canary(Path(place))
        self.around = Surroundings(Path(), seconds, endpoint)
        systemd = Systemd(reactor, self.around, overrides)
        self.addCleanup(systemd.close)
        await systemd.open()
        return systemd

    def _canary(self, place: Path) -> None:
        """
        Hold that a systemd of ours leaves the machine's files alone.
        """
        path = place / f"powercoord-canary-{os.getpid()}-{self.id()}"
        path.touch()
        # A missing file fails the test.
        self.addCleanup(path.unlink)

    async def test_children_finish(self) -> None:
        """
        `systemctl stop` with three actions in play lets their children finish; the result is "success".
        """
        systemd = await self.make()
        await systemd.start()
        self.connect()
        await self.begin(Verb.ON)
        self.assertEqual("success exited 0", await systemd.stop())
        self.assertEqual(["on"] * 3, self.around.states(), systemd.log())

    async def test_status(self) -> None:
        """
        `systemctl status` has our line, and the main process is twistd.
        """
        systemd = await self.make()
        await systemd.start()
        shown = await systemd.show("StatusText", "MainPID", "ActiveState")
        self.assertEqual(
            ("serving, 0 actions in play", "active"), (shown["StatusText"], shown["ActiveState"])
        )
        self.assertNotEqual("0", shown["MainPID"])

    async def test_progress_is_given_time(self) -> None:
        """
        A stop that goes on is not cut at its limit, and one in which nothing is done is.
        """
        systemd = await self.make("TimeoutStopSec=4", seconds="3")
        (self.around.folder / "n1").write_text("on")
        await systemd.start()
        self.connect()
        await self.begin(Verb.CYCLE, ["n1"])
        self.assertEqual("success exited 0", await systemd.stop(), systemd.log())
        self.assertEqual("on", self.around.states()[0])

    async def test_no_progress_is_not(self) -> None:
        """
        A stop in which nothing gets done is cut at systemd's limit.
        """
        systemd = await self.make("TimeoutStopSec=3", seconds="15")
        await systemd.start()
        self.connect()
        await self.begin(Verb.ON)
        self.assertEqual("timeout killed KILL", await systemd.stop())

    async def test_watchdog(self) -> None:
        """
        A coordinator that hangs is aborted, and started again.
        """
        systemd = await self.make("WatchdogSec=2")
        await systemd.start()
        await self.pause(3)
        self.assertEqual("0", (await systemd.show("NRestarts"))["NRestarts"])
        await systemd.systemctl("kill", "--kill-who=main", "--signal=STOP", "powercoord.service")
        await systemd.until("NRestarts", "1")
        await systemd.until("ActiveState", "active")

    async def test_killed(self) -> None:
        """
        A coordinator that dies is started again.
        """
        systemd = await self.make()
        await systemd.start()
        await systemd.systemctl("kill", "--signal=KILL", "powercoord.service")
        await systemd.until("NRestarts", "1")
        await systemd.until("ActiveState", "active")

    async def test_refused_configuration(self) -> None:
        """
        A configuration that is refused is not tried again.
        """
        systemd = await self.make()
        (self.around.folder / "pc.toml").write_text("[server]\nampp = []\n")
        await systemd.systemctl("start", "--no-block", "powercoord.service")
        await systemd.until("ActiveState", "failed")
        await self.pause(1)
        shown = await systemd.show("ExecMainStatus", "NRestarts")
        self.assertEqual({"ExecMainStatus": "78", "NRestarts": "0"}, shown)

    async def test_reload(self) -> None:
        """
        `systemctl reload` returns when the reload is over, with the same process.
        """
        systemd = await self.make()
        await systemd.start()
        before = await systemd.show("MainPID")
        await systemd.systemctl("reload", "powercoord.service")
        self.assertEqual(before, await systemd.show("MainPID"))
        self.assertEqual("active", (await systemd.show("ActiveState"))["ActiveState"])

    async def test_forced(self) -> None:
        """
        A stop that is cut short by a second SIGTERM is a success for systemd, too.
        """
        systemd = await self.make(seconds="15")
        await systemd.start()
        self.connect()
        await self.begin(Verb.ON)
        stopped = Deferred.fromCoroutine(systemd.stop())
        await systemd.until("ActiveState", "deactivating")
        # What comes twice in the same moment was meant once.
        await self.pause(1)
        await systemd.systemctl("kill", "--kill-who=main", "--signal=TERM", "powercoord.service")
        self.assertEqual("success exited 143", await stopped)

    async def test_no_connect_is_refused(self) -> None:
        """
        With the socket unit, a caller who connects every 20 ms during a restart is never refused.
        """
        systemd = await self.make(endpoint=ACTIVATED)
        path = self.around.folder / "amp.sock"
        await systemd.systemctl("start", "powercoord.socket")
        mode = stat.S_IMODE(path.stat().st_mode)
        await systemd.start()
        self.connect()
        await self.client.info()
        restarted = Deferred.fromCoroutine(systemd.systemctl("restart", "powercoord.service"))
        callers = []
        while not restarted.called:
            caller = socket.socket(socket.AF_UNIX)
            self.addCleanup(caller.close)
            caller.setblocking(False)
            caller.connect(str(path))
            callers.append(caller)
            await self.pause(0.02)
        await restarted
        await self.client.info()
        self.assertGreater(len(callers), 5)
        self.assertEqual((mode, 0o660), (stat.S_IMODE(path.stat().st_mode), mode))


if RealSystemdTests.skip and os.environ.get("CI") == "true":
    # There nothing may be skipped, and not every machine lets us make namespaces; the stand-in runs anyway.
    print(f"no tests with a real systemd: {RealSystemdTests.skip}")
    del RealSystemdTests
