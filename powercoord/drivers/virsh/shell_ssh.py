# SPDX-License-Identifier: MIT
"""
The ssh that libvirt runs for us: a script of two lines, because a URI has no room for options of ssh.

libvirt ignores ``known_hosts`` of a URI when it runs ssh itself, so without this a
hypervisor would be whoever answers, or nobody.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from shlex import quote

from attrs import define, field

from powercoord.drivers.virsh.place import Place, Transport

#: What comes first counts in ssh, so these stand before what libvirt adds.
_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ControlPath=none",
    "PermitLocalCommand=no",
    "LogLevel=ERROR",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ConnectTimeout=15",
)


def script(place: Place) -> str:
    """
    What stands in it: no secret, and no letter that a shell would take for more than itself.
    """
    options = list(_OPTIONS)
    if place.known_hosts:
        options += [f"UserKnownHostsFile={place.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
    if place.identity_file:
        options.append("IdentitiesOnly=yes")
    words = ["ssh", "-F", "none"]
    for option in options:
        words += ["-o", option]
    return f'#!/bin/sh\nexec {" ".join(map(quote, words))} "$@"\n'


@define(eq=False)
class SshScript:
    """
    The file, written when it is first needed, in a folder that is ours alone.
    """

    _place: Place
    _folder: Path | None = field(default=None, init=False)

    def path(self) -> str:
        """
        Where it is; nowhere for a hypervisor that is not reached by ssh.
        """
        if self._place.transport is not Transport.SSH:
            return ""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="powercoord-ssh-"))
            file = self._folder / "ssh"
            file.write_text(script(self._place), encoding="ascii")
            file.chmod(0o700)
        return str(self._folder / "ssh")

    def remove(self) -> None:
        """
        Take it away.
        """
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
