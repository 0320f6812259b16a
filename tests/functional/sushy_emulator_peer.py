# SPDX-License-Identifier: MIT
"""
A Redfish service that nobody here wrote, over real guests: ``sushy-emulator`` on a libvirtd of ours.

It speaks to libvirt by Debian's bindings, which fit only the Python that Debian has.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from attrs import define, field

from tests.functional import libvirt_peer
from tests.functional.libvirt_peer import until

_PACKAGES = Path("/usr/lib/python3/dist-packages")
_BINDINGS = [
    _PACKAGES / "libvirt.py",
    *_PACKAGES.glob(f"libvirtmod.cpython-{sys.version_info.major}{sys.version_info.minor}-*.so"),
]
_FITS = len(_BINDINGS) > 1


def why_not() -> str | None:
    """
    Why it cannot run here.
    """
    if libvirt_peer.MISSING:
        return libvirt_peer.MISSING
    if find_spec("sushy_tools") is None or find_spec("bcrypt") is None:
        return "no sushy-tools or no bcrypt here"
    if not _FITS:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"no libvirt bindings for Python {version} here (Debian package python3-libvirt)"
    return None


USERNAME, PASSWORD = "operator", "an-emulated-secret"

_CONFIGURATION = """\
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_LIBVIRT_URI = {uri!r}
SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_AUTH_FILE = {folder!r} + "/htpasswd"
SUSHY_EMULATOR_SSL_CERT = {certificate!r}
SUSHY_EMULATOR_SSL_KEY = {key!r}
"""

_START = "from sushy_tools.emulator.main import main; main()"


@define(eq=False)
class SushyEmulator:
    """
    The service; a guest's UUID is the name of its system.

    :param uri: of the libvirtd.
    :param certificate: and its key, as PEM files; without them it speaks plain HTTP.
    """

    uri: str
    certificate: str | None = None
    key: str | None = None
    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="sushy-")), init=False)
    port: int = field(default=0, init=False)
    _service: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Start it and wait until it listens: a second.
        """
        self._prepare()
        with (self.folder / "log").open("ab") as log:
            self._service = subprocess.Popen(
                [sys.executable, "-c", _START, "--config", str(self.folder / "emulator.conf")],
                env={"PATH": os.defpath, "PYTHONPATH": str(self.folder / "python"), "HOME": str(self.folder)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._listens, "sushy-emulator listens")

    def log(self) -> str:
        """
        What it said: a line for each request among others.
        """
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """
        End it, and take its files away.
        """
        if self._service is not None:
            self._service.kill()
            self._service.wait()
            self._service = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        import bcrypt

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        (self.folder / "python").mkdir()
        for path in _BINDINGS:
            (self.folder / "python" / path.name).symlink_to(path)
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "htpasswd").write_text(f"{USERNAME}:{hashed}\n")
        text = _CONFIGURATION.format(
            port=self.port, uri=self.uri, folder=str(self.folder), certificate=self.certificate, key=self.key
        )
        (self.folder / "emulator.conf").write_text(text)

    def _listens(self) -> bool:
        assert self._service is None or self._service.poll() is None, self.log()[-2000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@contextmanager
def sushy_emulator(uri: str) -> Iterator[SushyEmulator]:
    """
    One for as long as it is needed; also the body of a pytest fixture.
    """
    emulator = SushyEmulator(uri)
    try:
        emulator.start()
        yield emulator
    finally:
        emulator.close()
