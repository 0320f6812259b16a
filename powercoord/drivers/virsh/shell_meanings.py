# SPDX-License-Identifier: MIT
"""
What virsh's complaints mean to a caller.

It tells no codes, only sentences; with ``LC_ALL=C`` these have been the same for
years. What is not known here is an error that may pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from powercoord.drivers.virsh.guests import NoSuchGuest, WrongState
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
    PowerUnsupportedError,
)

_LONGEST = 400

#: While it connects; nothing was sent then. Texts of libvirt, OpenSSH, and of the driver for ESX.
_CONNECTING: tuple[tuple[str, type[PowerError], str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|(?i:host key verification failed)",
        PowerAuthError,
        "its host key is not the known one; put the right one into known_hosts",
    ),
    (
        r"Permission denied \(|Too many authentication failures|authentication (failed|unavailable)",
        PowerAuthError,
        "it does not let us in",
    ),
    (
        r"HTTP response code 401|Cannot complete login|Login failure|InvalidLogin",
        PowerAuthError,
        "it does not let us in",
    ),
    (
        r"Permission denied",
        PowerAuthError,
        "we may not open libvirt's socket there (often group libvirt)",
    ),
    (
        r"built without the '|no connection driver available|netcat: not found|nc: not found",
        PowerToolError,
        "libvirt here or there cannot do this",
    ),
    (
        r"Cannot read (CA )?certificate|invalid URI|malformed",
        PowerSettingError,
        "libvirt is not set up for this",
    ),
    (r"", PowerConnError, "cannot connect"),
)

#: When a command has failed. A command whose connection breaks may have been carried out.
_WORKING: tuple[tuple[str, type[PowerError], str], ...] = (
    (r"failed to get domain|Domain not found", NoSuchGuest, "no such guest"),
    (
        r"Domain is already active|not valid: domain is (already|not) running|Domain is not powered o",
        WrongState,
        "the guest is not in a state for that",
    ),
    (
        r"not supported by the connection driver|unsupported (flags|configuration)",
        PowerUnsupportedError,
        "the hypervisor cannot do that",
    ),
    (r"access denied|operation forbidden", PowerRefusedError, "it says no"),
    (r"", PowerActionError, "it cannot just now"),
)

_NOT_BACK = re.compile(r"[Ff]ailed to (re)?connect to the hypervisor")
_LOST = re.compile(
    r"End of file while|client socket is closed|Cannot (recv|write) data|keepalive timeout|Broken pipe"
    r"|Connection reset|Disconnected from"
)


def cannot_connect(name: str, complaints: Sequence[str]) -> PowerError:
    """
    Why a virsh did not come to its first command.
    """
    said = _words(complaints)
    return (
        _meaning(_CONNECTING, name, said) if said else PowerConnError(f"{name}: virsh ended and said nothing")
    )


def failed(name: str, complaints: Sequence[str], *, changes: bool) -> PowerError:
    """
    Why a command did not succeed.

    :param changes: whether it was one that changes power.
    """
    said = _words(complaints)
    if _NOT_BACK.search(said):
        return cannot_connect(name, complaints)
    if _LOST.search(said):
        return PowerConnError(f"{name}: the connection broke ({said})", sent=changes)
    return _meaning(_WORKING, name, said)


def _meaning(table: Sequence[tuple[str, type[PowerError], str]], name: str, said: str) -> PowerError:
    kind, what = next((kind, what) for sign, kind, what in table if re.search(sign, said))
    return kind(f"{name}: {what} ({said})")


def _words(complaints: Sequence[str]) -> str:
    """
    In one line that can be shown to anybody.
    """
    text = "; ".join(line.removeprefix("error: ").strip() for line in complaints)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST]
