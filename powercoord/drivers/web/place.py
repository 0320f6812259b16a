# SPDX-License-Identifier: MIT
"""
Where a BMC's web server listens, as people write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType

from attrs import frozen

from powercoord.errors import PowerSettingError

#: The ports that are HTTP's own.
PORTS: Mapping[str, int] = MappingProxyType({"https": 443, "http": 80})

_FORM = re.compile(r"(?:\[(?P<v6>[^][@/]+)\]|(?P<host>[^][:@/]+))(?::(?P<port>\d{1,5}))?")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@frozen
class Place:
    """
    A scheme, a host and a port. ``literal`` tells that the host is an IP address.
    """

    scheme: str
    host: str
    port: int
    literal: bool

    @classmethod
    def parse(cls, text: str, scheme: str = "https", ports: Mapping[str, int] = PORTS) -> Place:
        """
        Read ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address, a scheme before it or not.

        :param scheme: what is meant where none is written.
        :raises PowerSettingError: it is none of these.
        """
        written, slashes, rest = text.partition("://")
        if slashes:
            scheme, text = written.lower(), rest.removesuffix("/")
        if scheme not in ports:
            raise PowerSettingError(f"address: scheme '{scheme}' is none of {', '.join(ports)}")
        host, port, literal = _host(text)
        number = ports[scheme] if port is None else int(port)
        if not 0 < number < 65536:
            raise PowerSettingError(f"address '{text}': port {number} is not between 1 and 65535")
        return cls(scheme, host, number, literal)

    @property
    def secure(self) -> bool:
        """
        Whether it speaks TLS.
        """
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """
        Host and port, in the one way in which we write them.
        """
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def text(self) -> str:
        """
        The one way in which we write it.
        """
        return f"{self.scheme}://{self.authority}"


def _host(text: str) -> tuple[str, str | None, bool]:
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    found = _FORM.fullmatch(text)
    if found is None:
        raise _wrong(text)
    literal = _ip(found["v6"] or found["host"])
    if literal is not None:
        return literal, found["port"], True
    if found["v6"] or not _HOST.fullmatch(found["host"]) or len(found["host"]) > 253:
        raise _wrong(text)
    return found["host"].lower().removesuffix("."), found["port"], False


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _wrong(text: str) -> PowerSettingError:
    forms = "a host name or IP address, with :port if it needs one, IPv6 as [address]:port"
    if "@" in text:
        return PowerSettingError(f"address: a user or password has no place in it; right would be {forms}")
    return PowerSettingError(f"address '{text}' is not understood; right would be {forms}")
