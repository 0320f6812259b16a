# SPDX-License-Identifier: MIT
"""
The operators' page says what the code does.
"""

from __future__ import annotations

import re
import runpy
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.exits import MEANINGS
from tests.sources import ROOT

PAGE = ROOT / "docs" / "operators.md"


class OperatorsPageTests(SynchronousTestCase):
    def test_current(self) -> None:
        """
        The tables of keys, settings, options and exit codes are those of the code.
        """
        script = runpy.run_path(str(ROOT / "scripts" / "operators_reference.py"))

        for page in script["PAGES"]:
            self.assertEqual(
                script["current"](page), page.read_text("utf-8"), "run scripts/operators_reference.py"
            )

    def test_every_driver(self) -> None:
        """
        Every driver that the package announces has its settings on the page of power types.
        """
        script = runpy.run_path(str(ROOT / "scripts" / "operators_reference.py"))
        text = (ROOT / "docs" / "power_types.md").read_text("utf-8")

        for driver in script["drivers"]():
            self.assertIn(f"## `{driver.name}`: {driver.title}\n", text)

    def test_filled(self) -> None:
        """
        Each place for a table has one.
        """
        text = PAGE.read_text("utf-8")

        self.assertEqual(4, len(re.findall(r"<!-- from the code: \w+ -->\n\n(?!<!--)", text)))
        self.assertTrue(all(f"| {code} | {meaning} |" in text for code, meaning in MEANINGS.items()))

    def test_examples(self) -> None:
        """
        Examples of configuration are TOML.
        """
        for example in re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
            tomllib.loads(example)
