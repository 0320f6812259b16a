# SPDX-License-Identifier: MIT
"""
Where a BMC listens, as people write it.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from attrs import frozen

from powercoord.errors import PowerSettingError

#: The port that is IPMI's own.
PORT = 623

#: An address as sockets have it.
Peer = tuple[str, int]

_FORM = re.compile(r"\[(?P<v6>[^][]+)\](?::(?P<v6port>\d{1,5}))?|(?P<host>[^][:]+)(?::(?P<port>\d{1,5}))?")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@frozen
class Address:
    """
    A host and a port. ``literal`` tells that the host is an IP address.
    """

    host: str
    port: int
    literal: bool

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        Read ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address.

        :raises PowerSettingError: it is none of these.
        """
        if text.count(":") > 1 and not text.startswith("["):
            text = f"[{text}]"
        found = _FORM.fullmatch(text)
        if found is None:
            raise _wrong(text)
        port = int(found["port"] or found["v6port"] or PORT)
        if not 0 < port < 65536:
            raise PowerSettingError(f"address '{text}': port {port} is not between 1 and 65535")
        literal = _ip(found["v6"] or found["host"])
        if literal is not None:
            return cls(literal, port, literal=True)
        if found["v6"] or not _HOST.fullmatch(found["host"]) or len(found["host"]) > 253:
            raise _wrong(text)
        return cls(found["host"].lower().removesuffix("."), port, literal=False)

    @property
    def text(self) -> str:
        """
        The one way in which we write it.
        """
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _wrong(text: str) -> PowerSettingError:
    forms = "a host name or IP address, with :port if it is not 623, IPv6 as [address]:port"
    return PowerSettingError(f"address '{text}' is not understood; right would be {forms}")
