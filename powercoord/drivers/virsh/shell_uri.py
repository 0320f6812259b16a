# SPDX-License-Identifier: MIT
"""
The URI that the virsh program is given: built here, of fields whose letters are known.

What stands where: https://libvirt.org/uri.html and https://libvirt.org/remote.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from powercoord.drivers.virsh.place import CLIENT_SIDE, HERE, Hypervisor, Place, Transport

#: They know nothing of whose guests there are: their URIs end behind the host, or with a path of their own.
_PATHS = CLIENT_SIDE - {Hypervisor.VBOX}

_LIBSSH = frozenset((Transport.LIBSSH, Transport.LIBSSH2))

#: What of the coordinator's own surroundings a child may see. Nothing of it decides what is connected to.
KEPT = (
    "HOME",
    "LIBVIRT_AUTH_FILE",
    "LOGNAME",
    "PATH",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
)

#: English and ASCII, no colours, none of the user's key bindings, no history on disk.
_OWN = {
    "INPUTRC": "/dev/null",
    "LC_ALL": "C",
    "TERM": "dumb",
    "VIRSH_HISTSIZE": "0",
}


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """
    The surroundings of a virsh.
    """
    return {name: ours[name] for name in KEPT if name in ours} | _OWN


def uri(place: Place, ssh: str) -> str:
    """
    A hypervisor as virsh is told it.

    :param ssh: the program that libvirt is to run instead of ssh; used for transport ssh only.
    """
    scheme = place.hypervisor.value
    if place.transport is not Transport.LOCAL and not _inside(place):
        scheme = f"{scheme}+{place.transport.value}"
    user = f"{quote(place.user, safe='')}@" if place.user else ""
    port = f":{place.port}" if place.port else ""
    path = place.instance
    if not path.startswith("/"):
        path = "/" if place.hypervisor in _PATHS else f"/{path}"
    more = "&".join(f"{key}={quote(value, safe='/')}" for key, value in _parameters(place, ssh).items())
    return f"{scheme}://{user}{place.host}{port}{quote(path, safe='/')}{'?' if more else ''}{more}"


def _inside(place: Place) -> bool:
    """
    Whether the driver is in virsh itself, and no daemon of libvirt's stands between.
    """
    return place.hypervisor in CLIENT_SIDE and place.transport in HERE


def _parameters(place: Place, ssh: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if _inside(place):
        return found
    if place.own_socket and place.transport in _LIBSSH | {Transport.UNIX, Transport.SSH}:
        found["socket"] = place.sockets[0]
    if place.transport is Transport.SSH:
        # nc alone can be told a socket; libvirt's other way in asks its own configuration for one.
        found |= {"command": ssh, "no_tty": "1", "proxy": "netcat"}
    if place.transport in _LIBSSH:
        found |= {"sshauth": "agent,privkey", "known_hosts_verify": "normal", "proxy": "netcat"}
        if place.known_hosts:
            found["known_hosts"] = place.known_hosts
    if place.identity_file and place.transport in _LIBSSH | {Transport.SSH}:
        found["keyfile"] = place.identity_file
    return found
