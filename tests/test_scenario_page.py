# SPDX-License-Identifier: MIT
"""
The page of the scenario says what was seen.
"""

from __future__ import annotations

import runpy

from twisted.trial.unittest import SynchronousTestCase

from tests.sources import ROOT


class ScenarioPageTests(SynchronousTestCase):
    def test_current(self) -> None:
        """
        The table is that of the results.
        """
        script = runpy.run_path(str(ROOT / "scripts" / "scenario_reference.py"))

        self.assertEqual(
            script["current"](), script["PAGE"].read_text("utf-8"), "run scripts/scenario_reference.py"
        )
