# SPDX-License-Identifier: MIT
"""
What the end of an agent means.

Agents end with 0, or with 2 where a status is off; all else is 1, and the reason is in what they print
(``FenceAgentAPI.md``, and the texts of the ``fail`` function of their library).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum

from powercoord.drivers.children import Ended, hide
from powercoord.errors import (
    PowerActionError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
    PowerUnsupportedError,
)
from powercoord.model import PowerState

_ON, _OFF = 0, 2
_LONGEST = 300

# "2026-01-01 12:00:00,123 ERROR: Failed: ..." as their library writes it.
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +(?P<level>[A-Z]+): ?(?P<text>.*)$")
_SAID_STATUS = re.compile(r"^Status: (ON|OFF)\s*$", re.MULTILINE)
_NOISE = re.compile(r"Please use '-h' for usage|DeprecationWarning|^\s*(from|import) |^Traceback")


class Trouble(Enum):
    """
    A kind of failure.

    ``LOGIN``: it was the way there or the password.  ``OVERDUE`` and ``UNUSABLE``: these or something else.
    """

    LOGIN = "login"
    NOT_YET = "not yet"
    OVERDUE = "overdue"
    SILENT = "silent"
    UNUSABLE = "unusable"
    SETTING = "setting"
    PRIVILEGES = "privileges"
    TOOL = "tool"
    UNSUPPORTED = "unsupported"


#: Looked for in this order, in lower case.
TEXTS: Sequence[tuple[str, Trouble]] = (
    ("unable to connect/login", Trouble.LOGIN),
    ("timed out waiting to power", Trouble.NOT_YET),
    ("connection timed out", Trouble.OVERDUE),
    ("connection lost", Trouble.SILENT),
    ("connection refused", Trouble.SILENT),
    ("no route to host", Trouble.SILENT),
    ("could not resolve", Trouble.SILENT),
    ("couldn't connect", Trouble.SILENT),
    ("unable to obtain correct plug status", Trouble.UNUSABLE),
    ("correct privileges", Trouble.PRIVILEGES),
    ("you have to", Trouble.SETTING),
    ("is not a valid", Trouble.SETTING),
    ("can not find vm uuid", Trouble.SETTING),
    ("not found or not accessible", Trouble.TOOL),
    ("command was not found", Trouble.TOOL),
    ("unable to run", Trouble.TOOL),
    ("no module named", Trouble.TOOL),
    ("unrecognised action", Trouble.UNSUPPORTED),
    ("unsupported action", Trouble.UNSUPPORTED),
)

_ERRORS: dict[Trouble, tuple[Callable[..., PowerError], bool]] = {
    Trouble.OVERDUE: (PowerConnError, True),
    Trouble.SILENT: (PowerConnError, True),
    Trouble.UNUSABLE: (PowerActionError, True),
    Trouble.SETTING: (PowerSettingError, False),
    Trouble.PRIVILEGES: (PowerRefusedError, False),
    Trouble.TOOL: (PowerToolError, False),
    Trouble.UNSUPPORTED: (PowerUnsupportedError, False),
}


def trouble_of(ended: Ended) -> Trouble | None:
    """
    Which kind of failure the agent's texts tell of; None: one that we do not know.
    """
    said = (ended.stderr + b"\n" + ended.stdout).decode(errors="replace").lower()
    return next((trouble for text, trouble in TEXTS if text in said), None)


def state_of(ended: Ended) -> PowerState | None:
    """
    The state that a ``status`` ended with; None: none that can be believed.
    """
    state = {_ON: PowerState.ON, _OFF: PowerState.OFF}.get(-1 if ended.code is None else ended.code)
    said = _SAID_STATUS.search(ended.stdout.decode(errors="replace"))
    contradicts = state is not None and said is not None and said[1].lower() != state.value
    return None if contradicts else state


def error_of(what: str, ended: Ended, secrets: Sequence[str], *, changes: bool) -> PowerError:
    """
    Why an agent failed, as the error that tells the caller what to do about it.

    :param changes: whether it was to change power, which it may have done before it failed.
    """
    trouble = trouble_of(ended)
    kind, unsure = _ERRORS.get(trouble, (PowerActionError, True)) if trouble else (PowerActionError, True)
    return kind(f"{what}: {reason(ended, secrets)}", sent=changes and unsure)


def reason(ended: Ended, secrets: Sequence[str]) -> str:
    """
    What the agent said, without secrets and clutter.
    """
    said = _errors(ended.stderr) or _errors(ended.stdout)
    text = f"{said} ({ended.words()})" if said else f"{ended.words()}, and no reason given"
    return hide(text, secrets)


def _errors(output: bytes) -> str:
    """
    The lines that the agent calls errors; where there are none, its last line.
    """
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not _NOISE.search(line)]
    logged = [found for line in lines if (found := _LOGGED.match(line))]
    errors = [found["text"].strip() for found in logged if found["level"] in ("ERROR", "CRITICAL")]
    plain = [line for line in lines if not _LOGGED.match(line)]
    chosen = [text for text in dict.fromkeys(errors) if text] or plain[-1:]
    return "; ".join(chosen)[:_LONGEST]
