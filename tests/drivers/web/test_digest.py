# SPDX-License-Identifier: MIT
"""
HTTP digest: the examples of the RFCs, and what each 401 means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.web.challenges import parse_challenges
from powercoord.drivers.web.digest import (
    Attempt,
    ChallengeUnsupported,
    CredentialsRefused,
    Digest,
    DigestError,
    NonceRefused,
)
from tests.hypothesis_notes import HypothesisNotes

#: RFC 7616 section 3.9.1, without its algorithm.
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm='
)
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
#: RFC 2617 section 3.5, without its qop.
RFC_2617 = (
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
#: RFC 7616 section 3.9.2.
RFC_7616_USERHASH = (
    'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, charset=UTF-8, userhash=true, '
    'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
    'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"'
)


def challenge(nonce: str, *more: str) -> str:
    return ", ".join(['Digest realm="r"', f'nonce="{nonce}"', 'qop="auth"', *more])


def parts(authorization: str | None) -> dict[str, str]:
    assert authorization is not None
    (found,) = parse_challenges([authorization])
    return {"scheme": found.scheme, **found.parameters}


def answered(digest: Digest, header: str, method: str = "GET", uri: str = "/") -> dict[str, str]:
    """
    The credentials that answer a challenge to a request without any.
    """
    attempt = digest.attempt(method, uri)
    assert attempt.authorization() is None
    attempt.challenged([header])
    return parts(attempt.authorization())


class ExampleTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """
        The RFCs' own examples come out; 3.9.2 as erratum 4897 has it, with the final SHA-512/256.
        """
        jason = ("Jäsøn Doe", "Secret, or not?", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json")
        mufasa = ("Mufasa", "Circle of Life", CNONCE_7616, "/dir/index.html")
        older = ("Mufasa", "Circle Of Life", "0a4f113b", "/dir/index.html")
        for header, (username, password, cnonce, uri), expected in (
            (RFC_7616 + "MD5", mufasa, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                RFC_7616 + "SHA-256",
                mufasa,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            (
                RFC_7616_USERHASH,
                jason,
                "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            ),
            (RFC_2617 + ', qop="auth,auth-int"', older, "6629fae49393a05397450978507c4ef1"),
            (RFC_2617, older, "670fd8c2df070c60b045671b8b24ff02"),
        ):
            sent = answered(Digest(username, password, lambda text=cnonce: text), header, uri=uri)
            self.assertEqual(expected, sent["response"], header)

    def test_userhash(self) -> None:
        """
        Where the server wants it, the user's name leaves only as a hash (RFC 7616 section 3.4.4).
        """
        sent = answered(Digest("Jäsøn Doe", "x", lambda: "c"), RFC_7616_USERHASH)

        self.assertEqual("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", sent["username"])
        self.assertEqual("true", sent["userhash"])

    def test_foreign_name(self) -> None:
        """
        A name that a quoted string cannot hold is spelt as RFC 5987 has it; one with quotes is quoted.
        """
        for name, field, written in (
            ("Jäsøn", "username*", "UTF-8''J%C3%A4s%C3%B8n"),
            ("a\nb", "username*", "UTF-8''a%0Ab"),
            ('a"b\\c', "username", 'a"b\\c'),
        ):
            self.assertEqual(written, answered(Digest(name, "x", lambda: "c"), challenge("n"))[field])

    def test_fields(self) -> None:
        """
        What the server gave is echoed, and nothing that it did not give is made up.
        """
        sent = answered(Digest("u", "p", lambda: "c"), RFC_7616 + "SHA-256", "POST", "/x?y")
        plain = answered(Digest("u", "p", lambda: "c"), 'Digest realm="r", nonce="n"')

        self.assertEqual("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", sent["opaque"])
        self.assertEqual(("SHA-256", "auth", "00000001", "c", "/x?y"), fields(sent))
        self.assertEqual({"scheme", "username", "realm", "nonce", "uri", "response"}, set(plain))

    def test_session(self) -> None:
        """
        With -sess the key is made once of nonce and cnonce, and both stay (RFC 7616 section 3.4.2).
        """
        digest = Digest("Mufasa", "Circle Of Life", numbered())
        attempt = digest.attempt("GET", "/dir/index.html")
        attempt.authorization()
        attempt.challenged([RFC_2617 + ', qop="auth", algorithm=MD5-sess'])
        first = parts(attempt.authorization())
        attempt.accepted()
        second = parts(digest.attempt("GET", "/dir/index.html").authorization())

        nonce = first["nonce"]
        key = md5(f"{md5('Mufasa:testrealm@host.com:Circle Of Life')}:{nonce}:c1")
        for sent, number in ((first, 1), (second, 2)):
            asked = f"{nonce}:{number:08x}:c1:auth:{md5('GET:/dir/index.html')}"
            self.assertEqual(md5(f"{key}:{asked}"), sent["response"])
        self.assertEqual((first["cnonce"], "00000002"), (second["cnonce"], second["nc"]))

    def test_secrets(self) -> None:
        """
        Neither the password nor what was made of it shows.
        """
        digest = Digest("u", "geheim", lambda: "cnonce-value")
        attempt = digest.attempt("GET", "/")
        attempt.authorization()
        attempt.challenged([challenge("n")])
        response = parts(attempt.authorization())["response"]

        for secret in ("geheim", "cnonce-value", response):
            self.assertNotIn(secret, repr(digest) + repr(attempt))


class ChoiceTests(SynchronousTestCase):
    def test_algorithms(self) -> None:
        """
        Every algorithm is known by its name in any case, with and without -sess.
        """
        for name, size in (("MD5", 32), ("sha-256", 64), ("SHA-512-256", 64), ("SHA-512", 128)):
            for suffix in ("", "-sess", "-SESS"):
                sent = answered(Digest("u", "p", lambda: "c"), challenge("n", f"algorithm={name}{suffix}"))
                self.assertEqual((size, name + suffix), (len(sent["response"]), sent["algorithm"]))

    def test_qop(self) -> None:
        """
        Of several qop "auth" is taken; none, or an empty one, is the computation of RFC 2069.
        """
        for written, expected in (
            ('qop="auth"', "auth"),
            ('qop="auth-int, auth"', "auth"),
            ('qop="AUTH,auth-int"', "auth"),
            ('qop="auth-int,,auth"', "auth"),
            ("qop=auth", "auth"),
            ('qop=""', None),
            ("stale=false", None),
        ):
            sent = answered(Digest("u", "p", lambda: "c"), f'Digest realm="r", nonce="n", {written}')
            self.assertEqual(expected, sent.get("qop"), written)

    def test_first_that_can_be_met(self) -> None:
        """
        The server's order is the order of choice, and what we cannot meet is passed over.
        """
        attempt = Digest("u", "p", lambda: "c").attempt("GET", "/")
        attempt.authorization()
        attempt.challenged(
            [
                'Basic realm="r", Digest realm="r", nonce="1", algorithm=token',
                'Digest realm="r", nonce="2", qop="auth", algorithm=SHA-256, ' + challenge("3"),
            ]
        )

        self.assertEqual("2", parts(attempt.authorization())["nonce"])

    def test_unsupported(self) -> None:
        """
        Where nothing can be met the error says what was offered.
        """
        for headers, reason in (
            ([], "schemes offered: none"),
            (['Basic realm="r"', "Negotiate"], "schemes offered: basic, negotiate"),
            (['Digest realm="r", nonce="n", qop="auth-int"'], "qop 'auth-int', and only 'auth' is supported"),
            (['Digest realm="r", nonce="n", algorithm="MD4"'], "algorithm 'MD4' is not known"),
            (['Digest realm="r"'], "without realm or nonce"),
        ):
            attempt = Digest("u", "p", lambda: "c").attempt("GET", "/")
            attempt.authorization()
            error = self.assertRaises(ChallengeUnsupported, attempt.challenged, headers)
            self.assertIn(reason, str(error))


class RefusalTests(SynchronousTestCase):
    """
    Note [Which 401 is a wrong password], line by line.
    """

    def setUp(self) -> None:
        self.digest = Digest("u", "p", numbered())

    def logged_in(self, nonce: str = "old") -> None:
        attempt = self.digest.attempt("GET", "/")
        self.assertIsNone(attempt.authorization())
        attempt.challenged([challenge(nonce)])
        attempt.authorization()
        attempt.accepted()

    def begun(self) -> Attempt:
        attempt = self.digest.attempt("GET", "/")
        attempt.authorization()
        return attempt

    def test_nonce_is_used_again(self) -> None:
        """
        A nonce that was accepted is used for the next requests, and each is counted.
        """
        self.logged_in()

        for number in (2, 3, 4):
            attempt = self.digest.attempt("GET", "/")
            sent = parts(attempt.authorization())
            self.assertEqual(("old", f"{number:08x}", "c1"), (sent["nonce"], sent["nc"], sent["cnonce"]))
            attempt.accepted()

    def test_first_credentials_refused(self) -> None:
        """
        Credentials made of a new nonce are refused for good, and nothing of them is sent again.
        """
        attempt = self.begun()
        attempt.challenged([challenge("1")])
        attempt.authorization()

        self.assertRaises(CredentialsRefused, attempt.challenged, [challenge("2")])
        self.assertIsNone(attempt.authorization())

    def test_refused_without_challenge(self) -> None:
        """
        Credentials that are answered with 401 and nothing else are refused, too.
        """
        attempt = self.begun()
        attempt.challenged([challenge("1")])
        attempt.authorization()

        self.assertRaises(CredentialsRefused, attempt.challenged, [])

    def test_nonce_used_up(self) -> None:
        """
        An accepted nonce that is refused is replaced by a new one, once, whatever ``stale`` says.
        """
        for stale in ("true", "false"):
            self.logged_in()
            attempt = self.begun()
            attempt.challenged([challenge("new", f"stale={stale}")])
            sent = parts(attempt.authorization())
            self.assertEqual(("new", "00000001"), (sent["nonce"], sent["nc"]))
            self.assertRaises(CredentialsRefused, attempt.challenged, [challenge("newer")])

    def test_same_nonce(self) -> None:
        """
        A server that refuses with the very nonce that it took before does not take the password any more.
        """
        self.logged_in()

        self.assertRaises(CredentialsRefused, self.begun().challenged, [challenge("old")])

    def test_stale(self) -> None:
        """
        A new nonce that is stale at once is replaced once; a server that does that again has no nonces.
        """
        attempt = self.begun()
        attempt.challenged([challenge("1")])
        attempt.authorization()
        attempt.challenged([challenge("2", "stale=true")])
        self.assertEqual("2", parts(attempt.authorization())["nonce"])

        self.assertRaises(NonceRefused, attempt.challenged, [challenge("3", "stale=TRUE")])

    def test_unanswered(self) -> None:
        """
        A nonce whose first credentials were never answered is not used again.
        """
        attempt = self.begun()
        attempt.challenged([challenge("lost")])
        attempt.authorization()

        self.assertIsNone(self.digest.attempt("GET", "/").authorization())

    def test_no_credentials_wanted(self) -> None:
        """
        A server that answers without credentials is never given any.
        """
        attempt = self.begun()
        attempt.accepted()

        self.assertIsNone(self.digest.attempt("GET", "/").authorization())


class AnyServerTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abc")), max_size=30))
    def test_bounded(self, answers: list[tuple[bool, bool, str]]) -> None:
        """
        Whatever a server answers, no request leaves more than three times, and no refused nonce twice.
        """
        digest = Digest("u", "p", numbered())
        refused: set[tuple[str, str]] = set()
        coming = iter(answers)
        for _ in answers:
            self.one(digest, coming, refused)

    def one(
        self, digest: Digest, coming: Iterator[tuple[bool, bool, str]], refused: set[tuple[str, str]]
    ) -> None:
        attempt = digest.attempt("GET", "/")
        for sent in range(1, 5):
            self.assertLess(sent, 4)
            authorization = attempt.authorization()
            if authorization is not None:
                self.assertNotIn(credentials(authorization), refused)
            good, stale, nonce = next(coming, (True, False, "z"))
            if good:
                attempt.accepted()
                return
            if authorization is not None:
                refused.add(credentials(authorization))
            try:
                attempt.challenged([challenge(nonce, f"stale={stale}".lower())])
            except DigestError:
                return


def credentials(authorization: str) -> tuple[str, str]:
    sent = parts(authorization)
    return sent["cnonce"], sent["nc"]


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def fields(sent: dict[str, str]) -> tuple[str, ...]:
    return tuple(sent[name] for name in ("algorithm", "qop", "nc", "cnonce", "uri"))


def numbered() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"c{next(numbers)}"
