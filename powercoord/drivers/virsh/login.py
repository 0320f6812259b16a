# SPDX-License-Identifier: MIT
"""
How a conversation begins, and what a daemon's errors mean to us.
"""

from __future__ import annotations

from powercoord.drivers.virsh import procedures
from powercoord.drivers.virsh.conversation import Conversation, Refusal
from powercoord.drivers.virsh.guests import NoSuchGuest, WrongState
from powercoord.drivers.virsh.procedures import Auth, ErrorCode, Procedure
from powercoord.drivers.virsh.xdr import Malformed, integer
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerUnsupportedError,
)

_UNSUPPORTED = frozenset(
    (
        ErrorCode.NO_SUPPORT,
        ErrorCode.CONFIG_UNSUPPORTED,
        ErrorCode.ARGUMENT_UNSUPPORTED,
        ErrorCode.OPERATION_UNSUPPORTED,
    )
)
_DENIED = frozenset(
    (
        ErrorCode.OPERATION_DENIED,
        ErrorCode.ACCESS_DENIED,
        ErrorCode.AUTH_FAILED,
        ErrorCode.AUTH_CANCELLED,
        ErrorCode.AUTH_UNAVAILABLE,
    )
)


async def log_in(conversation: Conversation, uri: str) -> None:
    """
    From connected to open, with events and "are you there" where the daemon has them.

    :raises PowerAuthError: it does not let us in; the text says what it wanted.
    :raises PowerError: it is not there, or has no such hypervisor.
    """
    name = conversation.name
    wanted = procedures.read_auth(await conversation.call(Procedure.AUTH_LIST))
    if Auth.NONE not in wanted and wanted:
        await _authenticate(conversation, wanted)
    try:
        await conversation.call(Procedure.CONNECT_OPEN, procedures.open_arguments(uri))
    except Refusal as refusal:
        if refusal.error.code in _DENIED:
            raise PowerAuthError(f"{name}: not let in: {refusal.error.text}") from None
        raise PowerConnError(f"{name}: {uri} cannot be opened: {refusal.error.text}") from None
    for procedure, arguments in (
        (Procedure.CONNECT_SUPPORTS_FEATURE, integer(procedures.FEATURE_KEEPALIVE)),
        (Procedure.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, procedures.event_arguments()),
    ):
        try:
            await conversation.call(procedure, arguments)
        except Refusal:
            # Not every hypervisor tells by itself; then it is read more often, and that is all.
            continue


async def _authenticate(conversation: Conversation, wanted: list[int]) -> None:
    """
    By polkit, which asks the daemon's host who we are; everything else would need a password.
    """
    name = conversation.name
    if Auth.POLKIT not in wanted:
        raise PowerAuthError(
            f"{name}: the daemon wants SASL, which is not spoken here; right would be its UNIX socket with"
            ' auth_unix_rw = "none" or "polkit", or ssh as a user who may use that'
        )
    try:
        await conversation.call(Procedure.AUTH_POLKIT)
    except Refusal as refusal:
        raise PowerAuthError(
            f"{name}: polkit does not let us manage guests: {refusal.error.text}; the user that connects"
            " needs org.libvirt.unix.manage (often by being in the group libvirt)"
        ) from None


def meaning(refusal: Refusal, what: str) -> PowerError:
    """
    A daemon's error as the one that tells the caller what to do about it.

    :param what: was asked for, and of whom.
    """
    code, text = refusal.error.code, f"{what}: {refusal.error.text}"
    if code == ErrorCode.NO_DOMAIN:
        return NoSuchGuest(text)
    if code == ErrorCode.OPERATION_INVALID:
        return WrongState(text)
    if code in _UNSUPPORTED:
        return PowerUnsupportedError(text)
    if code in _DENIED:
        # Of one guest only: others at the same hypervisor may be ours all the same.
        return PowerRefusedError(text)
    return PowerActionError(text)


def misread(name: str, error: Malformed) -> PowerConnError:
    """
    An answer that makes no sense: then no other of that daemon is believed either.
    """
    return PowerConnError(f"{name}: this is not libvirt's protocol: {error}")
