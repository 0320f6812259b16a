# SPDX-License-Identifier: MIT
"""
A real libvirtd of our own, and real guests below it; nothing of the machine's is touched.

It runs as nobody (or as whoever runs the tests) with all its folders below a
temporary one, so any number of them can run side by side.  Everything here
blocks, for some tens of milliseconds where nothing else is said: a reactor has
not to turn for it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from attrs import define, field

from tests.functional.libvirt_guest import OBEYING, PRESSED, STARTED, Kind, boot_sector, domain_xml

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_PROGRAMS = {
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
}


def program(name: str) -> str | None:
    """
    Where a program is, be the path of whoever runs the tests ever so short.
    """
    return shutil.which(name, path=_PATH)


_MISSING = [f"{name} (Debian package {package})" for name, package in _PROGRAMS.items() if not program(name)]
if not list(Path("/usr").glob("lib*/**/libvirt/connection-driver/libvirt_driver_qemu.so")):
    _MISSING.append("QEMU driver (Debian package libvirt-daemon-driver-qemu)")
MISSING = f"no {', '.join(_MISSING)} here" if _MISSING else None

NOBODY = 65_534

# A guest's log goes straight to a file: else a daemon for logs would outlive us.
_QEMU_CONF = 'stdio_handler = "file"\n'

# The parent of libvirtd and of every QEMU. Those are nobody's children, and libvirtd waits until one that has
# ended is reaped: over a second in a container whose first process is slow at that. Starts libvirtd for each
# line that it reads, and tells its pid. When the tests have ended, however that came, it ends what is left.
_KEEPER = """
import ctypes, glob, os, shutil, signal, sys

PR_SET_CHILD_SUBREAPER = 36

def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

folder, *libvirtd = sys.argv[1:]
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
signal.signal(signal.SIGCHLD, reap)
output = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
    (os.POSIX_SPAWN_DUP2, 1, 2),
]
pid = 0
for _ in sys.stdin:
    pid = os.posix_spawn(libvirtd[0], libvirtd, os.environ, file_actions=output)
    print(pid, flush=True)
if pid:
    end(pid)
for path in glob.glob(f"{folder}/run/libvirt/qemu/run/*.pid"):
    end(int(open(path).read()))
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


class LibvirtError(Exception):
    """
    A program did not do what it was told; the text is its own.
    """


