# SPDX-License-Identifier: MIT
"""
``WWW-Authenticate`` headers, as RFC 9110 has them and as firmware writes them.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.web.challenges import LONGEST, Challenge, parse_challenges
from tests.hypothesis_notes import HypothesisNotes

AMT = (
    'Digest realm="Digest:34BF4B5A0561F95248F58509A406E046", '
    'nonce="bQali2IAAAAAAAAAn0xaWCOcxNsRcEHX",stale="false",qop="auth"'
)
DIGEST = Challenge("digest", {"realm": "r", "nonce": "n"})
TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_characters="\x7f"))


class FormsTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """
        Each way of writing challenges is understood.
        """
        for header, expected in (
            ('Digest realm="r", nonce="n"', [DIGEST]),
            ('Digest realm="r",nonce="n"', [DIGEST]),
            ('Digest realm="r" nonce="n"', [DIGEST]),
            ('Digest realm="r",, ,nonce="n",', [DIGEST]),
            (', Digest\trealm = "r" ,\tnonce\t=n', [DIGEST]),
            ('DIGEST REALM="r", Nonce="n"', [DIGEST]),
            ('Digest realm="r", nonce="n", nonce="m"', [DIGEST]),
            (
                'Digest realm="a, b=\\"c\\" \\\\", qop=""',
                [Challenge("digest", {"realm": 'a, b="c" \\', "qop": ""})],
            ),
            ("Digest nonce=a+/b==, opaque=", [Challenge("digest", {"nonce": "a+/b==", "opaque": ""})]),
            ("Basic", [Challenge("basic")]),
            ("Basic, NTLM", [Challenge("basic"), Challenge("ntlm")]),
            ("Negotiate YWJj+/==", [Challenge("negotiate", {}, "YWJj+/==")]),
            ('Negotiate a=, Digest realm="r",nonce="n"', [Challenge("negotiate", {}, "a="), DIGEST]),
            ('Basic realm="b", Digest realm="r", nonce="n"', [Challenge("basic", {"realm": "b"}), DIGEST]),
            ('Digest realm="r", nonce="n" Basic realm="b"', [DIGEST, Challenge("basic", {"realm": "b"})]),
            ("", []),
            (" , ,", []),
        ):
            self.assertEqual(tuple(expected), parse_challenges([header]), header)

    def test_amt(self) -> None:
        """
        Intel AMT leaves out the space after all commas but the first.
        """
        realm, nonce = "Digest:34BF4B5A0561F95248F58509A406E046", "bQali2IAAAAAAAAAn0xaWCOcxNsRcEHX"
        expected = {"realm": realm, "nonce": nonce, "stale": "false", "qop": "auth"}

        self.assertEqual((Challenge("digest", expected),), parse_challenges([AMT]))

    def test_several_headers(self) -> None:
        """
        Challenges of several headers follow each other.
        """
        self.assertEqual(
            (Challenge("basic"), DIGEST), parse_challenges(["Basic", 'Digest realm="r", nonce="n"'])
        )

    def test_broken(self) -> None:
        """
        A challenge that cannot be read to its end is left out, with all that comes after it.
        """
        self.assertEqual((), parse_challenges(["=x"]))
        for broken in ('Digest realm="r', 'Digest realm="r", "x"', "Digest realm=\x00", 'Digest realm="\n"'):
            self.assertEqual((), parse_challenges([broken]), broken)
            self.assertEqual(
                (Challenge("basic", {"realm": "b"}),),
                parse_challenges([f'Basic realm="b", {broken}']),
                broken,
            )

    def test_long(self) -> None:
        """
        No more of a header is read than any honest one has.
        """
        self.assertEqual((), parse_challenges([" " * LONGEST + "Basic"]))


class AnyHeaderTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(st.text(st.sampled_from('aB=",\\ \t\n;/+é\x00'), max_size=40), max_size=3))
    def test_any_text(self, headers: list[str]) -> None:
        """
        Any text at all is read without an error, and no name or scheme has a separator in it.
        """
        for challenge in parse_challenges(headers):
            for name in (challenge.scheme, *challenge.parameters):
                self.assertTrue(name)
                self.assertFalse(set(name) - set(TOKEN), name)

    @given(
        st.lists(
            st.tuples(
                st.text(TOKEN, min_size=1).map(str.lower),
                st.dictionaries(st.text(TOKEN, min_size=1).map(str.lower), PRINTABLE, min_size=1),
            ),
            max_size=4,
        ),
        st.sampled_from([", ", ",", " ", ",, "]),
    )
    def test_round_trip(self, wanted: list[tuple[str, dict[str, str]]], between: str) -> None:
        """
        What is written by the rules is read as it was meant, in one header or in several.
        """
        written = [
            scheme + " " + between.join(f"{name}={quoted(value)}" for name, value in parameters.items())
            for scheme, parameters in wanted
        ]
        expected = tuple(Challenge(scheme, parameters) for scheme, parameters in wanted)

        self.assertEqual(expected, parse_challenges(written))
        self.assertEqual(expected, parse_challenges([between.join(written)]))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
