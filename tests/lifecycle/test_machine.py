# SPDX-License-Identifier: MIT
"""
Every stage and every event.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from powercoord.lifecycle.machine import Event, after
from powercoord.stages import Stage

# Where READY, HELD, FREED, QUIET, BUSY and CLOSING lead from each stage; a dot: nowhere.
TABLE = """
starting  serving draining .       .       .        stopping
serving   .       draining .       .       .        stopping
draining  .       .        serving drained .        stopping
drained   .       .        serving .       draining stopping
stopping  .       .        .       .       .        .
"""


class MachineTests(SynchronousTestCase):
    """
    `after`.
    """

    def test_every_stage_and_event(self) -> None:
        """
        Each event leads from each stage where the table says, and nowhere else.
        """
        expected = {}
        for line in TABLE.split("\n")[1:-1]:
            stage, *targets = line.split()
            for event, target in zip(Event, targets, strict=True):
                expected[Stage(stage), event] = Stage(stage if target == "." else target)

        self.assertEqual(expected, {pair: after(*pair) for pair in product(Stage, Event)})

    def test_no_way_back(self) -> None:
        """
        Once it is stopping, it stays so whatever happens.
        """
        self.assertEqual({Stage.STOPPING}, {after(Stage.STOPPING, event) for event in Event})
