# SPDX-License-Identifier: MIT
"""
The scenario, with the drivers that come with a bench of ours.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from powercoord.testing.conformance import Bench
from tests.conformance.fake_bench import FakeBench
from tests.drivers.virsh.test_conformance import VirshBench
from tests.functional.scenario import Scenario
from tests.functional.test_amt_conformance import AmtBench, AmtConformanceTests
from tests.functional.test_ipmi_conformance import IpmiBench, IpmiConformanceTests


class AmtScenarioTests(Scenario, TestCase):
    timeout = 60
    absent = AmtConformanceTests.absent

    async def make_bench(self) -> Bench:
        return AmtBench()


class FakeScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return FakeBench()


class IpmiScenarioTests(Scenario, TestCase):
    timeout = 60
    absent = IpmiConformanceTests.absent

    async def make_bench(self) -> Bench:
        return IpmiBench()


class VirshScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return VirshBench()


# Imported for what they declare; their own tests are run where they stand.
del AmtConformanceTests, IpmiConformanceTests
