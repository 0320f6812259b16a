# SPDX-License-Identifier: MIT
"""
What the exit codes mean, and which error leads to which.
"""

from __future__ import annotations

from collections.abc import Iterable

from powercoord.errors import ConfigError, NoSuchAction, NoSuchNode, PowercoordError, RequestRefused

REACHED = 0
NOT_REACHED = 1
BAD_INPUT = 2
NO_COORDINATOR = 3
NOT_KNOWN = 4
INTERRUPTED = 130

MEANINGS = {
    REACHED: "Every node reached its state, or the question was answered.",
    NOT_REACHED: "At least one node did not: it failed, or was refused, superseded or cancelled.",
    BAD_INPUT: "The command line, the node set or the configuration is wrong. Nothing was changed.",
    NO_COORDINATOR: "No coordinator could be reached, or it and we share no secret. Nothing was changed.",
    NOT_KNOWN: "No node failed for certain, but of at least one it is not known how it ended.",
    INTERRUPTED: "Ctrl-C: we stopped waiting. What was accepted goes on.",
}

_WRONG_INPUT = (ConfigError, NoSuchNode, NoSuchAction)
# By their codes, because importing the client's classes would import Twisted.
_BY_CODE = {
    "BadRequest": BAD_INPUT,
    "NodeSetError": BAD_INPUT,
    "Unreachable": NO_COORDINATOR,
    "NotAuthenticated": NO_COORDINATOR,
    "CallTimeout": NOT_KNOWN,
    "ClientClosed": NOT_KNOWN,
}


def exit_code_of(error: PowercoordError) -> int:
    """
    The exit code of a command that ends with this error.
    """
    if isinstance(error, _WRONG_INPUT):
        return BAD_INPUT
    return _BY_CODE.get(error.code, NOT_REACHED)


def line_of(error: PowercoordError) -> str:
    """
    The error in words; one that has none of its own is named by its class.
    """
    text = str(error) or error.code
    if error.code == "Unreachable":
        return f"{text.rstrip('.')}; is the coordinator running? --connect or --config name another"
    return f"refused: {text}" if isinstance(error, RequestRefused) and error.retryable else text


def worst(codes: Iterable[int]) -> int:
    """
    The exit code of many nodes: what is certain says more than what is not known.
    """
    seen = set(codes)
    return next((code for code in (NOT_REACHED, NOT_KNOWN) if code in seen), REACHED)
