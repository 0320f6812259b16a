# SPDX-License-Identifier: MIT
"""
The table of docs/stopping.md names tests that there are.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.sources import ROOT

NAME = re.compile(r"`(tests\.[\w.]+)`")
NUMBERS = {
    *(f"CS-{number}" for number in range(1, 16)),
    *(f"MI-{number}" for number in range(1, 11)),
    *("HE-1", "HE-2", "X-1", "X-2", "X-3"),
}


def exists(name: str) -> bool:
    """
    Whether there is such a module, class or method; nothing is imported.
    """
    path, *rest = split(name)
    body = ast.parse(Path(path).read_text()).body if path else []
    for word in rest:
        found = [
            node
            for node in body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == word
        ]
        if not found:
            return False
        body = found[0].body
    return bool(path)


def split(name: str) -> list[str]:
    """
    The file of a name, empty if there is none, and what it names in it.
    """
    words = name.split(".")
    for length in range(len(words), 0, -1):
        path = ROOT.joinpath(*words[:length]).with_suffix(".py")
        if path.exists():
            return [str(path), *words[length:]]
    return [""]


class StoppingPageTests(SynchronousTestCase):
    """
    The table.
    """

    def setUp(self) -> None:
        page = (ROOT / "docs" / "stopping.md").read_text().split("| number |")[1]
        self.rows = [line.split("|")[1:-1] for line in page.splitlines()[2:] if line]

    def test_numbers(self) -> None:
        """
        Every number has its row, with at least one test.
        """
        self.assertEqual(NUMBERS, {row[0].strip() for row in self.rows})
        self.assertEqual([], [row[0] for row in self.rows if not NAME.search(row[2])])

    def test_names(self) -> None:
        """
        Every test that is named is there.
        """
        self.assertEqual([], [name for row in self.rows for name in NAME.findall(row[2]) if not exists(name)])
