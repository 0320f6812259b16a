# SPDX-License-Identifier: MIT
"""
The scenario of all drivers, with the Redfish driver: through registry and driver to the simulator.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from powercoord.testing.conformance import Bench
from tests.functional.scenario import Scenario
from tests.functional.test_redfish_conformance import RedfishBench


class RedfishScenarioTests(Scenario, TestCase):
    timeout = 60

    async def make_bench(self) -> Bench:
        return RedfishBench()
