# SPDX-License-Identifier: MIT
"""
What BMCs answer, in words: completion codes of commands, status codes of session setup.

IPMI 2.0 section 5.2 (generic codes), the command specific ones of sections 22 and 28,
and section 13.24 (RMCP+ status codes).
"""

from collections.abc import Mapping
from types import MappingProxyType

OK = 0x00
NODE_BUSY = 0xC0
INVALID_COMMAND = 0xC1
TIMEOUT = 0xC3
OUT_OF_SPACE = 0xC4
INVALID_DATA = 0xCC
NO_RESPONSE = 0xCE
DUPLICATED = 0xCF
UPDATING = 0xD1
INITIALISING = 0xD2
DESTINATION_UNAVAILABLE = 0xD3
INSUFFICIENT_PRIVILEGE = 0xD4
WRONG_STATE = 0xD5
UNSPECIFIED = 0xFF

GENERIC: Mapping[int, str] = MappingProxyType(
    {
        0x00: "command completed normally",
        0xC0: "node busy",
        0xC1: "invalid command",
        0xC2: "command invalid for the given LUN",
        0xC3: "timeout while processing the command",
        0xC4: "out of space",
        0xC5: "reservation cancelled or invalid reservation ID",
        0xC6: "request data truncated",
        0xC7: "request data length invalid",
        0xC8: "request data field length limit exceeded",
        0xC9: "parameter out of range",
        0xCA: "cannot return the number of requested data bytes",
        0xCB: "requested sensor, data or record not present",
        0xCC: "invalid data field in request",
        0xCD: "command illegal for the specified sensor or record type",
        0xCE: "command response could not be provided",
        0xCF: "cannot execute a duplicated request",
        0xD0: "SDR repository in update mode",
        0xD1: "device in firmware update mode",
        0xD2: "BMC initialization in progress",
        0xD3: "destination unavailable",
        0xD4: "insufficient privilege level",
        0xD5: "command or parameter not supported in the present state",
        0xD6: "command sub-function disabled or unavailable",
        0xFF: "unspecified error",
    }
)

#: (network function, command, code): words that only this command gives the code.
SPECIFIC: Mapping[tuple[int, int, int], str] = MappingProxyType(
    {
        (0x00, 0x08, 0x80): "parameter not supported",
        (0x00, 0x08, 0x81): "set already in progress",
        (0x00, 0x08, 0x82): "parameter is read-only",
        (0x00, 0x09, 0x80): "parameter not supported",
        (0x06, 0x39, 0x81): "invalid user name",
        (0x06, 0x39, 0x82): "null user name is not enabled",
        (0x06, 0x3A, 0x81): "no session slot available",
        (0x06, 0x3A, 0x82): "no slot available for this user",
        (0x06, 0x3A, 0x83): "no slot available for this user at the requested privilege level",
        (0x06, 0x3A, 0x84): "session sequence number out of range",
        (0x06, 0x3A, 0x85): "invalid session ID",
        (0x06, 0x3A, 0x86): "privilege level above the limit of the user or the channel",
        (0x06, 0x3B, 0x80): "requested level not available for this user",
        (0x06, 0x3B, 0x81): "requested level above the limit of the user or the channel",
        (0x06, 0x3B, 0x82): "user level authentication cannot be disabled",
        (0x06, 0x3C, 0x87): "invalid session ID",
        (0x06, 0x3C, 0x88): "invalid session handle",
    }
)

STATUS_OK = 0x00
STATUS_NO_RESOURCES = 0x01
STATUS_BAD_SESSION = 0x02
STATUS_BAD_INTEGRITY_VALUE = 0x0F

#: RMCP+ status codes, section 13.24, in words.
STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        0x00: "no errors",
        0x01: "insufficient resources to create a session (all session slots are taken)",
        0x02: "invalid session ID",
        0x03: "invalid payload type",
        0x04: "invalid authentication algorithm",
        0x05: "invalid integrity algorithm",
        0x06: "no matching authentication payload",
        0x07: "no matching integrity payload",
        0x08: "inactive session ID",
        0x09: "invalid role",
        0x0A: "unauthorized role or privilege level requested",
        0x0B: "insufficient resources to create a session at the requested role",
        0x0C: "invalid name length",
        0x0D: "unauthorized name",
        0x0E: "unauthorized GUID",
        0x0F: "invalid integrity check value",
        0x10: "invalid confidentiality algorithm",
        0x11: "no cipher suite match with proposed security algorithms",
        0x12: "illegal or unrecognized parameter",
    }
)

#: Said by a BMC that may do the same thing later: worth another try.
TRANSIENT = frozenset((NODE_BUSY, TIMEOUT, OUT_OF_SPACE, UPDATING, INITIALISING))


def words(code: int, netfn: int = -1, command: int = -1) -> str:
    """
    A code as an operator reads it, always with the number itself.
    """
    text = SPECIFIC.get((netfn, command, code)) or GENERIC.get(code)
    if text is None:
        text = "OEM specific code" if 0x01 <= code <= 0x7E else "unknown code"
        if 0x80 <= code <= 0xBE:
            text = "command specific code"
    return f"{text} (completion code {code:#04x})"


def status_words(status: int) -> str:
    """
    A status as an operator reads it.
    """
    return f"{STATUS_WORDS.get(status, 'reserved status')} (RMCP+ status {status:#04x})"
