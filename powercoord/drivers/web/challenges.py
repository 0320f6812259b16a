# SPDX-License-Identifier: MIT
"""
The challenges of a 401: ``WWW-Authenticate`` as servers really write it.

RFC 9110 section 11.6.1 allows several challenges in one header and several
headers, with commas both between challenges and between parameters.  Firmware
leaves out spaces after commas (Intel AMT), or the commas, or doubles them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import field, frozen

#: No honest header is longer; what comes after it is not read.
LONGEST = 8192

_GAP = re.compile(r"[ \t,]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_TOKEN68 = re.compile(r" +([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|\Z)")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"')
_PAIR = re.compile(r"\\(.)")
#: An unquoted value: a token, or what firmware takes for one (base64, addresses); maybe nothing.
_BARE = re.compile(r"[^\s,\"\x00-\x1f\x7f]*")


@frozen
class Challenge:
    """
    One way to authenticate that a server offers.

    :param scheme: in lower case.
    :param parameters: by their names in lower case; of one that is repeated the first.
    :param token: what a scheme without parameters brings (``token68``).
    """

    scheme: str
    parameters: Mapping[str, str] = field(factory=dict)
    token: str = ""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """
    All challenges of all ``WWW-Authenticate`` headers, in their order.

    A header ends where it cannot be read any further; the challenge there is left out, as half of it may
    mean another thing than the whole.
    """
    return tuple(challenge for header in headers for challenge in _challenges(header[:LONGEST]))


def _challenges(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    at = _skip(text, 0)
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return found[:-1]
        at = token.end()
        equals = _EQUALS.match(text, at)
        if equals is None:
            parameters = {}
            carried = _TOKEN68.match(text, at)
            at = at if carried is None else carried.end()
            found.append(Challenge(token[0].lower(), parameters, "" if carried is None else carried[1]))
        else:
            value = _value(text, equals.end())
            if value is None or not found:
                return found[:-1]
            parameters.setdefault(token[0].lower(), value[0])
            at = value[1]
        at = _skip(text, at)
    return found


def _skip(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()


def _value(text: str, at: int) -> tuple[str, int] | None:
    """
    A parameter's value and where it ends; None: its quotes never do.
    """
    if text[at : at + 1] == '"':
        quoted = _QUOTED.match(text, at)
        return None if quoted is None else (_PAIR.sub(r"\1", quoted[1]), quoted.end())
    bare = _BARE.match(text, at)
    return None if bare is None else (bare[0], bare.end())
