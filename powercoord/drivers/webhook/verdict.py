# SPDX-License-Identifier: MIT
"""
What an answer means: HTTP's status (RFC 9110, section 15), and the words of a query's body.
"""

from __future__ import annotations

from powercoord.drivers.web import Answer
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import PowerState

_NOT_NOW = frozenset((408, 409, 423, 425, 429, 503))
_NOT_THERE = frozenset((404, 405, 410, 501))


def error_of(what: str, answer: Answer, *, changes: bool) -> PowerError | None:
    """
    Why the server did not do it; None: it did, or says so.
    """
    status = answer.status
    text = f"{what}: HTTP status {status}"
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        return PowerAuthError(f"{text}; user name, password or token are not taken")
    if status in _NOT_THERE:
        return PowerSettingError(f"{text}; the URI is not the right one")
    if status in _NOT_NOW:
        return PowerActionError(text)
    if status >= 500:
        return PowerActionError(text, sent=changes)
    return PowerRefusedError(text)


def state_of(what: str, *, on: bool, off: bool) -> PowerState:
    """
    The state that the words of an answer tell.

    :raises PowerActionError: both or neither was found.
    """
    if on is off:
        which = "both power_on_regex and power_off_regex are" if on else "neither regex is"
        raise PowerActionError(f"{what}: {which} found in the answer, so the state is not known")
    return PowerState.ON if on else PowerState.OFF
