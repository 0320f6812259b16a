# SPDX-License-Identifier: MIT
"""
Make ``powercoord`` known to twistd.

Every Twisted program on the machine reads this file, so it imports nothing of ours.
"""

from twisted.application.service import ServiceMaker

powercoord = ServiceMaker(
    "powercoord", "powercoord.service", "Coordinate power actions, one per node at a time.", "powercoord"
)
