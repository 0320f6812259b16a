# SPDX-License-Identifier: MIT
"""
All rules together.
"""

from __future__ import annotations

from powercoord.testing.conformance.cancelling import Cancelling
from powercoord.testing.conformance.declaring import Declaring
from powercoord.testing.conformance.effects import Effects
from powercoord.testing.conformance.ending import Ending
from powercoord.testing.conformance.failing import Failing


class DriverConformance(Declaring, Effects, Failing, Cancelling, Ending):
    """
    Mixed into a trial `TestCase` that says how to make a bench.
    """
