# SPDX-License-Identifier: MIT
"""
A systemd of our own: a real ``systemd --user``, in namespaces of its own.

It knows only the units that it is given.  And should it ever do what it was
not asked to: the machine's files are read-only for it, ``/run``, ``/tmp`` and
``/var`` are empty ones of its own, and all that it started ends with it.  The
latter is a lesson: a unit's default dependencies reach far, and among the
units of a machine is the one that empties ``/tmp``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from attrs import define, field

from tests.sources import ROOT

_NEEDED = ("/usr/lib/systemd/systemd", "unshare", "nsenter", "systemctl")
_ENTER = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")
_RUNTIME = "/run/user/test"

# Whom every unit wants, and the one to start with; they want nothing.
_TARGETS = ("basic.target", "shutdown.target", "nothing.target")
_TARGET = "[Unit]\nDescription=Nothing\nDefaultDependencies=no\n"

# $1 is our folder, $2 our control group, $3 the runtime folder; then come places that must be seen in any
# case, be they below /tmp or /var. It goes on to systemd only when that can harm nothing.
_SCRIPT = """
set -e
folder=$1 group=$2 runtime=$3
shift 3
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/folder "$runtime"
chmod 700 "$runtime"
mount --bind "$folder" /run/folder
kept=0
for place; do
    kept=$((kept + 1))
    mkdir -p /run/kept/$kept
    mount --bind "$place" /run/kept/$kept
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /var
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p "$folder" /var/lib /var/log /var/tmp
mount --bind /run/folder "$folder"
kept=0
for place; do
    kept=$((kept + 1))
    if [ ! -e "$place" ]; then
        mkdir -p "$place"
        mount --bind /run/kept/$kept "$place"
        mount -o remount,bind,ro "$place"
    fi
done
mount -o remount,bind,ro /
mount -o remount,bind,ro /dev
while umount -l /sys/fs/cgroup 2>/dev/null; do :; done
mount -o remount,bind,ro /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$group"
echo $$ > "/sys/fs/cgroup/$group/cgroup.procs"
for place in / /etc /usr /root /home /opt /srv /dev /sys "$@"; do
    if touch "$place/systemd-test" 2>/dev/null; then echo "$place can be written"; exit 1; fi
done
for place in /tmp /var; do
    if [ "$(stat -f -c %T $place)" != tmpfs ]; then echo "$place is not private"; exit 1; fi
done
env -i HOME="$runtime" PATH="$PATH" XDG_RUNTIME_DIR="$runtime" SYSTEMD_UNIT_PATH="$folder/units" \\
    SYSTEMD_LOG_TARGET=console /usr/lib/systemd/systemd --user --unit=nothing.target &
wait $!
"""


class SystemdError(Exception):
    """
    It did not start, or did not do what it was told.
    """


@define(eq=False)
class SystemManager:
    """
    One manager with these units; use it as a context.

    :param units: texts by file name.
    """

    units: Mapping[str, str]
    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="systemd-")), init=False)
    _unshare: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pid: int = field(default=0, init=False)

    def start(self) -> None:
        """
        Start it, and wait until it answers.

        :raises SystemdError: it does not; the text has what it printed.
        """
        self.folder.chmod(0o755)
        (self.folder / "units").mkdir()
        for name, text in {**dict.fromkeys(_TARGETS, _TARGET), **self.units}.items():
            (self.folder / "units" / name).write_text(text)
        places = map(str, dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix))))
        script = ["bash", "-c", _SCRIPT, "bash", str(self.folder), self.folder.name, _RUNTIME, *places]
        flags = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        with (self.folder / "log").open("wb") as log:
            self._unshare = subprocess.Popen(["unshare", *flags, *script], stdout=log, stderr=log)
        give_up = time.monotonic() + 15
        while not self._answers():
            if self._unshare.poll() is not None or time.monotonic() > give_up:
                text = (self.folder / "log").read_text(errors="replace")
                self.stop()
                raise SystemdError(f"no manager: {text[-2_000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """
        End it with everything that it started.
        """
        if self._unshare is not None:
            # It ends when its child, the namespaces' process 1, is gone, and that goes last of all in there.
            os.kill(self._pid or self._unshare.pid, signal.SIGKILL)
            self._unshare.wait()
            self._remove_groups()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str, check: bool = True) -> str:
        """
        Run a command beside it, and take what it prints.

        :raises SystemdError: it fails.
        """
        done = subprocess.run(self.enter(*words), capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise SystemdError(f"{' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def enter(self, *words: str) -> list[str]:
        """
        The command that runs these words beside it.
        """
        runtime = ("env", f"XDG_RUNTIME_DIR={_RUNTIME}")
        return ["nsenter", "--target", str(self._pid), *_ENTER, *runtime, *words]

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """
        What it knows of a unit.
        """
        text = self.run("systemctl", "--user", "show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def _answers(self) -> bool:
        assert self._unshare is not None
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
        if not children:
            return False
        self._pid = int(children[0])
        done = subprocess.run(
            self.enter("systemctl", "--user", "is-system-running"),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() in ("running", "degraded")

    def _remove_groups(self) -> None:
        """
        Take away the control groups; they are seen where a cgroup2 is mounted, so it is, for a moment.
        """
        script = (
            'mount --make-rprivate / && mount -t cgroup2 cgroup2 "$1"'
            ' && find "$1/$2" -depth -type d -exec rmdir {} +'
        )
        words = ["bash", "-c", script, "bash", str(self.folder), self.folder.name]
        subprocess.run(["unshare", "--mount", *words], capture_output=True, check=False)


@cache
def why_not() -> str | None:
    """
    Why no manager can be started here, None if one can.
    """
    if os.geteuid() != 0:
        return "only root can make the namespaces of a systemd manager"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    manager = SystemManager({})
    try:
        manager.start()
    except (SystemdError, OSError) as error:
        return f"no systemd can be started: {error}"
    manager.stop()
    return None
