# SPDX-License-Identifier: MIT
"""
The contract of `IPowerDriver` as tests that any driver's author can run.

::

    class StripBench(Bench):
        def __init__(self) -> None: ...                # a simulated strip, or a real one
        def make_driver(self) -> IPowerDriver: ...

    class StripConformanceTests(DriverConformance, TestCase):
        absent = {"neighbour": "this kind of BMC has one node"}

        async def make_bench(self) -> Bench:
            return StripBench()
"""

from powercoord.testing.conformance.bench import BOOT, Absent, Bench, Device
from powercoord.testing.conformance.suite import DriverConformance
from powercoord.testing.conformance.watching import Attempt, WatchedOperation

__all__ = ["BOOT", "Absent", "Attempt", "Bench", "Device", "DriverConformance", "WatchedOperation"]
