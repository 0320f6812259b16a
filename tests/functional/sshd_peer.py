# SPDX-License-Identifier: MIT
"""
A real sshd of our own on the loopback interface, with a host key and a user key that nobody else has.

It lets in whoever runs the tests, by that key only.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from tests.functional.libvirt_peer import program, until

_PROGRAMS = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nc.openbsd": "netcat-openbsd",
}
_MISSING = [f"{name} (Debian package {package})" for name, package in _PROGRAMS.items() if not program(name)]
MISSING = f"no {', '.join(_MISSING)} here" if _MISSING else None

# As root it insists on an empty folder for what speaks to strangers.
_SEPARATION = Path("/run/sshd")

_CONFIGURATION = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers {user}
LogLevel VERBOSE
MaxStartups 100
"""


@define(eq=False)
class Sshd:
    """
    The server, and the files that a client of it needs.
    """

    folder: Path = field(init=False)
    port: int = field(default=0, init=False)
    user: str = field(factory=getpass.getuser, init=False)
    _daemon: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def key(self) -> Path:
        """
        The private key that opens it.
        """
        return self.folder / "user"

    @property
    def wrong_key(self) -> Path:
        """
        A private key that does not.
        """
        return self.folder / "stranger"

    @property
    def known_hosts(self) -> Path:
        """
        A file that knows its host key.
        """
        return self.folder / "known_hosts"

    @property
    def wrong_known_hosts(self) -> Path:
        """
        A file that knows another key for it: somebody else answers in its place.
        """
        return self.folder / "wrong_known_hosts"

    def start(self) -> None:
        """
        Start it, for the first time or again, on the same port: 0.1 s.
        """
        if not hasattr(self, "folder"):
            self._prepare()
        if os.geteuid() == 0:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [str(program("sshd")), "-D", "-e", "-f", str(self.folder / "sshd_config")],
                env={"PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._listens, f"sshd listens; its log: {self.log()[-2000:]}")

    def stop(self) -> None:
        """
        End it; a connection that is open stays, as with any sshd.
        """
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def cut(self) -> None:
        """
        Break the connections that are open.
        """
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def sessions(self) -> list[int]:
        """
        The processes that serve a connection each.
        """
        if self._daemon is None:
            return []
        pid = self._daemon.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def log(self) -> str:
        """
        What it said.
        """
        return (self.folder / "log").read_text(errors="replace")

    def logins(self) -> int:
        """
        How many connections were let in.
        """
        return self.log().count("Accepted publickey for ")

    def close(self) -> None:
        """
        End it, and take its files away.
        """
        self.cut()
        self.stop()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sshd-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        for name in ("host", "user", "stranger"):
            words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
            subprocess.run([str(program("ssh-keygen")), *words], check=True)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        for path, key in ((self.known_hosts, "host.pub"), (self.wrong_known_hosts, "stranger.pub")):
            path.write_text(f"[127.0.0.1]:{self.port} {(self.folder / key).read_text()}")
        (self.folder / "sshd_config").write_text(
            _CONFIGURATION.format(port=self.port, folder=self.folder, user=self.user)
        )

    def _listens(self) -> bool:
        assert self._daemon is None or self._daemon.poll() is None, self.log()[-2000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@contextmanager
def sshd() -> Iterator[Sshd]:
    """
    An sshd for as long as it is needed; also the body of a pytest fixture.
    """
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.close()
