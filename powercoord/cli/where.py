# SPDX-License-Identifier: MIT
"""
Which coordinator is meant: the one named, the configured one, or the local one.
"""

from __future__ import annotations

import re

from attrs import field, frozen

from powercoord.config import Server, load_server
from powercoord.errors import ConfigError

LOCAL = "unix:/run/powercoord/amp.sock"

_EVERYWHERE = {"", "0.0.0.0", "::", r"\:\:"}  # noqa: S104 - what a server may be told, not where we listen


@frozen
class Where:
    """
    A client endpoint string, and the secret that is demanded there.
    """

    endpoint: str
    secret: str | None = field(default=None, repr=False)


def where(connect: str | None, config: str | None) -> Where:
    """
    Where to connect to.

    :raises ConfigError: the configuration cannot be read, or does not say.
    """
    if config is None:
        return Where(connect or LOCAL)
    server = load_server(config)
    return Where(connect or _endpoint(server, config), server.secret)


def _endpoint(server: Server, config: str) -> str:
    for listening in server.amp:
        endpoint = client_endpoint(listening)
        if endpoint is not None:
            return endpoint
    raise ConfigError(f"{config}: server.amp names no endpoint that can be connected to; use --connect")


def client_endpoint(listening: str) -> str | None:
    """
    How a client on the same machine reaches what listens there, if that can be told.
    """
    kind, _, rest = listening.partition(":")
    words = re.split(r"(?<!\\):", rest)
    given = dict(word.split("=", 1) for word in words if "=" in word)
    first = words[0] if "=" not in words[0] else ""
    if kind == "unix":
        return f"unix:{first or given.get('address', '')}"
    if kind in ("tcp", "tcp4", "tcp6"):
        host = given.get("interface", "")
        local = r"\:\:1" if kind == "tcp6" else "127.0.0.1"
        return f"tcp:{local if host in _EVERYWHERE else host}:{first or given.get('port', '')}"
    return None
