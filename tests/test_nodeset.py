# SPDX-License-Identifier: MIT
"""
Node sets: what they mean, what they refuse, and that folding undoes expanding.
"""

from __future__ import annotations

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.folding import fold, natural
from powercoord.nodeset import LIMIT, NodeSetError, expand, expand_values, has_range, is_name
from tests.hypothesis_notes import HypothesisNotes

GROUPS = {"rack1": ["a1", "a2"], "rack2": ["b1"], "none": [], "all": ["a1", "a2", "b1"]}

MEANINGS = {
    "n1": "n1",
    "n[1-3]": "n1 n2 n3",
    "n[001-003]": "n001 n002 n003",
    "n[08-11]": "n08 n09 n10 n11",
    "n[0-6/2]": "n0 n2 n4 n6",
    "n[1-3,7]": "n1 n2 n3 n7",
    "n[7,1-3]": "n7 n1 n2 n3",
    "n[1,01]": "n1 n01",
    "n[1-3,2]": "n1 n2 n3",
    "[1-2]": "1 2",
    "r[1-2]n[1-2]": "r1n1 r1n2 r2n1 r2n2",
    "n-[1-2]-ipmi.example.org": "n-1-ipmi.example.org n-2-ipmi.example.org",
    " n1 , n2 ": "n1 n2",
    "n1,n1": "n1",
    "n[1-4]!n2": "n1 n3 n4",
    "n[1-4]&n[3-9]": "n3 n4",
    "n[1-3]^n[3-4]": "n1 n2 n4",
    "n[1-4]!n[2-3],n3": "n1 n4 n3",
    "@rack1": "a1 a2",
    "@rack[1-2]": "a1 a2 b1",
    "@all!a2": "a1 b1",
    "@rack2,x": "b1 x",
}

MISTAKES = {
    "": "the node set is empty; name nodes, as in 'rack1n[001-100]' or '@rack1'",
    "  ": "the node set is empty; name nodes, as in 'rack1n[001-100]' or '@rack1'",
    "n1 n2": "there is a blank inside 'n1 n2'; separate nodes with ','",
    "n1\tn2": "there is a blank inside 'n1\tn2'; separate nodes with ','",
    "n*": "'*' cannot be part of a name in 'n*'; letters, digits, '_', '.', ':', '-' can",
    "nü1": "'ü' cannot be part of a name in 'nü1'; letters, digits, '_', '.', ':', '-' can",
    "-n": "'-n' is no name; a name begins with a letter or digit",
    "@rack9x": "unknown group '@rack9x'; did you mean '@rack2'?",
    "@xyz": "unknown group '@xyz'; known: @rack1, @rack2, @none, @all",
    "@none": "group '@none' is empty",
    "n1!n1": "'n1!n1' is an empty set: no node is left",
    "n1,": "nothing stands before or after one of the signs , ! & ^ in 'n1,'",
    "!n1": "nothing stands before or after one of the signs , ! & ^ in '!n1'",
    "n1,,n2": "nothing stands before or after one of the signs , ! & ^ in 'n1,,n2'",
    "n[1-": "a '[' is never closed in 'n[1-'",
    "n1]": "brackets do not match in 'n1]'",
    "n[[1]]": "brackets do not match in 'n[[1]]'",
    "n[]": "'' is no range in 'n[]'; write [1-5], [001-100], [0-6/2] or [1-5,7]",
    "n[a-b]": "'a-b' is no range in 'n[a-b]'; write [1-5], [001-100], [0-6/2] or [1-5,7]",
    "n[٣]": "'٣' is no range in 'n[٣]'; write [1-5], [001-100], [0-6/2] or [1-5,7]",
    "n[1-2-3]": "'1-2-3' is no range in 'n[1-2-3]'; write [1-5], [001-100], [0-6/2] or [1-5,7]",
    "n[5-1]": "'5-1' runs backwards in 'n[5-1]'; the smaller number comes first",
    "n[1-5/0]": "'1-5/0' has a step of 0 in 'n[1-5/0]'",
    "n[01-100]": "'01-100' has ends of different width in 'n[01-100]'; write [001-100]",
    "n[1-010]": "'1-010' has ends of different width in 'n[1-010]'; write [001-010]",
    "n[1-9999999]": "'n[1-9999999]' stands for 9999999 names, more than the 100000 allowed",
    "r[1-1000]n[1-1000]": "'r[1-1000]n[1-1000]' stands for 1000000 names, more than the 100000 allowed",
    "n[1-60000],m[1-60000]": "'n[1-60000],m[1-60000]' names more than 100000 nodes",
    "n" * 300: f"'{'n' * 57}...' is longer than 255 characters",
}


