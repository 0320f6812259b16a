# SPDX-License-Identifier: MIT
"""
Where a hypervisor is, as libvirt says it in a URI: read strictly, and built from fields only.

A URI of libvirt is code: its query part can name a program to run. So none is ever
passed on as it came. What comes in as one is taken apart here, and what may stand in
each part is known.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar

from attrs import frozen

from powercoord.errors import PowerSettingError

_E = TypeVar("_E", bound=Enum)


class Hypervisor(Enum):
    """
    Which of libvirt's drivers: the first word of its URIs.
    """

    QEMU = "qemu"
    XEN = "xen"
    LXC = "lxc"
    CLOUD_HYPERVISOR = "ch"
    BHYVE = "bhyve"
    VIRTUOZZO = "vz"
    TEST = "test"
    VBOX = "vbox"
    ESX = "esx"
    VCENTER = "vpx"
    HYPERV = "hyperv"


class Transport(Enum):
    """
    How libvirt is reached. ``LOCAL`` is no daemon at all: the virsh program does the work itself.
    """

    UNIX = "unix"
    SSH = "ssh"
    LIBSSH = "libssh"
    LIBSSH2 = "libssh2"
    TLS = "tls"
    TCP = "tcp"
    LOCAL = "local"


#: Whose drivers stand in the library of the client, not in a daemon.
CLIENT_SIDE = frozenset((Hypervisor.VBOX, Hypervisor.ESX, Hypervisor.VCENTER, Hypervisor.HYPERV))

#: Which need no host, because they are here.
HERE = frozenset((Transport.UNIX, Transport.LOCAL))

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]{2,45}\]")
_PLACE = re.compile(r"(?P<host>\[[^][]*\]|[^][:]*)(?::(?P<port>\d{1,5}))?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}\$?")
#: No spaces, and nothing that a shell, ssh (``%``, ``~``) or a URI (``?``, ``#``) would take for more.
_PATH = re.compile(r"/[A-Za-z0-9_./@+=:,-]{1,106}")
_INSTANCE = re.compile(r"system|session|default")
_URI = re.compile(
    r"(?P<hypervisor>[a-z]+)(?:\+(?P<transport>[a-z0-9]+))?://"
    r"(?:(?P<user>[^@/]*)@)?(?P<place>[^@/]*)(?P<instance>/.*)"
)


@frozen(kw_only=True)
class Place:
    """
    One hypervisor, and how to reach it: all that its nodes share.

    :param host: ``""``: this one.
    :param port: 0: the transport's own.
    :param instance: whose guests: ``system``, ``session``, ``default``, or a path where a driver has one.
    :param sockets: where its daemon listens, the first that is there being right.
    :param own_socket: whether that was said, and is no guess.
    """

    hypervisor: Hypervisor
    transport: Transport
    host: str
    port: int
    user: str
    instance: str
    sockets: tuple[str, ...]
    own_socket: bool
    identity_file: str
    known_hosts: str

    @property
    def name(self) -> str:
        """
        The one way in which we write it; the same text is the same hypervisor.
        """
        scheme = self.hypervisor.value
        if self.transport is not Transport.LOCAL:
            scheme = f"{scheme}+{self.transport.value}"
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        instance = self.instance if self.instance.startswith("/") else f"/{self.instance}"
        socket = f"?socket={self.sockets[0]}" if self.own_socket else ""
        return f"{scheme}://{user}{self.host}{port}{instance}{socket}"

    @property
    def daemon_uri(self) -> str:
        """
        What the daemon itself is asked to open: without any way to it.
        """
        instance = self.instance if self.instance.startswith("/") else f"/{self.instance}"
        return f"{self.hypervisor.value}://{instance}"


def split_place(text: str) -> tuple[str, int]:
    """
    Read ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; port 0 if there is none.

    :raises PowerSettingError: it is none of these.
    """
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    found = _PLACE.fullmatch(text)
    if found is None or not _HOST.fullmatch(found["host"]) or len(found["host"]) > 253:
        forms = "a host name or IP address, with :port if it is not the usual one, IPv6 as [address]:port"
        raise PowerSettingError(f"address {text!r} is not understood; right would be {forms}")
    port = int(found["port"] or 0)
    if found["port"] and not 0 < port < 65536:
        raise PowerSettingError(f"address {text!r}: port {port} is not between 1 and 65535")
    return found["host"].lower(), port


def check_user(name: str) -> None:
    """
    :raises PowerSettingError: no user of a hypervisor is called that.
    """
    if not _USER.fullmatch(name):
        raise PowerSettingError(
            f"username {name!r} cannot be used with ssh: letters, digits and . _ + -, a letter or digit first"
        )


def check_path(what: str, path: str) -> None:
    """
    :raises PowerSettingError: it is not the absolute path of a file, or more than that.
    """
    if not _PATH.fullmatch(path):
        raise PowerSettingError(
            f"{what} {path!r} cannot be used: an absolute path of letters, digits and . _ / @ + = : , -,"
            " at most 107 characters"
        )


def check_instance(hypervisor: Hypervisor, instance: str) -> None:
    """
    :raises PowerSettingError: there are no such guests there.
    """
    if instance == "/" and hypervisor in CLIENT_SIDE:
        return
    if instance.startswith("/") and hypervisor in CLIENT_SIDE | {Hypervisor.TEST}:
        check_path("instance", instance)
    elif not _INSTANCE.fullmatch(instance):
        raise PowerSettingError(f"instance {instance!r} is unknown; right would be system or session")


def check_domain(name: str) -> None:
    """
    :raises PowerSettingError: no guest can be called that.
    """
    if not name or name.startswith("-") or "/" in name or not name.isprintable() or len(name.encode()) > 255:
        raise PowerSettingError(
            f"domain {name!r} cannot be the name or UUID of a guest: at most 255 bytes, no / and no control"
            " characters, not beginning with -"
        )


@frozen
class Parsed:
    """
    The fields of a URI, still as text.
    """

    hypervisor: Hypervisor
    transport: Transport
    user: str
    place: str
    instance: str


def parse_uri(uri: str) -> Parsed:
    """
    Take apart what a caller calls its hypervisor.

    :raises PowerSettingError: it is no such URI, or says more than where the hypervisor is.
    """
    if "?" in uri or "#" in uri:
        raise PowerSettingError(
            "power_address has a part behind '?' or '#': libvirt would take a program to run from there, so"
            " none is accepted; say socket, identity and known hosts by settings of their own"
        )
    found = _URI.fullmatch(uri)
    if found is None:
        raise PowerSettingError(
            "power_address is no URI of libvirt; right would be qemu+ssh://USER@HOST/system or qemu:///system"
        )
    user = found["user"] or ""
    if ":" in user:
        raise PowerSettingError(
            "power_address has a password in it; put this coordinator's ssh key on the hypervisor instead"
        )
    hypervisor = _known(Hypervisor, found["hypervisor"], "hypervisor")
    transport = _transport(hypervisor, found["transport"], found["place"])
    instance = found["instance"]
    if _INSTANCE.fullmatch(instance[1:]):
        instance = instance[1:]
    return Parsed(hypervisor, transport, user, found["place"], instance)


def _transport(hypervisor: Hypervisor, word: str | None, host: str) -> Transport:
    """
    As libvirt has it: without a word it is TLS to another host, and the local socket or nobody on this one.
    """
    if word is not None:
        return _known(Transport, word, "transport")
    if hypervisor in CLIENT_SIDE or (hypervisor is Hypervisor.TEST and not host):
        return Transport.LOCAL
    return Transport.TLS if host else Transport.UNIX


def _known(kind: type[_E], word: str, what: str) -> _E:
    words = [str(member.value) for member in kind]
    if word not in words:
        raise PowerSettingError(f"power_address: {what} {word!r} is unknown; known: {', '.join(words)}")
    return kind(word)
