# SPDX-License-Identifier: MIT
"""
HTTP digest authentication from the server's end (RFC 2617), in the form that AMT has it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from enum import Enum, auto

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.amt.profile import Profile

#: Nonces that are remembered, at most.
MEMORY = 256

_PAIR = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class Verdict(Enum):
    """
    What to make of a request's credentials.
    """

    NONE = auto()
    RIGHT = auto()
    STALE = auto()
    WRONG = auto()


@define
class Nonce:
    """
    One that was given out.
    """

    born: float
    uses: int = 0
    count: int = 0


@define(eq=False)
class Guard:
    """
    Gives out challenges and judges what comes back.
    """

    _clock: IReactorTime = field(repr=False)
    _profile: Profile
    _random_bytes: Callable[[int], bytes] = field(repr=False)
    _nonces: dict[str, Nonce] = field(init=False, factory=dict, repr=False)

    def challenge(self, stale: bool) -> str:
        """
        A ``WWW-Authenticate`` header's value, with a new nonce.
        """
        nonce = b64encode(self._random_bytes(24)).decode()
        self._nonces[nonce] = Nonce(self._clock.seconds())
        if len(self._nonces) > MEMORY:
            del self._nonces[next(iter(self._nonces))]
        profile = self._profile
        parts = [f'nonce="{nonce}"', f'stale="{str(stale).lower()}"']
        if profile.qop:
            parts.append(f'qop="{profile.qop}"')
        comma = ", " if profile.spaced else ","
        return f'Digest realm="{profile.realm}", ' + comma.join(parts)

    def judge(self, method: str, header: str, body: bytes, password: str) -> Verdict:
        """
        Judge an ``Authorization`` header; empty: there was none.
        """
        scheme, _, rest = header.partition(" ")
        if scheme.lower() != "digest":
            return Verdict.WRONG if header else Verdict.NONE
        said = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
        if said.get("response") != self._expected(method, said, body, password):
            return Verdict.WRONG
        return Verdict.RIGHT if self._fresh(said) else Verdict.STALE

    def forget(self) -> None:
        """
        All nonces are stale from now on.
        """
        self._nonces.clear()

    def _expected(self, method: str, said: Mapping[str, str], body: bytes, password: str) -> str | None:
        profile, qop = self._profile, said.get("qop", "")
        offered = {each.strip() for each in profile.qop.split(",") if each.strip()}
        if said.get("username") != profile.username or said.get("realm") != profile.realm:
            return None
        if qop not in (offered or {""}):
            return None
        first = _md5(f"{profile.username}:{profile.realm}:{password}")
        entity = f":{hashlib.md5(body).hexdigest()}" if qop == "auth-int" else ""
        second = _md5(f"{method}:{said.get('uri', '')}{entity}")
        middle = (
            [said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
            if qop
            else [said.get("nonce", "")]
        )
        return _md5(":".join([first, *middle, second]))

    def _fresh(self, said: Mapping[str, str]) -> bool:
        nonce = self._nonces.get(said.get("nonce", ""))
        if nonce is None or self._clock.seconds() - nonce.born > self._profile.nonce_lasts:
            return False
        nonce.uses += 1
        if self._profile.nonce_uses and nonce.uses > self._profile.nonce_uses:
            return False
        if not said.get("qop"):
            return True
        try:
            count = int(said.get("nc", ""), 16)
        except ValueError:
            return False
        fresh, nonce.count = count > nonce.count, max(count, nonce.count)
        return fresh


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
