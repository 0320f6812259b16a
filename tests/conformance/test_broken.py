# SPDX-License-Identifier: MIT
"""
Each rule of the suite is one that can be broken: a driver that breaks it fails that rule, for that reason.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase, TestCase

from powercoord.testing.conformance import Bench, DriverConformance
from tests.conformance import broken_effects, broken_wire, broken_words
from tests.conformance.breaking import BROKEN, Broken
from tests.conformance.fake_bench import FakeBench

#: They fill `BROKEN` by being imported.
BREAKERS = (broken_effects, broken_wire, broken_words)
RULE = "rule_"


def complaints(broken: Broken) -> list[str]:
    """
    What the suite says of a driver.
    """

    class Tried(DriverConformance, TestCase):
        async def make_bench(self) -> Bench:
            return broken.bench()

    return run(Tried, f"test_{broken.rule}")


def run(case: type[Any], test: str) -> list[str]:
    result = TestResult()
    case(test).run(result)
    return [failure.getTraceback() for _, failure in (*result.failures, *result.errors)]


class BrokenDriverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(broken_effects.Parent.bury)

    def test_all_are_caught(self) -> None:
        """
        Each broken driver fails the rule that it breaks, and the complaint says why.
        """
        missed = []
        for broken in BROKEN:
            found = complaints(broken)
            if not any(broken.says in text for text in found):
                words = found[0].splitlines()[-1] if found else "nothing"
                missed.append(f"{broken.driver.__name__}, {broken.rule}: the suite says {words}")
        self.assertEqual([], missed)

    def test_each_rule_is_broken(self) -> None:
        """
        There is no rule that no driver breaks, but the one about the test case itself.
        """
        rules = {name.removeprefix(RULE) for name in dir(DriverConformance) if name.startswith(RULE)}
        self.assertEqual({"absences"}, rules - {broken.rule for broken in BROKEN})
        self.assertEqual(set(), {broken.rule for broken in BROKEN} - rules)


class AbsenceTests(SynchronousTestCase):
    def tried(self, absent: dict[str, str]) -> type[Any]:
        class Tried(DriverConformance, TestCase):
            async def make_bench(self) -> Bench:
                return FakeBench()

        Tried.absent = absent
        return type("Tried", (Tried,), {"absent": absent})

    def test_unknown(self) -> None:
        """
        What is declared absent is an ability that there is.
        """
        self.assertIn("no abilities", run(self.tried({"telepathy": "not yet"}), "test_absences")[0])

    def test_without_reason(self) -> None:
        """
        What is declared absent has a reason.
        """
        self.assertIn("mute", run(self.tried({"mute": " "}), "test_absences")[0])

    def test_there_all_the_same(self) -> None:
        """
        What is declared absent is not there: a rule cannot be switched off.
        """
        found = run(self.tried({"mute": "too loud"}), "test_absent_silence")
        self.assertIn("is there", found[0])

    def test_visible(self) -> None:
        """
        A rule that cannot be tried is there under another name, which says so.
        """
        tried = self.tried({"neighbour": "a BMC has one node"})
        self.assertTrue(callable(tried.test_absent_neighbours))

    def test_not_declared(self) -> None:
        """
        A bench that cannot do something and does not say so fails.
        """

        class Tried(DriverConformance, TestCase):
            async def make_bench(self) -> Bench:
                bench = FakeBench()
                bench.neighbour = super(FakeBench, bench).neighbour  # type: ignore[method-assign]
                return bench

        self.assertIn("say in `absent` why not", run(Tried, "test_neighbours")[0])
