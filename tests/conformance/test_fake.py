# SPDX-License-Identifier: MIT
"""
The driver in memory keeps the contract that all others keep.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from powercoord.testing.conformance import Bench, DriverConformance
from tests.conformance.fake_bench import FakeBench


class FakeDriverTests(DriverConformance, TestCase):
    absent = {
        "refused": "a wrong password is a fault of the machine here, not of the settings",
        "unreachable": "every machine is made when it is spoken to",
        "nowhere": "every machine is made when it is spoken to",
    }

    async def make_bench(self) -> Bench:
        return FakeBench()
