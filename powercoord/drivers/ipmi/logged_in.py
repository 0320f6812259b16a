# SPDX-License-Identifier: MIT
"""
The script around each command: a session is found, opened or opened again.

# Note [Sessions that a BMC forgot]

A BMC says nothing to a packet of a session that it does not know: after its own reset, after
its idle limit, or because another client needed the slot. So a kept session is believed for
`PATIENCE` only. Then a new one is opened, and the command is sent again, once. A command that
may leave only once is not: a read before it finds out whether the session is still there,
unless that is known already.
"""

from __future__ import annotations

from powercoord.drivers.ipmi.ask import Command, CommandAsk, NoAnswer, Pause, Reply, Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.channel import SetPrivilege
from powercoord.drivers.ipmi.chassis import GetChassisStatus
from powercoord.drivers.ipmi.completion import INSUFFICIENT_PRIVILEGE, OK, words
from powercoord.drivers.ipmi.ipmi15_login import ask_capabilities, open_ipmi15
from powercoord.drivers.ipmi.rmcpplus_login import SlotsFull, StartOver, open_rmcpplus
from powercoord.drivers.ipmi.session import Session
from powercoord.errors import PowerAuthError, PowerConnError, PowerSettingError

#: How long a kept session may be silent before it counts as forgotten, in seconds.
PATIENCE = 1.0
#: A session that carried an answer so recently is still there.
FRESH = 1.0
#: Between two attempts to get one of the BMC's session slots.
SLOT_PAUSE = 0.5
_RESTARTS = 3

STATUS = Command(GetChassisStatus.NETFN, GetChassisStatus.COMMAND)


def carry_out(bmc: Bmc, login: Login, command: Command) -> Script[Reply]:
    """
    Get one command answered.

    :raises NoAnswer: it is not; the session is forgotten then.
    """
    if command.privilege > login.privilege:
        raise PowerSettingError(
            f"{bmc.what}: privilege_level is too low to change anything; OPERATOR is needed"
        )
    try:
        session = bmc.session
        if session is None:
            session = yield from log_in(bmc, login)
        elif command.limit == 1:
            session = yield from _probe(bmc, login, session)
        else:
            try:
                return (yield from _say(bmc, login, session, command, PATIENCE))
            except NoAnswer:
                bmc.forgotten()
                session = yield from log_in(bmc, login)
        return (yield from _say(bmc, login, session, command))
    except NoAnswer:
        bmc.forget()
        raise


def _probe(bmc: Bmc, login: Login, session: Session) -> Script[Session]:
    """
    A session that is known to be there: see note [Sessions that a BMC forgot].
    """
    if bmc.age() <= FRESH:
        return session
    try:
        yield from _say(bmc, login, session, STATUS, PATIENCE)
    except NoAnswer:
        bmc.forgotten()
        return (yield from log_in(bmc, login))
    return session


def _say(
    bmc: Bmc, login: Login, session: Session, command: Command, patience: float | None = None
) -> Script[Reply]:
    """
    Have a command answered in a session, at the level that it needs.
    """
    check = login.quirks.check_checksums
    if command.privilege > session.privilege:
        yield from _raise_level(bmc, login, session, patience)
    response: Reply = yield CommandAsk(session, command, check, patience)
    if response.code == INSUFFICIENT_PRIVILEGE and session.privilege < login.privilege:
        # It did nothing, so even what may leave only once may leave again.
        yield from _raise_level(bmc, login, session, patience)
        response = yield CommandAsk(session, command, check, patience)
    bmc.heard = bmc.seconds()
    return response


def _raise_level(bmc: Bmc, login: Login, session: Session, patience: float | None) -> Script[None]:
    request = SetPrivilege(login.privilege)
    command = Command(request.NETFN, request.COMMAND, request.encode())
    response = yield CommandAsk(session, command, login.quirks.check_checksums, patience)
    if response.code != OK:
        reason = words(response.code, request.NETFN, request.COMMAND)
        raise PowerAuthError(f"{bmc.what}: this user cannot have the configured privilege_level: {reason}")
    session.privilege = login.privilege


def log_in(bmc: Bmc, login: Login) -> Script[Session]:
    """
    Open a session and keep it. Waits for a slot where all are taken.
    """
    bmc.forget()
    restarts = 0
    while True:
        try:
            session = yield from _open(bmc, login)
        except StartOver as over:
            restarts += 1
            if restarts > _RESTARTS:
                raise over.error from None
        except SlotsFull as error:
            yield from _wait_for_slot(bmc, error)
        else:
            bmc.keep(session, login)
            return session


def _wait_for_slot(bmc: Bmc, error: SlotsFull) -> Script[None]:
    try:
        yield Pause(SLOT_PAUSE)
    except NoAnswer:
        raise PowerConnError(f"{bmc.what}: {error}") from error


def _open(bmc: Bmc, login: Login) -> Script[Session]:
    """
    A session of the best version that there is. That IPMI 1.5 was needed once is not remembered.
    """
    if not login.allow_ipmi15:
        return (yield from open_rmcpplus(bmc, login))
    offered = None if bmc.rmcpplus else (yield from ask_capabilities(bmc, login))
    if login.suites and (offered is None or offered.rmcpplus):
        try:
            session = yield from open_rmcpplus(bmc, login)
        except PowerSettingError:
            bmc.rmcpplus = False
        else:
            bmc.rmcpplus = True
            return session
    if offered is None:
        offered = yield from ask_capabilities(bmc, login)
    return (yield from open_ipmi15(bmc, login, offered))
