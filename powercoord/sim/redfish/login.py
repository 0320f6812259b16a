# SPDX-License-Identifier: MIT
"""
Who may come in: HTTP Basic, session tokens, login and logout (DSP0266, "Security details").
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from powercoord.sim.redfish.documents import session
from powercoord.sim.redfish.messages import document
from powercoord.sim.redfish.profile import ADMINISTRATOR, Account
from powercoord.sim.redfish.service import ROOT, Call, Refused, Service
from powercoord.sim.web.exchange import Answer, Ask
from powercoord.sim.web.faults import Faults

_SESSIONS = f"{ROOT}/SessionService/Sessions"


def known(service: Service, ask: Ask, faults: Faults) -> Account | None:
    """
    Whoever the credentials of a request belong to.

    :raises Refused: they belong to nobody.
    """
    token = ask.headers.get("x-auth-token")
    if token is not None and service.profile.sessions:
        found = service.sessions.find(token)
        if found is None:
            raise Refused(401, "NoValidSession")
        return found.account
    scheme, _, coded = ask.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or not service.profile.basic:
        return None
    try:
        name, _, password = b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refused(401, "ResourceAtUriUnauthorized") from None
    return checked(service, name, password, faults)


def checked(service: Service, name: str, password: str, faults: Faults) -> Account:
    """
    The account of that name, if that is its password.

    :raises Refused: it is not, or too many have been wrong before.
    """
    account, profile = service.profile.account(name), service.profile
    right = account is not None and password == (faults.password or account.password)
    locked = profile.lock_after and service.record.wrong_passwords >= profile.lock_after
    if account is None or not right or locked:
        service.record.wrong_passwords += 1
        raise Refused(401, "ResourceAtUriUnauthorized")
    return account


def log_in(call: Call) -> Answer:
    """
    Make a session.
    """
    body = call.body()
    for name in ("UserName", "Password"):
        if not isinstance(body.get(name), str):
            raise Refused(400, "PropertyMissing", name)
    account = checked(call.service, body["UserName"], body["Password"], call.faults)
    held = call.service.sessions.open(account)
    if held is None:
        raise Refused(503, "SessionLimitExceeded")
    token, place = ("X-Auth-Token", held.token), ("Location", f"{_SESSIONS}/{held.number}")
    return document(session(held), 201, token, place)


def log_out(call: Call) -> Answer:
    """
    End a session: one's own, or anybody's for an administrator.
    """
    held = call.service.sessions.get(call.words[0])
    if held is None:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    if call.account is not None and held.account.name != call.account.name:
        call.needs(ADMINISTRATOR)
    call.service.sessions.close(held)
    return Answer(code=204)
