# SPDX-License-Identifier: MIT
"""
What a user gets: the wheel and the editable install, each in an environment of its own.

Nothing is downloaded. The new environments see the libraries of the one that runs the tests, but not
its powercoord.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.sources import ROOT

NOT_SOURCE = shutil.ignore_patterns(
    ".*", "build", "dist", "*.egg-info", "__pycache__", "_trial_temp*", "dropin.cache", "docs", "benchmarks"
)

# `python -m twisted` would find plugins in the working directory; the scripts that users run do not.
TWISTD = "from twisted.scripts.twistd import run; run()"
TWIST = "from twisted.application.twist._twist import Twist; Twist.main()"


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end.

    :raises AssertionError: it fails, with all that it said.
    """
    ended = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, f"{words}: exit status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended


@frozen
class Environment:
    """
    A virtual environment into which powercoord is installed, and a working directory with none of our files.
    """

    root: Path
    work: Path

    @classmethod
    def with_libraries(cls, root: Path) -> "Environment":
        """
        Make an environment that sees our libraries by a path entry, which brings no editable install along.
        """
        venv.create(root, symlinks=True, with_pip=False)
        work = root / "work"
        work.mkdir()
        made = cls(root, work)
        purelib = made.output("import sysconfig; print(sysconfig.get_path('purelib'))")
        Path(purelib, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        return made

    @property
    def python(self) -> Path:
        """
        The interpreter of this environment.
        """
        return self.root / "bin" / "python"

    def output(self, code: str, *words: str) -> str:
        """
        Run some Python here, without the working directory on its path, and return what it prints.
        """
        return run(self.python, "-P", "-c", code, *words, cwd=self.work).stdout.strip()

    def install(self, *words: str | Path) -> None:
        """
        Install into this environment, downloading nothing.
        """
        offline = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed")
        run(sys.executable, "-m", "pip", "--python", self.python, "install", *offline, *words, cwd=self.work)


@frozen
class Installed:
    """
    The wheel, and the two ways to install.
    """

    folder: TemporaryDirectory[str]
    wheel: Path
    from_wheel: Environment
    editable: Environment
    checkout: Path


@cache
def installed() -> Installed:
    """
    Build and install once for all tests, from a copy of the sources, so that no stale build is packed.
    """
    folder = TemporaryDirectory(prefix="powercoord-install-")
    root = Path(folder.name).resolve()
    checkout = root / "checkout"
    shutil.copytree(ROOT, checkout, ignore=NOT_SOURCE)
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", root)
    run(sys.executable, *build, checkout, cwd=root)
    [wheel] = root.glob("*.whl")
    shutil.rmtree(checkout / "build")

    from_wheel = Environment.with_libraries(root / "from-wheel")
    from_wheel.install(wheel)
    editable = Environment.with_libraries(root / "editable")
    editable.install("--editable", checkout)
    return Installed(folder, wheel, from_wheel, editable, checkout)


class WheelTests(SynchronousTestCase):
    def names(self) -> list[str]:
        with ZipFile(installed().wheel) as wheel:
            return wheel.namelist()

    def test_below_twisted(self) -> None:
        """
        The wheel puts one file below twisted: the plugin. Any other could damage Twisted.
        """
        below = [name for name in self.names() if name.startswith("twisted")]

        self.assertEqual(["twisted/plugins/powercoord_plugin.py"], below)

    def test_complete(self) -> None:
        """
        The wheel has every file of the package, the mark that it is typed, and nothing beside it.
        """
        checkout = installed().checkout
        sources = {
            str(path.relative_to(checkout))
            for path in checkout.joinpath("powercoord").rglob("*")
            if path.is_file()
        }
        packed = {
            name for name in self.names() if not name.startswith("twisted/") and ".dist-info/" not in name
        }

        self.assertIn("powercoord/py.typed", sources)
        self.assertEqual(sources, packed)

    def test_entry_points(self) -> None:
        """
        The wheel announces the command, and the drivers by the names that stand in a configuration.
        """
        with ZipFile(installed().wheel) as wheel:
            [name] = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
            points = ConfigParser(interpolation=None)
            points.read_string(wheel.read(name).decode())

        self.assertEqual({"powercoord": "powercoord.cli:main"}, dict(points["console_scripts"]))
        self.assertEqual("powercoord.drivers.ipmi:driver", points["powercoord.drivers"]["ipmi"])

    def test_from_the_wheel(self) -> None:
        """
        What these tests import as powercoord is the wheel's, and not the checkout's.
        """
        environment = installed().from_wheel
        where = environment.output("import powercoord; print(powercoord.__file__)")

        self.assertTrue(Path(where).is_relative_to(environment.root), where)

    def test_twistd(self) -> None:
        """
        Installed from a wheel, twistd knows the plugin.
        """
        self.assertIn("powercoord ", installed().from_wheel.output(TWISTD, "--help"))

    def test_twist(self) -> None:
        """
        Installed from a wheel, twist knows the plugin.
        """
        self.assertIn("powercoord ", installed().from_wheel.output(TWIST, "--help"))

    def test_drivers_load(self) -> None:
        """
        Every driver that the package announces can be loaded.
        """
        load = (
            "from importlib.metadata import entry_points\n"
            "for point in entry_points(group='powercoord.drivers'):\n"
            "    point.load()\n"
            "    print(point.name)"
        )

        self.assertIn("ipmi", installed().from_wheel.output(load).splitlines())


class EditableTests(SynchronousTestCase):
    def test_from_the_checkout(self) -> None:
        """
        What these tests import as powercoord is the checkout's.
        """
        where = installed().editable.output("import powercoord; print(powercoord.__file__)")

        self.assertEqual(str(installed().checkout / "powercoord" / "__init__.py"), where)

    def test_twistd(self) -> None:
        """
        Installed from a checkout for work on it, twistd knows the plugin too.
        """
        self.assertIn("powercoord ", installed().editable.output(TWISTD, "--help"))


class CommandTests(SynchronousTestCase):
    def help(self) -> subprocess.CompletedProcess[str]:
        environment = installed().from_wheel
        script = environment.root / "bin" / "powercoord"
        return run(environment.python, "-X", "importtime", script, "--help", cwd=environment.work)

    def test_help(self) -> None:
        """
        The command is there, and tells what it can do.
        """
        self.assertIn("Usage: powercoord", self.help().stdout)

    def test_help_is_quick(self) -> None:
        """
        Help does not wait for Twisted to be imported.
        """
        imported = [line.rpartition("|")[2].strip() for line in self.help().stderr.splitlines()]

        self.assertIn("powercoord.cli", imported)
        self.assertEqual([], [name for name in imported if name.partition(".")[0] == "twisted"])
