# SPDX-License-Identifier: MIT
"""
The scenario, with the drivers that come with a bench of ours.
"""

from __future__ import annotations

from shutil import which

from twisted.trial.unittest import SkipTest, TestCase

from powercoord.testing.conformance import Bench
from tests.conformance.fake_bench import FakeBench
from tests.drivers.virsh.test_conformance import VirshBench
from tests.functional.manual_scenario import ManualBench, ManualScenario
from tests.functional.scenario import Scenario
from tests.functional.test_amt_conformance import AmtBench, AmtConformanceTests
from tests.functional.test_fence_conformance import INSTALLED as FENCE_AGENTS
from tests.functional.test_fence_conformance import FenceBench
from tests.functional.test_ipmi_conformance import IpmiBench, IpmiConformanceTests
from tests.functional.test_ipmitool_conformance import IpmitoolBench
from tests.functional.test_redfish_conformance import RedfishBench
from tests.functional.test_webhook_conformance import WebhookBench


class AmtScenarioTests(Scenario, TestCase):
    timeout = 60
    absent = AmtConformanceTests.absent

    async def make_bench(self) -> Bench:
        return AmtBench()


class FakeScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return FakeBench()


class FenceAgentScenarioTests(Scenario, TestCase):
    timeout = 60
    cancels = 6

    async def make_bench(self) -> Bench:
        if not FENCE_AGENTS:
            raise SkipTest("fence_ipmilan is not installed: it comes with the Debian package fence-agents")
        return FenceBench()


class IpmiScenarioTests(Scenario, TestCase):
    timeout = 60
    absent = IpmiConformanceTests.absent

    async def make_bench(self) -> Bench:
        return IpmiBench()


class IpmitoolScenarioTests(Scenario, TestCase):
    timeout = 60
    cancels = 6

    async def make_bench(self) -> Bench:
        if which("ipmitool") is None:
            raise SkipTest("ipmitool is not installed: it comes with the Debian package ipmitool")
        return IpmitoolBench()


class ManualScenarioTests(ManualScenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return ManualBench()


class RedfishScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return RedfishBench()


class VirshScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return VirshBench()


class WebhookScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return WebhookBench()


# Imported for what they declare; their own tests are run where they stand.
del AmtConformanceTests, IpmiConformanceTests
