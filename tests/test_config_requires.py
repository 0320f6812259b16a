# SPDX-License-Identifier: MIT
"""
What the configuration says about nodes that require others.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config.required import _circles
from powercoord.interfaces import Capabilities
from powercoord.model import Command, Ready
from tests.hypothesis_notes import HypothesisNotes
from tests.paper_driver import PaperDriver
from tests.test_config_drift import good, read

BAR = '[nodes.bar]\ndriver = "paper"\naddress = "a0"\n'
BOX = '[nodes.box]\ndriver = "paper"\naddress = "a1"\n'
NAMES = st.sampled_from("abcdef")


class BlindDriver(PaperDriver):
    """
    Reads nothing.
    """

    capabilities = Capabilities(frozenset(Command), queryable=False)


class RequiresTests(HypothesisNotes, SynchronousTestCase):
    def mistakes(self, text: str, driver: PaperDriver | None = None) -> list[str]:
        return [str(mistake) for mistake in read(text, driver).mistakes]

    def test_values(self) -> None:
        """
        A node set, and when its nodes carry others.
        """
        text = BAR + 'ready = { after = "20s", tcp = "[fd00::1]:443" }\n' + BOX + 'requires = "bar"\n'
        bar, box = good(text).nodes

        self.assertEqual((Ready(20.0, "[fd00::1]:443"), ()), (bar.ready, bar.requires))
        self.assertEqual((Ready(), ("bar",)), (box.ready, box.requires))

    def test_mistakes(self) -> None:
        """
        Names that do not exist, and what is no address, are told with what would be right.
        """
        cases = {
            'requires = "baar"': "nodes.box.requires: there is no node baar; did you mean 'bar'?",
            'requires = "zzzzzz[1-3]"': "nodes.box.requires: there is no node zzzzzz[1-3]",
            'requires = "box"': "nodes.box.requires: a node cannot require itself: box requires box",
            'ready = { tcp = "bar" }': (
                "nodes.box.ready.tcp: 'bar' is no host and port, such as 10.0.0.1:443 or [fd00::1]:443"
            ),
            'ready = { later = "1s" }': "nodes.box.ready.later: unknown key; did you mean 'after'?",
        }
        for wrong in ("10.0.0.1:0", "10.0.0.1:70000", "fd00::1:443", ":443", "a b:443", "10.0.0.1:"):
            found = self.mistakes(BOX + f'ready = {{ tcp = "{wrong}" }}\n')
            self.assertIn(f"'{wrong}' is no host and port", found[0])
        for line, text in cases.items():
            self.assertEqual([f"pc.toml:7: {text}"], self.mistakes(BAR + BOX + line + "\n"))

    def test_circle(self) -> None:
        """
        A circle is named in whole, once, from the first of its nodes.
        """
        text = BAR + 'requires = "n1"\n' + BOX + 'requires = "bar"\n'
        text += '[nodes.n1]\ndriver = "paper"\naddress = "a2"\nrequires = "box"\n'

        expected = "pc.toml:4: nodes.bar.requires: a node cannot require itself: bar requires n1 requires box"
        self.assertEqual([f"{expected} requires bar"], self.mistakes(text))

    def test_blind(self) -> None:
        """
        A node whose driver cannot read power cannot be required.
        """
        (found,) = self.mistakes(BAR + BOX + 'requires = "bar"\n', BlindDriver())

        self.assertIn("bar: driver paper cannot read power, so nobody can see it on", found)

    @given(st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=3)))
    def test_circles(self, requires: dict[str, list[str]]) -> None:
        """
        A circle is found if and only if there is one, and it is one.
        """
        left = dict(requires)
        while free := [name for name, below in left.items() if not set(below) & set(left)]:
            for name in free:
                del left[name]
        found = list(_circles(requires))

        self.assertEqual(bool(left), bool(found))
        for circle in found:
            for name, below in zip(circle, [*circle[1:], circle[0]], strict=True):
                self.assertIn(below, requires[name])

    def test_deep(self) -> None:
        """
        A chain may be as long as it likes.
        """
        chain = {f"n{number}": [f"n{number + 1}"] for number in range(20_000)}

        self.assertEqual([], list(_circles(chain)))
        self.assertEqual(20_001, len(next(_circles(chain | {"n20000": ["n0"]}))))
        self.assertEqual(1, len(list(_circles(evolve_chain(chain)))))


def evolve_chain(chain: dict[str, list[str]]) -> dict[str, list[str]]:
    """
    One whose last node requires itself.
    """
    return chain | {"n20000": ["n20000"]}


class WeightTests(SynchronousTestCase):
    def test_weights(self) -> None:
        """
        Callers weigh one each, unless something else is said of them.
        """
        text = '[callers.region]\nweight = 4\n[callers."alice"]\nweight = 1\n'

        self.assertEqual({"region": 4}, good(text).weights)
        for line, reason in (
            ("weight = 0", "weight: must be at least 1, got 0"),
            ("wait = 2", "wait: unknown key; did you mean 'weight'?"),
        ):
            found = [str(each) for each in read(f"[callers.region]\n{line}\n").mistakes]
            self.assertEqual([f"pc.toml:2: callers.region.{reason}"], found)
