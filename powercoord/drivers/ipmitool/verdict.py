# SPDX-License-Identifier: MIT
"""
What `ipmitool` says, and what it means. The texts are those of 1.8.18 and 1.8.19.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from powercoord.drivers.children import Ended, hide
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
)
from powercoord.model import PowerState

_STATE = re.compile(rb"^Chassis Power is (on|off)\s*$", re.MULTILINE)
_EFI = re.compile(rb"BIOS EFI boot", re.IGNORECASE)
_NOISE = re.compile(
    r"Loading IANA PEN|Running Get VSO|Invalid completion code received|Discovered IPMB|Using best available"
    r"|Get HPM\.x Capabilities|Unable to Get Channel Cipher Suites|^Error: Unable to establish"
)
_LONGEST = 300


@frozen
class Meaning:
    """
    A text, the kind of error that it is, and whether a command may have been done before it.
    """

    text: str
    kind: type[PowerError]
    after_sending: bool = False
    words: str = ""


#: Looked for in this order, in lower case.
MEANINGS: Sequence[Meaning] = (
    Meaning("rakp 2 hmac is invalid", PowerAuthError, words="wrong password or K_g"),
    Meaning("rakp 4 message has invalid integrity", PowerAuthError, words="wrong K_g"),
    Meaning("unauthorized name", PowerAuthError, words="no such user"),
    Meaning("unauthorized role", PowerAuthError, words="the user may not have this privilege level"),
    Meaning("unauthorized guid", PowerAuthError),
    Meaning("invalid user name", PowerAuthError, words="no such user"),
    Meaning("requested privilege level exceeds limit", PowerAuthError),
    Meaning("password verification timeout", PowerAuthError),
    Meaning("insufficient resources for session", PowerActionError),
    Meaning("no session slot available", PowerActionError),
    Meaning("no slot available for given user", PowerActionError),
    Meaning(
        "invalid authentication algorithm", PowerSettingError, words="another cipher_suite would be right"
    ),
    Meaning("invalid integrity algorithm", PowerSettingError, words="another cipher_suite would be right"),
    Meaning("no matching cipher suite", PowerSettingError, words="another cipher_suite would be right"),
    Meaning("no cipher suite match", PowerSettingError, words="another cipher_suite would be right"),
    Meaning("activate session command failed", PowerAuthError, words="it answered all but the login"),
    Meaning("address lookup for", PowerConnError),
    Meaning("could not open socket", PowerConnError),
    Meaning("unable to establish", PowerConnError, words="no answer"),
    Meaning("invalid interface", PowerToolError),
    Meaning("failed: node busy", PowerActionError),
    Meaning("failed: out of space", PowerActionError),
    Meaning("failed: bmc initialization", PowerActionError),
    Meaning("failed: sdr repository in update mode", PowerActionError),
    Meaning("failed: device firmware in update mode", PowerActionError),
    Meaning("failed: destination unavailable", PowerActionError),
    Meaning("failed: timeout while processing", PowerActionError, after_sending=True),
    Meaning("failed: ", PowerRefusedError),
    Meaning("unable to set", PowerConnError, after_sending=True, words="no answer to the command"),
    Meaning("unable to get", PowerConnError, words="no answer to the read"),
    Meaning("error setting", PowerConnError, after_sending=True, words="no answer to the command"),
)

_UNKNOWN = Meaning("", PowerActionError, after_sending=True)


def state_of(ended: Ended) -> PowerState | None:
    """
    What ``chassis power status`` said; None: nothing that can be believed.
    """
    found = _STATE.search(ended.stdout)
    if ended.code != 0 or found is None:
        return None
    return PowerState.ON if found[1] == b"on" else PowerState.OFF


def efi_of(ended: Ended) -> bool:
    """
    Whether ``bootparam get 5`` said that the machine starts by EFI.
    """
    return ended.code == 0 and _EFI.search(ended.stdout) is not None


def has_answered(ended: Ended) -> bool:
    """
    Whether the BMC let us in, and said what we did not want to hear.
    """
    return issubclass(_meaning(ended).kind, PowerRefusedError)


def error_of(what: str, ended: Ended, secrets: Sequence[str], *, changes: bool) -> PowerError:
    """
    Why it failed, as the error that tells the caller what to do about it.
    """
    said = _lines(ended)
    meaning = _meaning(ended)
    words = (meaning.words,) if meaning.words else ()
    reasons = [*(hide(line, secrets) for line in said), *words] or [ended.words()]
    text = f"{what}: {'; '.join(reasons)[:_LONGEST]}"
    return meaning.kind(text, sent=changes and meaning.after_sending)


def _meaning(ended: Ended) -> Meaning:
    everything = (ended.stderr + b"\n" + ended.stdout).decode(errors="replace").lower()
    return next((each for each in MEANINGS if each.text in everything), _UNKNOWN)


def _lines(ended: Ended) -> Sequence[str]:
    lines = [" ".join(line.split()) for line in ended.stderr.decode(errors="replace").splitlines()]
    return list(dict.fromkeys(line.lstrip("> ") for line in lines if line and not _NOISE.search(line)))
