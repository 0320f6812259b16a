# SPDX-License-Identifier: MIT
"""
HTTP digest authentication, from the client's end: RFC 7616, and RFC 2069 where a server sends no qop.

Nothing here is sent or received: a `Digest` is told what a server answered and
says what the next request's ``Authorization`` is.  Left out, because no server
needs it: ``auth-int`` (which would hash every body), ``nextnonce`` (its lack
costs one round trip, when the nonce is stale) and ``rspauth``.

# Note [Which 401 is a wrong password]

Accounts lock, so credentials that were refused never leave again.  A 401 to

* a request without credentials asks for them;
* credentials made of a nonce that the server has accepted before says that
  the nonce is used up, whatever ``stale`` says (firmware that restarted knows
  nothing of its old nonces and says "false"): a new nonce is tried, once;
* the first credentials made of a nonce is a refusal, unless ``stale`` says that
  they were right (section 3.3): then a new nonce is tried, once.

Credentials whose answer was lost may have been refused.  Their nonce is
forgotten, so that the next ones are again the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from attrs import define, field, frozen

from powercoord.drivers.web.challenges import Challenge, parse_challenges

#: Section 6.1, and "SHA-512", which some servers offer. Python's names.
_HASHES: Mapping[str, str] = MappingProxyType(
    {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256", "sha-512": "sha512"}
)
_SESSION = "-sess"


class DigestError(Exception):
    """
    There is no way to authenticate.
    """


class CredentialsRefused(DigestError):
    """
    The server does not take this user name and password; they must not be repeated.
    """


class ChallengeUnsupported(DigestError):
    """
    The server asks for something else than digest as we speak it.
    """


class NonceRefused(DigestError):
    """
    The server calls each of its nonces stale; the password is not to blame.
    """


@frozen
class _Terms:
    """
    What one challenge demands, understood.

    :param algorithm: as it was written, to be echoed; "" if it was not.
    :param qop: "auth", or "" for the computation of RFC 2069.
    """

    realm: str
    nonce: str
    hash_name: str
    session: bool
    algorithm: str
    qop: str
    opaque: str | None
    userhash: bool
    stale: bool

    def digest(self, *parts: str) -> str:
        """
        H(parts with colons between them), section 3.3.
        """
        return hashlib.new(self.hash_name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()


def _understand(challenge: Challenge) -> _Terms:
    """
    :raises ChallengeUnsupported: with the reason.
    """
    given = challenge.parameters
    if "nonce" not in given or "realm" not in given:
        raise ChallengeUnsupported("a digest challenge without realm or nonce")
    algorithm = given.get("algorithm", "")
    base = (algorithm or "MD5").lower()
    name = _HASHES.get(base.removesuffix(_SESSION))
    if name is None:
        raise ChallengeUnsupported(f"digest algorithm {algorithm[:40]!r} is not known")
    offered = given.get("qop", "").lower().replace(",", " ").split()
    if offered and "auth" not in offered:
        raise ChallengeUnsupported(
            f"digest with qop {' '.join(offered)[:40]!r}, and only 'auth' is supported"
        )
    return _Terms(
        realm=given["realm"],
        nonce=given["nonce"],
        hash_name=name,
        session=base.endswith(_SESSION),
        algorithm=algorithm,
        qop="auth" if offered else "",
        opaque=given.get("opaque"),
        userhash=given.get("userhash", "").lower() == "true",
        stale=given.get("stale", "").lower() == "true",
    )


def _choose(headers: Iterable[str]) -> _Terms:
    """
    The first challenge that can be met: they stand in the server's order (section 3.7).
    """
    challenges = parse_challenges(headers)
    reasons = []
    for challenge in challenges:
        if challenge.scheme != "digest":
            continue
        try:
            return _understand(challenge)
        except ChallengeUnsupported as error:
            reasons.append(str(error))
    if not reasons:
        schemes = ", ".join(sorted({each.scheme[:20] for each in challenges})) or "none"
        reasons.append(f"it offers no digest authentication (schemes offered: {schemes})")
    raise ChallengeUnsupported("; ".join(dict.fromkeys(reasons)))


@define(eq=False)
class _Session:
    """
    A nonce and what was made of it; one cnonce for all, as -sess demands (section 3.4.2).
    """

    terms: _Terms
    cnonce: str
    count: int = 0
    accepted: bool = False

    def write(self, username: str, password: str, method: str, uri: str) -> str:
        """
        The value of ``Authorization`` (section 3.4), counted.
        """
        self.count += 1
        terms, count = self.terms, f"{self.count:08x}"
        secret = terms.digest(username, terms.realm, password)
        if terms.session:
            secret = terms.digest(secret, terms.nonce, self.cnonce)
        asked = terms.digest(method, uri)
        parts = [terms.nonce, count, self.cnonce, terms.qop] if terms.qop else [terms.nonce]
        fields = [
            *self._who(username),
            f"realm={_quoted(terms.realm)}",
            f"nonce={_quoted(terms.nonce)}",
            f"uri={_quoted(uri)}",
            f'response="{terms.digest(secret, *parts, asked)}"',
        ]
        if terms.algorithm:
            fields.append(f"algorithm={terms.algorithm}")
        if terms.opaque is not None:
            fields.append(f"opaque={_quoted(terms.opaque)}")
        if terms.qop:
            fields += [f"qop={terms.qop}", f"nc={count}"]
        if terms.qop or terms.session:
            fields.append(f"cnonce={_quoted(self.cnonce)}")
        return "Digest " + ", ".join(fields)

    def _who(self, username: str) -> list[str]:
        """
        The user's name as itself, hashed (section 3.4.4), or spelt as RFC 5987 has it.
        """
        if self.terms.userhash:
            return [f'username="{self.terms.digest(username, self.terms.realm)}"', "userhash=true"]
        if username.isascii() and username.isprintable():
            return [f"username={_quoted(username)}"]
        return [f"username*=UTF-8''{quote(username, safe='')}"]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@define(eq=False)
class Digest:
    """
    One account at one server, and the nonce that is in use there.

    :param _cnonce: gives a new nonce of ours each time; not to be guessed.
    """

    _username: str
    _password: str = field(repr=False)
    _cnonce: Callable[[], str] = field(repr=False)
    _session: _Session | None = field(default=None, init=False, repr=False)

    def attempt(self, method: str, uri: str) -> Attempt:
        """
        Begin one request; ``uri`` is the request target as it is sent.
        """
        return Attempt(self, method, uri)

    def usable(self) -> _Session | None:
        """
        The session, if the server has accepted it; see note [Which 401 is a wrong password].
        """
        if self._session is not None and not self._session.accepted:
            self._session = None
        return self._session

    def begin(self, terms: _Terms) -> _Session:
        """
        Use a new nonce from now on.
        """
        self._session = _Session(terms, self._cnonce())
        return self._session

    def forget(self) -> None:
        """
        Use no nonce that there was.
        """
        self._session = None

    def write(self, session: _Session, method: str, uri: str) -> str:
        """
        Credentials for one request.
        """
        return session.write(self._username, self._password, method, uri)


@define(eq=False)
class Attempt:
    """
    One request until it is answered with anything but 401, or may not be sent again.
    """

    _digest: Digest
    _method: str
    _uri: str
    _used: _Session | None = field(default=None, init=False, repr=False)
    _next: _Session | None = field(default=None, init=False, repr=False)
    _renewed: bool = field(default=False, init=False)

    def authorization(self) -> str | None:
        """
        What to send now as ``Authorization``; None: nothing, to be asked for it.
        """
        self._used = self._next or self._digest.usable()
        self._next = None
        return None if self._used is None else self._digest.write(self._used, self._method, self._uri)

    def accepted(self) -> None:
        """
        It was answered with something else than 401: these credentials are good.
        """
        if self._used is not None:
            self._used.accepted = True

    def challenged(self, headers: Iterable[str]) -> None:
        """
        It was answered with 401 and these ``WWW-Authenticate``; send it once more, if this returns.

        :raises CredentialsRefused: the server does not take them.
        :raises NonceRefused: it took neither of two nonces.
        :raises ChallengeUnsupported: it asks for what we cannot do.
        """
        used = self._used
        self._digest.forget()
        try:
            terms = _choose(headers)
        except ChallengeUnsupported:
            if used is not None and not used.accepted:
                raise CredentialsRefused("user name or password refused") from None
            raise
        if used is not None:
            self._may_renew(used, terms)
        self._next = self._digest.begin(terms)

    def _may_renew(self, used: _Session, terms: _Terms) -> None:
        """
        See note [Which 401 is a wrong password].
        """
        used_up = used.accepted and terms.nonce != used.terms.nonce
        if not (used_up or terms.stale):
            raise CredentialsRefused("user name or password refused")
        if self._renewed:
            raise NonceRefused("it calls every nonce of its own stale")
        self._renewed = True