class MeaningTests(SynchronousTestCase):
    def test_meanings(self) -> None:
        """
        Each notation stands for these names, in this order.
        """
        found = {text: " ".join(expand(text, GROUPS)) for text in MEANINGS}

        self.assertEqual(MEANINGS, found)

    def test_clustershell_agrees(self) -> None:
        """
        Where no groups are in play, ClusterShell finds the same names.
        """
        plain = [text for text in MEANINGS if "@" not in text]

        self.assertEqual(
            {text: set(NodeSet(text, resolver=RESOLVER_NOGROUP)) for text in plain},
            {text: set(expand(text)) for text in plain},
        )

    def test_limit(self) -> None:
        """
        As many names as allowed are expanded.
        """
        self.assertEqual(LIMIT, len(expand(f"n[1-{LIMIT}]")))

    def test_names(self) -> None:
        """
        A name is made of letters, digits and a few signs, and begins with none of these signs.
        """
        good = ["n1", "N", "7", "_x", "a.b-c_d:e"]
        bad = ["", "-a", ".a", "a b", "a,b", "a[1]", "é", "a" * 256, "a\n"]

        self.assertEqual((good, []), ([n for n in good if is_name(n)], [n for n in bad if is_name(n)]))


class MistakeTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """
        Each mistake is one line that says what would be right.
        """
        found = {}
        for text in MISTAKES:
            error = self.assertRaises(NodeSetError, expand, text, GROUPS)
            found[text] = str(error)

        self.assertEqual(MISTAKES, found)

    def test_no_groups(self) -> None:
        """
        Without groups every group is unknown, and never the empty set.
        """
        error = self.assertRaises(NodeSetError, expand, "n1,@rack1")

        self.assertEqual("unknown group '@rack1': no groups are known here", str(error))


class ValueTests(SynchronousTestCase):
    def test_values(self) -> None:
        """
        A value with ranges stands for values in the order written, whatever else is in them.
        """
        cases = {
            "10.0.[1-2].[1-2]": ["10.0.1.1", "10.0.1.2", "10.0.2.1", "10.0.2.2"],
            "10.0.0.[2,1]": ["10.0.0.2", "10.0.0.1"],
            "10.0.0.[1-2],10.0.1.7": ["10.0.0.1", "10.0.0.2", "10.0.1.7"],
            "https://bmc[1-2]/a?b": ["https://bmc1/a?b", "https://bmc2/a?b"],
        }

        self.assertEqual(cases, {text: list(expand_values(text)) for text in cases})

    def test_which_have_ranges(self) -> None:
        """
        Brackets with numbers are a range; an IPv6 address in brackets is none.
        """
        cases = {
            "10.0.0.[1-9]": True,
            "x[1]": True,
            "[::1]": False,
            "[fe80::1]": False,
            "a[b]": False,
            "a": False,
        }

        self.assertEqual(cases, {text: has_range(text) for text in cases})

    def test_bounded(self) -> None:
        """
        Values are counted before they are made.
        """
        self.assertRaises(NodeSetError, expand_values, "10.[0-255].[0-255].[0-255]")


def _names() -> st.SearchStrategy[str]:
    word = st.sampled_from(["n", "r", "node-", "x.", "_", "-ib", ""])
    number = st.one_of(
        st.integers(0, 120).map(str),
        st.integers(0, 120).map("{:03d}".format),
        st.integers(0, 99).map("{:02d}".format),
    )
    shape = st.lists(st.tuples(word, number), min_size=1, max_size=3).map(
        lambda parts: "".join(part for pair in parts for part in pair)
    )
    return st.tuples(shape, st.sampled_from(["", "-ipmi"])).map("".join).filter(is_name)


class FoldingTests(HypothesisNotes, SynchronousTestCase):
    @given(st.lists(_names(), min_size=1, max_size=40))
    @example(["n1", "n01", "n001", "n10"])
    @example([f"r{rack}n{node}" for rack in range(3) for node in range(5)])
    def test_round_trip(self, names: list[str]) -> None:
        """
        What is folded expands to the same names.
        """
        self.assertEqual(set(names), set(expand(fold(names))))

    @given(st.lists(_names(), min_size=1, max_size=40))
    def test_clustershell_reads_it(self, names: list[str]) -> None:
        """
        ClusterShell understands a folded set as we do.
        """
        self.assertEqual(set(names), set(NodeSet(fold(names), resolver=RESOLVER_NOGROUP)))

    @given(st.text(alphabet="n1209[],-!&^@/ *r", max_size=12))
    def test_any_text(self, text: str) -> None:
        """
        Any text is either a node set of proper names or a mistake told in one line.
        """
        try:
            names = expand(text, GROUPS)
        except NodeSetError as error:
            self.assertNotIn("\n", str(error))
        else:
            self.assertTrue(names and all(map(is_name, names)))

    def test_shapes(self) -> None:
        """
        Neighbours become ranges in each number of a name, and people's order is kept.
        """
        cases = {
            "n10 n9 n2": "n[2,9-10]",
            "n007 n008 n010 n011": "n[007-008,010-011]",
            "r1n1 r1n2 r2n1 r2n2": "r[1-2]n[1-2]",
            "r1n1 r1n2 r2n1": "r1n[1-2],r2n1",
            "b a": "a,b",
            "n1": "n1",
            "n1-ipmi n2-ipmi": "n[1-2]-ipmi",
        }

        self.assertEqual(cases, {names: fold(names.split()) for names in cases})

    def test_natural_order(self) -> None:
        """
        Names sort as people count.
        """
        self.assertEqual(
            ["n", "n1", "n2", "n10", "n10a"], sorted(["n10a", "n10", "n2", "n", "n1"], key=natural)
        )
