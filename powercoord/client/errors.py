# SPDX-License-Identifier: MIT
"""
What can go wrong between a client and the coordinator, besides its refusals.

A refusal arrives as the class of `powercoord.errors` whose name is its code;
these are the others.
"""

from __future__ import annotations

from powercoord.errors import PowercoordError


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


class NotAuthenticated(PowercoordError):
    """
    One side could not prove that it knows the shared secret.
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
