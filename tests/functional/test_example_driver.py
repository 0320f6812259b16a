# SPDX-License-Identifier: MIT
"""
A driver of somebody else: the example, installed by its entry point, works; broken ones harm only themselves.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.sources import ROOT

EXAMPLE = ROOT / "examples" / "powercoord-example"
PROGRAM = [sys.executable, "-c", "from powercoord.cli import main; main()"]
TWISTD = [sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()"]
PASSWORD = "hunter2"

#: Modules of a package that nobody should install; the driver of that name is made of it.
BROKEN = {
    "torn": "import no_such_module",
    "quitting": "raise SystemExit(3)",
    "raising": "def driver(reactor): raise ZeroDivisionError('oops')",
    "other": "def driver(reactor): return object()",
    "ipmi": "from powercoord_example.driver import driver",
}
REASONS = {
    "torn": "ModuleNotFoundError: No module named 'no_such_module' (from powercoord-broken 0.1)",
    "quitting": "SystemExit: 3 (from powercoord-broken 0.1)",
    "raising": "ZeroDivisionError: oops (from powercoord-broken 0.1)",
    "other": "it is no IPowerDriver: Does not declaratively implement the interface.",
    "ipmi of powercoord-broken 0.1": "its name is taken by powercoord ",
}

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[timing]
minimum_off = "100ms"
settle = 0
poll = "100ms"

[drivers.strip]
password = {{ file = "password" }}

[nodes."n[1-2]"]
driver = "strip"
address = "127.0.0.1:{port}"
outlet = "[1-2]"
"""


@cache
def installed() -> TemporaryDirectory[str]:
    """
    A folder with the example in it, installed from a copy of its sources, downloading nothing.
    """
    folder = TemporaryDirectory(prefix="powercoord-example-")
    sources = Path(folder.name, "sources")
    shutil.copytree(EXAMPLE, sources, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    offline = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    words = [sys.executable, "-m", "pip", "install", *offline, "--target", f"{folder.name}/target", sources]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class ExampleCase(SynchronousTestCase):
    """
    A folder with packages beside ours, and programs that see them.
    """

    def setUp(self) -> None:
        # Not trial's own folder: the path of a UNIX socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.others = self.folder / "others"
        self.others.mkdir()
        self.config = self.folder / "pc.toml"
        path = os.pathsep.join([f"{installed().name}/target", str(self.others), str(ROOT)])
        self.environment = {**os.environ, "PYTHONPATH": path}
        (self.folder / "password").touch(0o600)
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        self.port = 0
        self.configure()

    def configure(self, more: str = "") -> None:
        self.config.write_text(CONFIGURATION.format(folder=self.folder, port=self.port or 7001) + more)

    def break_drivers(self) -> None:
        """
        Install a package whose drivers do not work, each in its own way.
        """
        info = self.others / "powercoord_broken-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: powercoord-broken\nVersion: 0.1\n")
        points = "".join(f"{name} = broken_{name}:driver\n" for name in BROKEN)
        (info / "entry_points.txt").write_text(f"[powercoord.drivers]\n{points}")
        for name, code in BROKEN.items():
            (self.others / f"broken_{name}.py").write_text(f"{code}\n")

    def powercoord(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run_to_end([*PROGRAM, "--config", str(self.config), *words])

    def run_to_end(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self.powercoord(*words, "--json")
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def start_strip(self) -> None:
        """
        A strip in a process of its own, on a port that was free just now.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.spawn([sys.executable, "-m", "powercoord_example.simulator", str(self.port)], "strip")
        self.wait_for(lambda: self.connects(("127.0.0.1", self.port), socket.AF_INET), "strip")
        self.configure()

    def start_coordinator(self) -> None:
        self.spawn([*TWISTD, "powercoord", "--config", str(self.config)], "coordinator")
        self.wait_for(lambda: self.connects(str(self.folder / "amp.sock"), socket.AF_UNIX), "coordinator")

    def spawn(self, words: list[str], name: str) -> None:
        with self.said_in(name).open("wb") as log:
            child = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.addCleanup(child.wait, 20)
        self.addCleanup(child.terminate)

    def said_in(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def connects(self, address: Any, family: int) -> bool:
        with socket.socket(family) as probe:
            return probe.connect_ex(address) == 0

    def wait_for(self, condition: Any, name: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                self.fail(self.said_in(name).read_text()[-2000:])
            time.sleep(0.05)


class ExampleTests(ExampleCase):
    def test_works(self) -> None:
        """
        Installed beside powercoord it is a driver like ours: listed, described, and it does what it should.
        """
        self.start_strip()
        self.start_coordinator()

        (strip,) = [each for each in self.json("drivers")["drivers"] if each["name"] == "strip"]
        self.assertEqual("powercoord-example 1.0", strip["from"])
        names = [each["name"] for each in strip["settings"]]
        self.assertEqual(["address", "outlet", "password", "timeout"], names)
        self.assertIn("The number on the strip.", str(strip["settings"][1]))

        for verb, states in (("on", ["on", "on"]), ("off", ["off", "off"])):
            done = self.powercoord(verb, "n[1-2]")
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            seen = self.json("query", "n[1-2]")["nodes"]
            self.assertEqual(states, [each["state"] for each in seen])
        self.assertNotIn(PASSWORD, self.said_in("coordinator").read_text())

    def test_own_tests(self) -> None:
        """
        Its own tests, which are powercoord's suite for drivers, pass where it is installed.
        """
        done = self.run_to_end([sys.executable, "-m", "twisted.trial", "powercoord_example"])

        self.assertEqual(0, done.returncode, done.stdout[-3000:])
        self.assertIn("PASSED (successes=46)", done.stdout)


class BrokenDriverTests(ExampleCase):
    def test_named(self) -> None:
        """
        Drivers that do not work are named, with package and reason, wherever one looks; all others work.
        """
        self.break_drivers()
        self.start_strip()
        self.start_coordinator()

        found = self.json("drivers")
        told = {each["name"]: each["reason"] for each in found["broken"]}
        self.assertEqual(set(REASONS), set(told))
        for name, reason in REASONS.items():
            self.assertIn(reason, told[name])
        names = [each["name"] for each in found["drivers"]]
        self.assertLessEqual({"ipmi", "strip"}, set(names))
        self.assertEqual(set(), {"torn", "quitting", "raising", "other"} & set(names))
        begun = self.said_in("coordinator").read_text()
        status, checked = self.powercoord("status").stdout, self.powercoord("check-config").stderr
        self.assertEqual(told, self.json("status")["coordinator"]["broken_drivers"])
        for name, reason in told.items():
            sentence = f"driver '{name}' is installed but does not work: {reason}"
            self.assertIn(f"powercoord: warning: {sentence}\n", begun)
            self.assertIn(f"D{sentence[1:]}\n", status)
            self.assertIn(f"warning: {sentence}\n", checked)
        self.assertEqual(0, self.powercoord("on", "n1").returncode)

    def test_used(self) -> None:
        """
        A node that wants a broken driver is a mistake in the configuration, with the reason.
        """
        self.break_drivers()
        self.configure('\n[nodes.lost]\ndriver = "torn"\n')
        done = self.powercoord("check-config")

        self.assertEqual(2, done.returncode)
        self.assertIn("nodes.lost.driver: driver 'torn' is installed but does not work", done.stderr)
