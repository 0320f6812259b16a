# SPDX-License-Identifier: MIT
"""
The tables of docs/wire.md are those of the command classes.
"""

import re
import runpy
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.batch import read_batch

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "wire.md"


class WireReferenceTests(SynchronousTestCase):
    def test_current(self) -> None:
        """
        The page says what the code says; scripts/wire_reference.py writes it.
        """
        script = runpy.run_path(str(ROOT / "scripts" / "wire_reference.py"))

        self.assertEqual(script["current"](), PAGE.read_text("utf-8"), "run scripts/wire_reference.py")

    def test_every_command(self) -> None:
        """
        Every command has its section.
        """
        from powercoord.api import commands, extensions

        headings = set(re.findall(r"^### `(\w+)`", PAGE.read_text("utf-8"), re.MULTILINE))
        for name in ("PowerOn", "PowerQuery", "Authenticate"):
            self.assertIn(name, headings)
            self.assertTrue(hasattr(commands, name))
        for name in ("Submit", "Follow", "GoingAway", "ListActions"):
            self.assertIn(name, headings)
            self.assertTrue(hasattr(extensions, name))

    def test_example(self) -> None:
        """
        The batch on the page is one that is understood.
        """
        import json

        example = re.search(r'^\{"verb".*\}$', PAGE.read_text("utf-8"), re.MULTILINE)
        self.assertIsNotNone(example)
        requests = read_batch(json.loads(example[0]), door="amp", requester="", new_id=str)  # type: ignore[index]

        self.assertEqual(["deploy-7-0", "deploy-7-1"], [request.request_id for request in requests])
