# SPDX-License-Identifier: MIT
"""
The command line against a coordinator in a process of its own, which drives BMCs that we did not write.

What happened is read from the simulator's own files, not from IPMI.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.testing.chassis_script import Behaviour
from powercoord.testing.ipmi_sim import IpmiSimFleet
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME

COUNT = 12
BASE = "127.77.30.1"
PROGRAM = [sys.executable, "-c", "from powercoord.cli import main; main()"]
TWISTD = [sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()"]

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[timing]
minimum_off = "200ms"
settle = "200ms"
poll_longest = "500ms"

[drivers.ipmi]
username = "{username}"
password = {{ file = "password" }}

[nodes."n[01-{count}]"]
driver = "ipmi"
address = "127.77.30.[1-{count}]:{port}"
groups = ["rack1"]

[groups.rack1]
max_starting = 4

# What is read is what a test reads.
[sweep]
interval = "off"
"""


class CommandLineCase(SynchronousTestCase):
    """
    Starts a fleet and a coordinator for each test, and ends both.
    """

    def setUp(self) -> None:
        self.fleet = IpmiSimFleet(count=COUNT, base=BASE)
        self.fleet.start()
        self.addCleanup(self.fleet.stop)
        # Not trial's own folder: the path of a UNIX socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.folder / "pc.toml"
        self.config.write_text(
            CONFIGURATION.format(folder=self.folder, username=USERNAME, count=COUNT, port=self.fleet.port)
        )
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(PASSWORD + "\n")

    def start_coordinator(self) -> None:
        """
        Start it and wait until it accepts connections.
        """
        with (self.folder / "log").open("wb") as log:
            words = ["powercoord", "--config", str(self.config)]
            child = subprocess.Popen([*TWISTD, *words], cwd=self.folder, stdout=log, stderr=log)
        self.addCleanup(self.end, child)
        deadline = time.monotonic() + 20
        while not self.accepts():
            if child.poll() is not None or time.monotonic() > deadline:
                self.fail((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "amp.sock")) == 0

    def end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def powercoord(self, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Run the command to its end.
        """
        return subprocess.run(
            [*PROGRAM, "--config", str(self.config), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self.powercoord(*words, "--json")
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def on(self) -> list[int]:
        """
        The machines that are on, by the simulator's files, counted from 1.
        """
        return [index + 1 for index in range(COUNT) if self.fleet.power(index)]


class PowerTests(CommandLineCase):
    def test_power(self) -> None:
        """
        On, off, soft off and cycle bring each node where they say, and touch no other.
        """
        self.start_coordinator()

        done = self.powercoord("on", "n[01-08]")
        self.assertEqual((0, list(range(1, 9))), (done.returncode, self.on()))
        self.assertIn("done    8      n[01-08]  seen on", done.stdout)

        self.assertEqual(0, self.powercoord("off", "n[01-02]").returncode)
        self.assertEqual(0, self.powercoord("off", "--soft", "n03,n04").returncode)
        self.assertEqual(0, self.powercoord("cycle", "n05").returncode)
        self.assertEqual([5, 6, 7, 8], self.on())
        self.assertEqual(1, self.fleet.commands(3).n_shutdown)
        self.assertEqual((1, 2), (self.fleet.commands(4).n_off, self.fleet.commands(4).n_on))

        states = {node["node"]: node["state"] for node in self.json("query", "@rack1")["nodes"]}
        self.assertEqual(self.on(), [int(name[1:]) for name, state in states.items() if state == "on"])

    def test_already(self) -> None:
        """
        On never touches a machine that is on.
        """
        self.start_coordinator()
        self.powercoord("on", "n01")

        done = self.json("on", "n01")

        self.assertEqual(("done", "already"), (done["nodes"][0]["outcome"], done["nodes"][0]["how"]))
        self.assertEqual(1, self.fleet.commands(0).n_on)

    def test_boot(self) -> None:
        """
        A boot device is set before the machine starts.
        """
        self.start_coordinator()

        self.assertEqual(0, self.powercoord("on", "n01", "--boot", "pxe").returncode)

        self.assertEqual(("pxe", True), (self.fleet.bmcs[0].machine.boot(), self.fleet.power(0)))

    def test_refused(self) -> None:
        """
        A BMC that refuses fails its node, with the reason in words, and no other.
        """
        self.fleet.behave(0, Behaviour(refuse=frozenset({"set-power"})))
        self.start_coordinator()

        done = self.powercoord("on", "n[01-03]")

        self.assertEqual((1, [2, 3]), (done.returncode, self.on()))
        failed = next(line for line in done.stdout.splitlines() if line.startswith("failed"))
        self.assertRegex(failed, r"^failed  1      n01 .* PowerRefusedError: .+")

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends the waiting and not the action; cancel says so too.
        """
        self.fleet.behave(0, Behaviour(on_after=60.0))
        self.start_coordinator()
        waiting = subprocess.Popen(
            [*PROGRAM, "--config", str(self.config), "on", "n01"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 20
        while not self.fleet.commands(0).n_on and time.monotonic() < deadline:
            time.sleep(0.05)

        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=20)

        self.assertEqual(130, waiting.returncode)
        self.assertEqual(
            [
                "Stopped waiting. What was accepted goes on for 1 node: n01",
                "To stop that too: powercoord cancel 'n01'",
            ],
            errors.splitlines(),
        )
        queue = self.json("queue")
        self.assertEqual(["n01"], [node["node"] for node in queue["nodes"]])
        cancelled = self.json("cancel", "n01")
        self.assertIn(cancelled["cancelled"][0]["result"], ("too-late", "stopped"))

    def test_watch(self) -> None:
        """
        Watching shows what others do, as it happens.
        """
        self.start_coordinator()
        watching = subprocess.Popen(
            [*PROGRAM, "--config", str(self.config), "watch", "--json"], stdout=subprocess.PIPE, text=True
        )
        assert watching.stdout is not None
        time.sleep(1.5)
        self.powercoord("on", "n01", "--requester", "alice")
        events: list[dict[str, Any]] = []
        while not events or events[-1]["event"] != "answered":
            events.append(json.loads(watching.stdout.readline()))
        watching.send_signal(signal.SIGINT)
        watching.stdout.close()

        self.assertEqual(0, watching.wait(20))
        self.assertEqual(("accepted", "alice"), (events[0]["event"], events[0]["request"]["requester"]))
        self.assertIn("sent", [event.get("phase") for event in events])

    def test_drain(self) -> None:
        """
        A draining coordinator refuses each node with the reason, and takes work again when told.
        """
        self.start_coordinator()
        self.powercoord("drain", "--reason", "moving racks")

        refused = self.powercoord("on", "n01")
        self.assertEqual((1, []), (refused.returncode, self.on()))
        self.assertIn("moving racks", refused.stdout)
        self.powercoord("resume")
        self.assertEqual(0, self.powercoord("on", "n01").returncode)


class BadInputTests(CommandLineCase):
    def test_nothing_changes(self) -> None:
        """
        Bad input is one line and exit code 2, and no BMC hears of it.
        """
        self.start_coordinator()
        cases = {
            ("on", "n[01-13]"): "unknown node 'n13'",
            ("on", "n01,@rack2"): "unknown group '@rack2'; did you mean '@rack1'?",
            ("on", "n[01-"): "a '[' is never closed in 'n[01-'",
            ("onn", "n01"): "No such command 'onn'",
        }
        for words, line in cases.items():
            done = self.powercoord(*words)
            self.assertEqual((2, "", 1), (done.returncode, done.stdout, len(done.stderr.splitlines())))
            self.assertIn(f"powercoord: {line}", done.stderr)
        self.assertEqual([], [index for index in range(COUNT) if self.fleet.commands(index).commands])

    def test_unreachable(self) -> None:
        """
        Where no coordinator listens, that is told in a line with what to do, at once.
        """
        done = self.powercoord("on", "n01")

        self.assertEqual((3, ""), (done.returncode, done.stdout))
        self.assertRegex(
            done.stderr, r"^powercoord: unix:\S+: .*; is the coordinator running\? --connect .*\n$"
        )

    def test_check_config(self) -> None:
        """
        The configuration of this test is good; without its password file it is not, in one line.
        """
        self.assertEqual(0, self.powercoord("check-config").returncode)
        (self.folder / "password").unlink()

        done = self.powercoord("check-config")

        self.assertEqual(2, done.returncode)
        reason = f"cannot read '{self.folder}/password': No such file or directory"
        self.assertEqual(f"{self.config}:13: drivers.ipmi.password.file: {reason}\n", done.stderr)