def until(what: Callable[[], bool], why: str, seconds: float = 20.0) -> None:
    """
    Wait for something to become true, looking often.

    :raises LibvirtError: it did not.
    """
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise LibvirtError(f"not within {seconds:g} s: {why}")
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """
    Whether a process has ended; one that nobody has reaped yet has.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _own(path: Path) -> Path:
    """
    Make a folder that libvirtd may write in.
    """
    path.mkdir(mode=0o711)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


@cache
def _kept() -> Path:
    """
    What libvirtd finds out about QEMU in 3 seconds, for all of them in this run.
    """
    folder = Path(tempfile.mkdtemp(prefix="lvc-"))
    folder.chmod(0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _own(folder / "cache")


@define(eq=False)
class Guest:
    """
    One guest, as libvirt's own tool and the guest itself see it.
    """

    _host: LibvirtHost
    name: str
    uuid: str
    _record: Path

    def start(self) -> None:
        """
        Start it, and wait until it sees its power button: half a second in all.
        """
        self._host.virsh("start", self.uuid)
        self.wait_started()

    def wait_started(self, times: int = 1) -> None:
        """
        Wait until its boot sector has run so many times.
        """
        until(lambda: self.starts() >= times, f"{self.name} runs")

    def destroy(self) -> None:
        """
        Pull its plug: 0.3 s, for libvirt looks every 0.2 s whether it has ended.
        """
        self._host.virsh("destroy", self.uuid)

    def pause(self) -> None:
        """
        Stop its processor.
        """
        self._host.virsh("suspend", self.uuid)

    def unpause(self) -> None:
        """
        Let its processor go on.
        """
        self._host.virsh("resume", self.uuid)

    def undefine(self) -> None:
        """
        Make libvirt forget it; one that runs is transient from then on.
        """
        self._host.virsh("undefine", self.uuid)

    def state(self) -> str:
        """
        As ``virsh domstate`` words it: ``running``, ``shut off``, ``paused``, ``in shutdown`` ….
        """
        return self._host.virsh("domstate", self.uuid).strip()

    def reason(self) -> str:
        """
        Its state and why, such as ``shut off (destroyed)`` or ``shut off (shutdown)``.
        """
        return self._host.virsh("domstate", "--reason", self.uuid).strip()

    def starts(self) -> int:
        """
        How often its boot sector ran since it was powered on: each reset adds one.
        """
        return self._said().count(STARTED)

    def presses(self) -> int:
        """
        How often its power button was pressed since it was powered on, by its own record.
        """
        return self._said().count(PRESSED)

    def pid(self) -> int | None:
        """
        Its process, if there is one.
        """
        path = self._host.run / "libvirt" / "qemu" / "run" / f"{self.name}.pid"
        with suppress(FileNotFoundError, ValueError):
            pid = int(path.read_text())
            return None if gone(pid) else pid
        return None

    def runs(self) -> bool:
        """
        Whether its process runs, whatever libvirt says.
        """
        return self.pid() is not None

    def signal(self, number: int) -> None:
        """
        Signal its process: SIGKILL is a crash, SIGSTOP (until SIGCONT) a QEMU that is stuck.
        """
        pid = self.pid()
        if pid is None:
            raise LibvirtError(f"{self.name} does not run")
        os.kill(pid, number)

    def _said(self) -> str:
        try:
            return self._record.read_text(encoding="ascii")
        except FileNotFoundError:
            return ""


@define(eq=False)
class LibvirtHost:
    """
    A hypervisor: ``start`` it, ``define`` guests, ``close`` it.

    Guests outlive ``stop`` and ``kill``, as they do in life; ``close`` ends everything.

    :ivar pid: its process, if it runs.
    """

    folder: Path = field(init=False)
    run: Path = field(init=False)
    guests: list[Guest] = field(factory=list, init=False)
    pid: int | None = field(default=None, init=False)
    _kept_open: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _keeper: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def socket(self) -> str:
        """
        The path of its UNIX socket: about 40 characters.
        """
        return str(self.run / "libvirt" / "libvirt-sock")

    @property
    def uri(self) -> str:
        """
        The guests under QEMU, as libvirt's tools name them.
        """
        return f"qemu+unix:///session?socket={self.socket}"

    @property
    def test_uri(self) -> str:
        """
        The guests of libvirt's test driver; one is there from the beginning, ``test``, running.
        """
        return f"test+unix:///default?socket={self.socket}"

    def start(self) -> None:
        """
        Start libvirtd, for the first time or again, and wait for its socket: 0.3 s.
        """
        if self.pid is not None:
            raise LibvirtError("libvirtd runs already")
        if self._keeper is None:
            self._prepare()
        with suppress(FileNotFoundError):
            Path(self.socket).unlink()
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(b"start\n")
        self._keeper.stdin.flush()
        self.pid = int(self._keeper.stdout.readline())
        until(self._listens, f"libvirtd listens; its log: {self.log()[-2000:]}")

    def stop(self) -> None:
        """
        End libvirtd as an administrator does; guests go on.
        """
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """
        End libvirtd at once; guests go on.
        """
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """
        Let libvirtd hang: it accepts, and answers nothing, until `thaw`.
        """
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """
        Let libvirtd go on.
        """
        self._signal(signal.SIGCONT)

    def define(self, name: str, kind: Kind = OBEYING) -> Guest:
        """
        A new guest, which is off.
        """
        return self.define_many([name], kind)[0]

    def define_many(self, names: Sequence[str], kind: Kind = OBEYING) -> list[Guest]:
        """
        New guests, with one process of virsh for all.
        """
        guests = [self._describe(name, kind) for name in names]
        self.virsh(";".join(f"define {self.folder}/{guest.name}.xml" for guest in guests))
        self.guests += guests
        return guests

    def virsh(self, *words: str, uri: str = "") -> str:
        """
        What libvirt's own tool answers: 30 ms.

        :raises LibvirtError: with its error text.
        """
        done = subprocess.run(
            [str(program("virsh")), "-q", "-c", uri or self.uri, *words],
            env={"PATH": _PATH, "LC_ALL": "C", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise LibvirtError(f"virsh {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def keep_test_guests(self) -> None:
        """
        Keep the state of the test driver's guests, which is forgotten when its last connection closes.
        """
        self._kept_open = subprocess.Popen(
            [str(program("virsh")), "-q", "-c", self.test_uri, "event", "--loop", "--event", "lifecycle"],
            env={"PATH": _PATH, "LC_ALL": "C", "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # It is connected once another client sees what a third one did.
        until(self._test_guests_stay, "the test driver keeps its guests")

    def log(self) -> str:
        """
        What libvirtd said.
        """
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """
        End libvirtd, every guest's process and what they left.
        """
        if self._kept_open is not None:
            self._kept_open.kill()
            self._kept_open.wait()
            self._kept_open = None
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None
        self.pid = None

    def _prepare(self) -> None:
        # Short: the path of a UNIX socket has room for 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="lv-"))
        self.folder.chmod(0o711)
        self.run = _own(self.folder / "run")
        config = _own(self.folder / "config")
        _own(config / "libvirt")
        (config / "libvirt" / "qemu.conf").write_text(_QEMU_CONF)
        _own(self.folder / "data")
        self._keeper = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _KEEPER,
                self.folder,
                *_as_nobody(),
                program("libvirtd"),
                "--timeout",
                "0",
            ],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def _describe(self, name: str, kind: Kind) -> Guest:
        uuid = str(uuid4())
        image, record = self.folder / f"{name}.img", self.run / f"{name}.said"
        image.write_bytes(boot_sector(kind))
        if os.geteuid() == 0:
            os.chown(image, NOBODY, NOBODY)
        text = domain_xml(name, uuid, str(program("qemu-system-x86_64")), image, record)
        (self.folder / f"{name}.xml").write_text(text)
        return Guest(self, name, uuid, record)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": _PATH,
            "LC_ALL": "C",
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.run),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(_kept()),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }

    def _listens(self) -> bool:
        if self.pid is not None and gone(self.pid):
            raise LibvirtError(f"libvirtd ended: {self.log()[-2000:]}")
        try:
            self.virsh("uri")
        except LibvirtError:
            return False
        return True

    def _test_guests_stay(self) -> bool:
        if self.virsh("domstate", "test", uri=self.test_uri).strip() != "paused":
            self.virsh("suspend", "test", uri=self.test_uri)
            return False
        self.virsh("resume", "test", uri=self.test_uri)
        return True

    def _signal(self, number: int) -> None:
        if self.pid is None:
            raise LibvirtError("libvirtd does not run")
        os.kill(self.pid, number)

    def _end(self, number: int) -> None:
        self._signal(number)
        pid, self.pid = self.pid, None
        until(lambda: pid is None or gone(pid), "libvirtd ends")


def _as_nobody() -> Sequence[str]:
    """
    libvirtd ends with whoever started it, and has no rights it does not need.
    """
    words = [str(program("setpriv")), "--pdeathsig", "TERM"]
    if os.geteuid() == 0:
        words += ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return words


@contextmanager
def libvirt_host() -> Iterator[LibvirtHost]:
    """
    A hypervisor for as long as it is needed; also the body of a pytest fixture.
    """
    host = LibvirtHost()
    try:
        host.start()
        yield host
    finally:
        host.close()
