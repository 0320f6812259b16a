# SPDX-License-Identifier: MIT
"""
The driver in memory keeps the contract that all others keep.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from powercoord.testing.conformance import Bench, DriverConformance
from tests.conformance.fake_bench import FakeBench


class FakeDriverTests(DriverConformance, TestCase):
    async def make_bench(self) -> Bench:
        return FakeBench()
