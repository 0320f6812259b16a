# SPDX-License-Identifier: MIT
"""
The commands about the BMC itself and its sessions, IPMI 2.0 chapters 20 and 22.
"""

from __future__ import annotations

from types import MappingProxyType

from powercoord.drivers.ipmi.channel import (
    AuthCapabilities,
    CipherSuites,
    CloseSession,
    GetAuthCapabilities,
    GetCipherSuites,
    SetPrivilege,
    suite_records,
)
from powercoord.drivers.ipmi.chassis import DeviceId, GetDeviceId
from powercoord.drivers.ipmi.completion import INVALID_DATA
from powercoord.drivers.ipmi.lan import NETFN_APP
from powercoord.drivers.ipmi.session15 import AUTH_MD5
from powercoord.drivers.ipmi.suites import SUITES
from powercoord.sim.commands import ANYBODY, Call, Command, Refusal, Table
from powercoord.sim.profile import Privilege, Profile

PRIVILEGE_TOO_HIGH = 0x81
INVALID_SESSION = 0x87

CHANNEL = 1

_NULL_USERS, _NAMED_USERS, _KG_IS_SET = 0x02, 0x04, 0x20
_IPMI15, _IPMI20 = 0x01, 0x02
_CHASSIS_DEVICE = 0x80


def _device_id(call: Call) -> bytes:
    profile = call.profile
    version = 0x02 if profile.suites else 0x51
    return DeviceId(0x20, 1, 1, 0, version, _CHASSIS_DEVICE, profile.manufacturer, profile.product).encode()


def _guid(call: Call) -> bytes:
    return call.guid


def _authentication(call: Call) -> bytes:
    wanted, profile = GetAuthCapabilities.decode(call.request.data), call.profile
    types = profile.ipmi15 << AUTH_MD5
    if not (wanted.extended and profile.suites):
        return AuthCapabilities(CHANNEL, types, _login_status(profile), extended=False).encode()
    versions = _IPMI20 | _IPMI15 * profile.ipmi15
    return AuthCapabilities(CHANNEL, types, _login_status(profile), versions).encode()


def _login_status(profile: Profile) -> int:
    named = any(user.name for user in profile.users)
    null = any(not user.name for user in profile.users)
    return _NAMED_USERS * named | _NULL_USERS * null | _KG_IS_SET * bool(profile.kg)


def _cipher_suites(call: Call) -> bytes:
    start = GetCipherSuites.decode(call.request.data).index * CipherSuites.PIECE
    chosen = [(number, SUITES[number]) for number in call.profile.suites]
    records = suite_records(
        {number: (suite.authentication, suite.integrity, suite.confidentiality) for number, suite in chosen}
    )
    return CipherSuites(CHANNEL, records[start : start + CipherSuites.PIECE]).encode()


def _set_privilege(call: Call) -> bytes:
    level, session = SetPrivilege.decode(call.request.data).privilege, call.session
    if session is None or session.user is None:
        raise Refusal(INVALID_SESSION)
    if level > Privilege.ADMINISTRATOR or level == Privilege.CALLBACK:
        raise Refusal(INVALID_DATA)
    if level > min(session.limit, session.user.privilege):
        raise Refusal(PRIVILEGE_TOO_HIGH)
    session.privilege = level or session.privilege
    return SetPrivilege(session.privilege).encode()


def _close(call: Call) -> bytes:
    session_id = CloseSession.decode(call.request.data).session_id
    if call.table.find(session_id) is None:
        raise Refusal(INVALID_SESSION)
    call.table.close(session_id)
    return b""


def _session_info(call: Call) -> bytes:
    active = sum(session.active for session in call.table)
    return bytes((1, call.profile.slots & 0x3F, active & 0x3F))


APP_COMMANDS: Table = MappingProxyType(
    {
        (NETFN_APP, GetDeviceId.COMMAND): Command("device-id", Privilege.USER, _device_id),
        (NETFN_APP, 0x37): Command("guid", ANYBODY, _guid),
        (NETFN_APP, GetAuthCapabilities.COMMAND): Command("authentication", ANYBODY, _authentication),
        (NETFN_APP, SetPrivilege.COMMAND): Command("privilege", Privilege.CALLBACK, _set_privilege),
        (NETFN_APP, CloseSession.COMMAND): Command("close", Privilege.CALLBACK, _close),
        (NETFN_APP, 0x3D): Command("session-info", Privilege.USER, _session_info),
        (NETFN_APP, GetCipherSuites.COMMAND): Command("cipher-suites", ANYBODY, _cipher_suites),
    }
)
