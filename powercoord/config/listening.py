# SPDX-License-Identifier: MIT
"""
Whether endpoints can be what they are meant for, as far as their text tells.
"""

from __future__ import annotations

import re
from ipaddress import ip_network

from powercoord.config.mistakes import Findings
from powercoord.config.shape import Region, Server
from powercoord.strict import Path

_ENDPOINT = re.compile(r"[a-z][a-z0-9+-]*:.+")
_SOCKET = re.compile(r"unix:(?:address=)?((?:[^:\\]|\\.)*)")
# sun_path has 108 bytes on Linux, unix(7), one of them for the zero at its end.
_LONGEST_SOCKET = 107
# Who may connect to these is decided by the file system, or by systemd's unit.
_LOCAL = ("unix:", "systemd:")


def check_server(server: Server, findings: Findings) -> None:
    """
    Note what is wrong with where callers and load balancers are let in.
    """
    for index, endpoint in enumerate(server.amp):
        path = ("server", "amp", index)
        _check_endpoint(endpoint, path, findings)
        if not endpoint.startswith(_LOCAL) and server.secret is None and not server.insecure:
            findings.mistake(
                path,
                f"whoever reaches '{endpoint}' could switch machines:"
                " set server.secret, or server.insecure = true if your network is the guard",
            )
    for index, endpoint in enumerate(server.agent):
        _check_endpoint(endpoint, ("server", "agent", index), findings)
        if endpoint in server.amp:
            findings.mistake(("server", "agent", index), f"'{endpoint}' is one of server.amp already")
    for index, network in enumerate(server.agent_allow):
        _check_network(network, ("server", "agent_allow", index), findings)


def check_region(region: Region, findings: Findings) -> None:
    """
    Note what is wrong with where we connect to.
    """
    for index, endpoint in enumerate(region.connect):
        _check_endpoint(endpoint, ("region", "connect", index), findings)
    if region.connect and region.secret is None:
        findings.mistake(("region", "secret"), "missing: whoever answers could switch machines")


def _check_endpoint(endpoint: str, path: Path, findings: Findings) -> None:
    if not _ENDPOINT.fullmatch(endpoint):
        findings.mistake(
            path,
            f"'{endpoint}' is no endpoint; write 'unix:/run/x.sock' or 'tcp:4000:interface=127.0.0.1'",
        )
    socket = _SOCKET.match(endpoint)
    if socket is not None and len(socket[1].encode()) > _LONGEST_SOCKET:
        findings.mistake(path, f"the path of a UNIX socket has at most {_LONGEST_SOCKET} bytes")


def _check_network(network: str, path: Path, findings: Findings) -> None:
    try:
        ip_network(network)
    except ValueError as error:
        findings.mistake(path, f"{error}; '10.0.0.5' and '10.0.0.0/24' would do")
