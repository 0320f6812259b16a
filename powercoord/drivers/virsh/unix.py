# SPDX-License-Identifier: MIT
"""
The way to a daemon on this host: its UNIX socket.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory

from powercoord.drivers.virsh.conversation import Conversation
from powercoord.errors import PowerAuthError, PowerConnError, PowerError


class _Only(Factory):
    """
    Makes the one protocol that it was given.
    """

    noisy = False

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def buildProtocol(self, addr: object) -> Conversation:
        """
        That one.
        """
        return self._conversation


@frozen
class UnixDial:
    """
    Connects to the first of some sockets that is there.
    """

    _reactor: Any
    _sockets: Sequence[str]

    async def __call__(self, conversation: Conversation) -> None:
        """
        See `powercoord.drivers.virsh.line.Dial`.

        :raises PowerError: none is there, or it is not for us.
        """
        errors: list[PowerError] = []
        for path in self._sockets:
            try:
                await UNIXClientEndpoint(self._reactor, path).connect(_Only(conversation))
            except ConnectError as error:
                errors.append(_meaning(conversation.name, path, error))
            else:
                return
        # That one is there and not for us says more than that another is not there.
        errors.sort(key=lambda error: isinstance(error, PowerConnError))
        raise errors[0] if errors else PowerConnError(f"{conversation.name}: no socket is known; say which")


def _meaning(name: str, path: str, error: ConnectError) -> PowerError:
    number = getattr(error, "osError", None)
    if number in (errno.EACCES, errno.EPERM):
        return PowerAuthError(
            f"{name}: {path} may not be opened by the user that the coordinator runs as;"
            " put it into the group that may (often libvirt)"
        )
    if number == errno.ENOENT:
        return PowerConnError(f"{name}: no socket {path}; is libvirt's daemon installed and running?")
    if number == errno.ECONNREFUSED:
        return PowerConnError(f"{name}: nobody listens on {path}; is libvirt's daemon running?")
    return PowerConnError(f"{name}: {path}: {error}")
