# SPDX-License-Identifier: MIT
"""
What can go wrong between a client and the coordinator, besides its refusals.

A refusal arrives as the class of `powercoord.errors` whose name is its code;
these are the others.
"""

from __future__ import annotations

from powercoord import errors
from powercoord.api.commands import NotAuthenticated
from powercoord.errors import BadRequest, PowercoordError

__all__ = ["CallTimeout", "ClientClosed", "NotAuthenticated", "RemoteError", "Unreachable", "error_of"]


class Unreachable(PowercoordError):
    """
    No connection to the coordinator could be made.
    """

    retryable = True


class CallTimeout(PowercoordError):
    """
    The coordinator did not answer in time; what was asked may still happen.
    """

    retryable = True


class ClientClosed(PowercoordError):
    """
    The client was closed before the answer came; what was asked may still happen.
    """


class RemoteError(PowercoordError):
    """
    The coordinator answered with an error that has no class of its own.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self._code = code

    @property
    def code(self) -> str:
        """
        The code on the wire, such as ``INTERNAL``.
        """
        return self._code


def error_of(code: str, text: str) -> PowercoordError:
    """
    The error that a code on the wire stands for.
    """
    if code == "BAD_REQUEST":
        return BadRequest(text)
    if code == "NOT_AUTHENTICATED":
        return NotAuthenticated(text)
    known = getattr(errors, code, None)
    if isinstance(known, type) and issubclass(known, PowercoordError):
        return known(text)
    return RemoteError(code, text)
