# SPDX-License-Identifier: MIT
"""
What must be known about a guest of libvirt, and about its hypervisor.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from attrs import Attribute, frozen

from powercoord.drivers.virsh.place import (
    CLIENT_SIDE,
    HERE,
    Hypervisor,
    Place,
    Transport,
    check_domain,
    check_instance,
    check_path,
    check_user,
    parse_uri,
    split_place,
)
from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, setting
from powercoord.strict import Moment

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

#: Where libvirt's daemons listen: the one for a single hypervisor (modular), then the one for all.
_MODULAR: Mapping[Hypervisor, str] = MappingProxyType(
    {
        Hypervisor.QEMU: "virtqemud",
        Hypervisor.XEN: "virtxend",
        Hypervisor.LXC: "virtlxcd",
        Hypervisor.CLOUD_HYPERVISOR: "virtchd",
        Hypervisor.BHYVE: "virtbhyved",
        Hypervisor.VIRTUOZZO: "virtvzd",
    }
)


def _check_domain(_: Any, __: Attribute[Any], value: str) -> None:
    check_domain(value)


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    if value:
        split_place(value)


def _check_user(_: Any, __: Attribute[Any], value: str) -> None:
    if value:
        check_user(value)


def _check_path(_: Any, attribute: Attribute[Any], value: str) -> None:
    if value:
        check_path(attribute.name, value)


@frozen(kw_only=True)
class VirshSettings:
    """
    One guest, and the way to its hypervisor.
    """

    domain: str = setting(
        "Domain",
        scope=Scope.NODE,
        description="The guest's name at its hypervisor, or its UUID.",
        validator=_check_domain,
    )
    address: str = setting(
        "Hypervisor's address",
        default="",
        description="Host name or IP address, with `:port` if it is not the usual one; empty: this host.",
        validator=_check_address,
    )
    username: str = setting(
        "User name",
        default="",
        description="As whom to log in by ssh; empty: as the user that the coordinator runs as.",
        validator=_check_user,
    )
    hypervisor: Hypervisor = setting(
        "Hypervisor",
        default=Hypervisor.QEMU,
        description="What runs the guests: the first word of libvirt's URIs.",
        choices=tuple((each.value, each.value) for each in Hypervisor),
    )
    transport: Transport = setting(
        "Transport",
        default=Transport.UNIX,
        description="How libvirt is reached: its own protocol over its socket (`unix`) or through `ssh`;"
        " all others through the virsh program.",
        choices=tuple((each.value, each.value) for each in Transport),
    )
    instance: str = setting(
        "Instance",
        default="system",
        description="Whose guests: `system`, `session`, or `default` of libvirt's test driver.",
    )
    socket: str = setting(
        "Socket",
        default="",
        description="Where libvirt's daemon listens; empty: where it does by itself.",
        validator=_check_path,
    )
    identity_file: str = setting(
        "Identity file",
        default="",
        description="The private key for ssh; empty: those that ssh uses by itself.",
        validator=_check_path,
    )
    known_hosts: str = setting(
        "Known hosts",
        default="",
        description="The file with the hypervisor's host key; empty: the user's own. Other keys are refused.",
        validator=_check_path,
    )
    through_virsh: bool = setting(
        "Through virsh",
        default=False,
        description="Whether the virsh program speaks, even where libvirt's protocol could be.",
    )
    timeout: Moment = setting(
        "Timeout",
        default=Moment(25.0),
        description="How long one operation may take, connecting included; a guest that is busy dies slowly.",
    )

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        check_instance(self.hypervisor, self.instance)
        if self.transport in HERE and self.hypervisor not in CLIENT_SIDE and self.address:
            raise PowerSettingError(
                f"address is '{self.address}' but transport {self.transport.value} is for this host;"
                " right would be transport ssh"
            )
        if self.transport not in HERE and not self.address:
            raise PowerSettingError(f"transport {self.transport.value} needs the hypervisor's address")

    @property
    def native(self) -> bool:
        """
        Whether libvirt's own protocol is spoken to it.
        """
        spoken = self.transport in (Transport.UNIX, Transport.SSH) and self.hypervisor not in CLIENT_SIDE
        return spoken and not self.through_virsh

    @property
    def selector(self) -> str:
        """
        The guest in one way of writing: a UUID has several.
        """
        return str(UUID(self.domain)) if _UUID.fullmatch(self.domain) else self.domain

    def place(self, runtime_dir: str = "") -> Place:
        """
        The hypervisor alone, which its nodes share.

        :param runtime_dir: where a session's daemon has its socket (``XDG_RUNTIME_DIR``).
        """
        host, port = split_place(self.address) if self.address else ("", 0)
        return Place(
            hypervisor=self.hypervisor,
            transport=self.transport,
            host=host,
            port=port,
            user=self.username,
            instance=self.instance,
            sockets=(self.socket,) if self.socket else self._usual_sockets(runtime_dir),
            own_socket=bool(self.socket),
            identity_file=self.identity_file,
            known_hosts=self.known_hosts,
        )

    def _usual_sockets(self, runtime_dir: str) -> tuple[str, ...]:
        folder = "/run/libvirt"
        if self.instance == "session":
            if self.transport is not Transport.UNIX or not runtime_dir:
                return ()
            folder = f"{runtime_dir}/libvirt"
        modular = _MODULAR.get(self.hypervisor)
        names = ([modular] if modular else []) + ["libvirt"]
        return tuple(f"{folder}/{name}-sock" for name in names)


#: What no power_address means, as no address does in a configuration.
_HERE = "qemu:///system"

#: MAAS's power parameters: each becomes which of ours. ``power_address`` is a URI, and several settings.
CONTEXT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "power_address": "address",
        "power_id": "domain",
        "identity_file": "identity_file",
        "known_hosts": "known_hosts",
        "socket": "socket",
    }
)


def from_context(context: Mapping[str, Any]) -> VirshSettings:
    """
    Settings from MAAS's power parameters.

    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    uri, domain = str(context.get("power_address") or _HERE), str(context.get("power_id") or "")
    if not domain:
        raise PowerSettingError("power_id is missing; it names the guest")
    if context.get("power_pass"):
        raise PowerSettingError(
            "power_pass is set, and no password is ever given to ssh;"
            " leave it empty and put this coordinator's ssh key on the hypervisor"
        )
    found = parse_uri(uri)
    return VirshSettings(
        domain=domain,
        address=found.place,
        username=found.user,
        hypervisor=found.hypervisor,
        transport=found.transport,
        instance=found.instance,
        socket=str(context.get("socket") or ""),
        identity_file=str(context.get("identity_file") or ""),
        known_hosts=str(context.get("known_hosts") or ""),
    )
